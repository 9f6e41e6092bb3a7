"""One decoder under atheris, which looks for inputs that reach new code: `python -m tests.fuzz.guided NAME -runs=N …`.

The options are libFuzzer's. The process ends with an error at the first undeclared one, and keeps its input."""

from __future__ import annotations

import random
import sys

import atheris

with atheris.instrument_imports(include=["betar_tui"]):
    from tests.fuzz.decoders import DECODERS
    from tests.fuzz.mutation import Mutator


def main() -> None:
    decoder = DECODERS[sys.argv.pop(1)]
    samples = decoder.samples()

    def once(data: bytes) -> None:
        try:
            decoder.run(data)
        except decoder.declared:
            return

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, size))
        return Mutator(chance, decoder.form, [data or samples[0], *samples]).small()[:size]

    for sample in samples:
        once(sample)
    atheris.Setup(sys.argv, once, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
