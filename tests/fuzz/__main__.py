"""Fuzz decoders and conversations by name, or all of them: `python -m tests.fuzz [name[=count] …] [-n COUNT] [--seed N]`.

Without a count, each decoder gets 20,000 inputs and each conversation 2,000 messages; -n gives both that many, a
conversation a fifth of it. Where atheris is installed, decoders get as many inputs again that are guided by what they
reach. Inputs that lead to failures are written to --keep. Exit code 1 when anything failed or took too long."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

import trio

from tests.fuzz.decoders import DECODERS
from tests.fuzz.running import fuzz
from tests.fuzz.stateful import CONVERSATIONS

INPUTS, SHARE = 20_000, 5
"""Inputs of a decoder, and how many times fewer a conversation has."""
MESSAGES = 2_000


def main() -> int:
    names = (*DECODERS, *CONVERSATIONS)
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="*", metavar="name[=count]", help=f"of {', '.join(names)}; all without any")
    parser.add_argument(
        "-n", type=int, default=0, metavar="COUNT", help="inputs of each decoder (1,000,000 before a release)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for inputs that fail")
    arguments = parser.parse_args()
    bad = 0
    for what in arguments.what or names:
        name, _, count = what.partition("=")
        if name not in names or (count and not count.isdigit()):
            parser.error(f"{what}: there are {', '.join(names)}, each with =count")
        share = SHARE if name in CONVERSATIONS else 1
        bad += not run(name, int(count or 0) or arguments.n // share, arguments.seed, arguments.keep)
    print(f"{bad} failed" if bad else "only declared errors, each in time")
    return 1 if bad else 0


def run(name: str, count: int, seed: int, keep: Path) -> bool:
    """One decoder or conversation, with `count` 0 for its usual number; whether all was well."""
    if name in CONVERSATIONS:
        said = trio.run(CONVERSATIONS[name], count or MESSAGES, seed)
        print(said.text(), flush=True)
        return said.good
    outcome = fuzz(DECODERS[name], count or INPUTS, seed)
    print(outcome.text(), flush=True)
    if not outcome.good:
        outcome.keep(keep)
    return outcome.good and guided(name, count or INPUTS, seed, keep)


def guided(name: str, count: int, seed: int, keep: Path) -> bool:
    """The same decoder under atheris, in a process of its own, if it is installed."""
    if importlib.util.find_spec("atheris") is None:
        return True
    keep.mkdir(parents=True, exist_ok=True)
    options = [name, f"-runs={count}", f"-seed={seed + 1}", f"-artifact_prefix={keep}/{name}-", "-verbosity=0"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", *options], check=False, capture_output=True, text=True
    )
    verdict = "no undeclared error" if done.returncode == 0 else f"failed:\n{done.stderr[-1500:]}"
    print(f"{'':<14} guided by atheris: {verdict}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
