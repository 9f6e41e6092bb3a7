"""A short run of every fuzzer, and that they would notice: the long ones are `make fuzz`."""

import random

import pytest
import trio

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid
from tests.fuzz import running
from tests.fuzz.corpus import nodes
from tests.fuzz.decoders import DECODERS, Decoder
from tests.fuzz.mutation import MAX_SMALL, Form, Mutator, pieces
from tests.fuzz.running import Outcome, fuzz, try_one
from tests.fuzz.stateful import CONVERSATIONS

INPUTS, MESSAGES = 400, 300


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_raises_only_what_it_declares(name):
    """The full sizes, which take a while, are left to the long run."""
    decoder, outcome = DECODERS[name], Outcome(name)
    mutator = Mutator(random.Random(name), decoder.form, decoder.samples())
    for data in (*mutator.samples, *mutator.shapes(min(decoder.limit, 4096))):
        try_one(decoder, data, outcome)
    for _ in range(INPUTS):
        try_one(decoder, mutator.small()[: decoder.limit], outcome)
    assert not outcome.failures, outcome.text()
    assert outcome.inputs > INPUTS


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_breaks_nothing(name):
    said = trio.run(CONVERSATIONS[name], MESSAGES, 1)
    assert said.good, said.text()
    assert said.messages >= MESSAGES


def test_an_undeclared_error_is_noticed_and_kept(tmp_path):
    def run(raw: bytes) -> None:
        if len(raw) % 2:
            raise DecodeError("odd")
        raise KeyError(len(raw))

    outcome = fuzz(Decoder("broken", run, lambda: [b"abc", b"abcd"], Form.BYTES, 100), 60, 0)
    assert outcome.refused + sum(outcome.failures.values()) == outcome.inputs > 60
    assert not outcome.good
    assert "KeyError at test_fuzz.py" in outcome.text()
    outcome.keep(tmp_path)
    assert len((tmp_path / "broken-failure-0").read_bytes()) % 2 == 0


def test_a_slow_input_is_noticed(monkeypatch):
    times = iter(range(10_000))
    monkeypatch.setattr(running.time, "thread_time", lambda: next(times))
    outcome = fuzz(Decoder("slow", len, lambda: [b"abc"], Form.BYTES, 100), 30, 0)
    assert outcome.slowest == 1
    assert not outcome.good


def test_the_same_seed_makes_the_same_inputs():
    for decoder in DECODERS.values():
        made = [Mutator(random.Random(7), decoder.form, decoder.samples()) for _ in range(2)]
        assert [made[0].small() for _ in range(20)] == [made[1].small() for _ in range(20)]
        assert made[0].large(500) == made[1].large(500)
        assert len(made[0].small()) <= MAX_SMALL


def test_samples_are_accepted_and_are_messages():
    """A corpus that is refused tests nothing but the refusal."""
    for name in (
        "delta",
        "node",
        "broadcast",
        "rpc",
        "bitswap",
        "dht",
        "identify",
        "mdns",
        "listing",
        "filter",
        "control",
    ):
        decoder, outcome = DECODERS[name], Outcome(name)
        try_one(decoder, decoder.samples()[0], outcome)
        assert (outcome.refused, len(outcome.failures)) == (0, 0), name
    assert b"".join(pieces(nodes()[0])) == nodes()[0]
    assert cid.of(nodes()[0])
