"""The asking side: one stream to each connected peer that relays, on which other processes with this key are proven.

Nothing passes on such a stream after its first message, unless there is another process. Then it is challenged, again
and again while it answers. A relay can withhold messages, but not make a proof: that signs a number of our own making,
under the name of a process that is not this one."""

import math
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey

from betar_tui.concurrency import Wakeup
from betar_tui.errors import NetworkError
from betar_tui.p2p.duplicates.messages import (
    MAX_MESSAGE,
    NONCE,
    PROTOCOL,
    Challenge,
    Hello,
    Message,
    Proof,
    decode,
    encode,
    statement,
)
from betar_tui.p2p.duplicates.relay import MESSAGE_PAUSE
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.types import Stream

CHALLENGE_INTERVAL = 10.0
"""Seconds between two challenges to a process that answers."""
ANSWER_TIMEOUT = 20.0
"""Seconds in which a challenge must be answered."""


class Instance:
    """This process: its random name, and the key that it shares with its duplicates."""

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.name = secrets.token_bytes(NONCE)

    def prove(self, challenge: bytes) -> Proof:
        """The answer to a challenge."""
        return Proof(challenge, self.name, self._key.sign(statement(challenge, self.name)).signature)

    def is_duplicate(self, proof: Proof) -> bool:
        """Whether the proof is signed with this key by a process that is not this one."""
        if proof.instance == self.name:
            return False
        try:
            self._key.verify_key.verify(statement(proof.challenge, proof.instance), proof.signature)
        except BadSignatureError:
            return False
        return True


class InstanceClient:
    """One stream to a relay. `proven` is called for each proof that another process has this key."""

    def __init__(self, instance: Instance, stream: Stream, proven: Callable[[], None]) -> None:
        self._instance = instance
        self._stream = stream
        self._proven = proven
        self._suspicion = Wakeup()
        self._challenge = b""
        self._deadline = -math.inf

    async def run(self) -> None:
        """Until the stream ends. Raises DecodeError, NetworkError."""
        await self._send(Hello(self._instance.name))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._challenge_suspects)
            reader = FrameReader(self._stream, MAX_MESSAGE)
            while (raw := await reader.next()) is not None:
                await self._handle(decode(raw))
                await trio.sleep(MESSAGE_PAUSE)
            nursery.cancel_scope.cancel()

    async def _handle(self, message: Message) -> None:
        match message:
            case Hello():
                if message.instance != self._instance.name:
                    self._suspicion.set()
            case Challenge():
                # A relay that reflects our own challenge gets a proof under our own name, which proves nothing.
                await self._send(self._instance.prove(message.challenge))
            case Proof():
                fresh = message.challenge == self._challenge and trio.current_time() < self._deadline
                if fresh and self._instance.is_duplicate(message):
                    self._proven()
                    self._suspicion.set()

    async def _challenge_suspects(self) -> None:
        while True:
            await self._suspicion.wait()
            self._challenge = secrets.token_bytes(NONCE)
            self._deadline = trio.current_time() + ANSWER_TIMEOUT
            await self._send(Challenge(self._challenge))
            await trio.sleep(CHALLENGE_INTERVAL)

    async def _send(self, message: Message) -> None:
        await self._stream.write(frame(encode(message)))


Open = Callable[[str, str], Awaitable[Stream]]


async def watch_relay(instance: Instance, open_stream: Open, peer: str, proven: Callable[[], None]) -> None:
    """Open a stream to a relay and watch it until it ends. Raises DecodeError, NetworkError."""
    stream = await open_stream(peer, PROTOCOL)
    try:
        await InstanceClient(instance, stream, proven).run()
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(0.5), suppress(NetworkError):
            await stream.reset()
