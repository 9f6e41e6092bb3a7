"""Build the Go peer of this folder, and talk to it.

A `GoPeer` is a Go process that answers JSON lines on its stdin and stdout (see gopeer/main.go).
Every wait here is for a reply or an event, and has a time-out.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

SOURCE_DIR = Path(__file__).resolve().parent / "gopeer"
CACHE_ENV = "BETAR_TUI_GOPEER_CACHE"
BETAR_PROTOCOL = "/betar/marketplace/1.0.0"
CRDT_TOPIC = "betar/marketplace/crdt"

BUILD_TIMEOUT = 1800.0
START_TIMEOUT = 30.0
REPLY_TIMEOUT = 15.0
STOP_TIMEOUT = 8.0  # the peer gives up on a clean end by itself after five seconds
STDERR_LINES = 200
GRACE = 2.0  # for the peer's own time-out to be reported before ours strikes
READ_SIZE = 1 << 16


class GoPeerError(Exception):
    """The peer answered with an error, or is gone."""


class GoBuildError(Exception):
    """The peer did not compile."""


# --- building -----------------------------------------------------------------------------------


def go_available() -> bool:
    return shutil.which("go") is not None


def source_hash() -> str:
    """What the binary is made of: its sources and the hashes of its dependencies."""
    digest = hashlib.sha256()
    sources = [*SOURCE_DIR.glob("*.go"), SOURCE_DIR / "go.mod", SOURCE_DIR / "go.sum"]
    for path in sorted(sources):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def cache_dir() -> Path:
    """A folder outside the repository, so that no binary can end up in it."""
    if explicit := os.environ.get(CACHE_ENV):
        return Path(explicit)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "betar-tui" / "gopeer"
    if os.name == "posix" and Path.home().is_dir():
        return Path.home() / ".cache" / "betar-tui" / "gopeer"
    return Path(tempfile.gettempdir()) / "betar-tui-gopeer"


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """One build at a time. Without flock two builds may run, which costs time but harms nothing."""
    with path.open("w") as handle:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build_gopeer() -> Path:
    """Compile the peer, unless these very sources were compiled before. Safe to call concurrently."""
    folder = cache_dir() / source_hash()
    binary = folder / ("gopeer.exe" if os.name == "nt" else "gopeer")
    if binary.exists():
        return binary
    folder.mkdir(parents=True, exist_ok=True)
    with _file_lock(folder / "lock"):
        if binary.exists():
            return binary
        partial = folder / f"partial-{os.getpid()}{binary.suffix}"
        command = ["go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", str(partial), "."]
        try:
            subprocess.run(command, cwd=SOURCE_DIR, check=True, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
        except subprocess.CalledProcessError as error:
            raise GoBuildError(f"{' '.join(command)} failed:\n{error.stderr}") from error
        # Whoever sees the final name sees a whole binary.
        partial.replace(binary)
    return binary


def golden_vectors(binary: Path) -> dict[str, Any]:
    """What go-ds-crdt itself makes of the writes of docs/protocol.md#golden-vectors."""
    done = subprocess.run([str(binary), "-golden"], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise GoPeerError(f"gopeer -golden: {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# --- what the peer says -------------------------------------------------------------------------


@dataclass(frozen=True)
class GoEvent:
    """`at_ns` is wall-clock time, to compare with `time.time_ns()` of any process on this machine."""

    name: str
    at_ns: int
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def key(self) -> str:
        return str(self.fields.get("key", ""))

    @property
    def value(self) -> bytes:
        return base64.b64decode(self.fields.get("value") or "")

    @property
    def present(self) -> bool:
        """For a delete: whether another version of the key is left."""
        return bool(self.fields.get("present", False))

    @property
    def data(self) -> bytes:
        """For `heard`: the payload that came over the topic."""
        return bytes.fromhex(self.fields.get("data", ""))


@dataclass(frozen=True)
class GoWrite:
    """A finished put, delete or batch, and the deltas it made (none: nothing had to change)."""

    issued_ns: int
    done_ns: int
    cids: tuple[str, ...]


@dataclass(frozen=True, order=True)
class GoHead:
    cid: str
    height: int


@dataclass(frozen=True)
class GoListings:
    """What a Go betar shows, by store key, and the keys of the values that it hides."""

    shown: Mapping[str, Mapping[str, Any]]
    hidden: tuple[str, ...]


@dataclass(frozen=True)
class GoConnection:
    peer: str
    addrs: tuple[str, ...]
    protocols: tuple[str, ...]
    agent: str


@dataclass(frozen=True)
class GoFetch:
    data: bytes
    ms: float


@dataclass(frozen=True)
class GoNode:
    links: tuple[str, ...]
    priority: int
    elements: int
    tombstones: int


class _Pending:
    """A request that waits for its reply."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.reply: dict[str, Any] | None = None


class EventStream:
    """Events from a position of the peer's log on, without end."""

    def __init__(self, peer: GoPeer, position: int) -> None:
        self._peer = peer
        self._position = position

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> GoEvent:
        event = await self._peer._event_at(self._position)
        self._position += 1
        return event


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str | None) -> bytes:
    return base64.b64decode(text or "")


class GoPeer:
    """One running peer. Use `open_gopeer` to make one."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._pending: dict[int, _Pending] = {}
        self._next_id = 1
        self._sending = trio.Lock()
        self._log: list[GoEvent] = []
        self._changed = trio.Event()
        self._gone = False
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self.peer_id = ""
        self.addrs: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<GoPeer {self.peer_id[-8:]} pid {self.pid}>"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def address(self) -> str:
        """The first multiaddr to dial this peer by, with its peer id."""
        return self.addrs[0]

    # --- requests

    async def request(self, op: str, *, within: float = REPLY_TIMEOUT, **fields: Any) -> dict[str, Any]:
        """Send any request. Raises `GoPeerError` for an error and `trio.TooSlowError` for no reply."""
        if self._gone:
            raise self._gone_error(op)
        request_id = self._next_id
        self._next_id += 1
        pending = self._pending[request_id] = _Pending()
        line = json.dumps({"id": request_id, "op": op, **fields}) + "\n"
        assert self._process.stdin is not None
        try:
            with trio.fail_after(within):
                try:
                    async with self._sending:
                        # A write that was cut in half would spoil the next request as well.
                        with trio.CancelScope(shield=True), trio.fail_after(REPLY_TIMEOUT):
                            await self._process.stdin.send_all(line.encode())
                except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                    raise self._gone_error(op) from error
                await pending.done.wait()
        finally:
            del self._pending[request_id]
        reply = pending.reply
        if reply is None:
            raise self._gone_error(op)
        if "error" in reply:
            raise GoPeerError(f"{op}: {reply['error']}")
        return reply

    def _gone_error(self, op: str) -> GoPeerError:
        tail = "\n".join(self.stderr)
        return GoPeerError(f"{op}: the peer is gone (exit code {self._process.returncode})\n{tail}")

    @staticmethod
    def _write(reply: Mapping[str, Any]) -> GoWrite:
        return GoWrite(reply["issued_ns"], reply["done_ns"], tuple(reply["cids"]))

    async def put(self, key: str, value: bytes, *, within: float = REPLY_TIMEOUT) -> GoWrite:
        return self._write(await self.request("put", key=key, value=_b64(value), within=within))

    async def delete(self, key: str, *, within: float = REPLY_TIMEOUT) -> GoWrite:
        return self._write(await self.request("delete", key=key, within=within))

    async def batch(
        self,
        puts: Mapping[str, bytes] | Sequence[tuple[str, bytes]] = (),
        deletes: Sequence[str] = (),
        *,
        within: float = REPLY_TIMEOUT,
    ) -> GoWrite:
        """Puts, then deletes, in one delta."""
        pairs = puts.items() if isinstance(puts, Mapping) else puts
        wire = [{"key": key, "value": _b64(value)} for key, value in pairs]
        return self._write(await self.request("batch", puts=wire, deletes=list(deletes), within=within))

    async def get(self, key: str) -> bytes | None:
        reply = await self.request("get", key=key)
        return _unb64(reply["value"]) if reply["found"] else None

    async def list(self, prefix: str = "") -> dict[str, bytes]:
        reply = await self.request("list", prefix=prefix)
        return {key: _unb64(value) for key, value in reply["values"].items()}

    async def heads(self) -> tuple[GoHead, ...]:
        """In order of their CID's bytes, as go-ds-crdt links them."""
        reply = await self.request("heads")
        return tuple(GoHead(head["cid"], head["height"]) for head in reply["heads"])

    async def connect(self, addr: str, *, within: float = REPLY_TIMEOUT) -> str:
        """Dial a multiaddr that ends in /p2p/…; returns the peer id."""
        reply = await self.request("connect", addr=addr, timeout_ms=int(within * 1000), within=within + GRACE)
        return str(reply["peer"])

    async def dial_back(self, peer: str) -> None:
        """Ask a connected peer whether it can dial this one; `GoPeerError` with its answer when it cannot."""
        await self.request("dial_back", peer=peer)

    async def disconnect(self, peer: str) -> None:
        await self.request("disconnect", peer=peer)

    async def addr(self) -> tuple[str, ...]:
        return tuple((await self.request("addr"))["addrs"])

    async def peers(self) -> tuple[GoConnection, ...]:
        reply = await self.request("peers")
        return tuple(
            GoConnection(p["peer"], tuple(p["addrs"]), tuple(p["protocols"] or ()), p["agent"]) for p in reply["peers"]
        )

    async def topic_peers(self, wait_for: str = "", *, within: float = REPLY_TIMEOUT) -> tuple[str, ...]:
        """Who is subscribed to the CRDT topic, once `wait_for` (a peer id) is among them."""
        reply = await self.request("topic_peers", peer=wait_for, timeout_ms=int(within * 1000), within=within + GRACE)
        return tuple(reply["peers"])

    async def mesh_peers(self, wait_for: str = "", *, within: float = REPLY_TIMEOUT) -> tuple[str, ...]:
        """Who is in the peer's gossip mesh, once `wait_for` is: Go sends its own broadcasts to those alone."""
        reply = await self.request("mesh_peers", peer=wait_for, timeout_ms=int(within * 1000), within=within + GRACE)
        return tuple(reply["peers"])

    async def decode(self, block: bytes) -> GoNode:
        """What Go reads from the bytes of a DAG node; `GoPeerError` when it refuses them."""
        reply = await self.request("decode", data=_b64(block))
        return GoNode(tuple(reply["links"]), reply["priority"], reply["elements"], reply["tombstones"])

    async def publish(self, payload: bytes) -> None:
        """Put any payload on the CRDT topic."""
        await self.request("publish", data=_b64(payload))

    async def block(self, cid: str) -> bytes:
        """A block of the peer's own store; `GoPeerError` when it is not there."""
        return _unb64((await self.request("block", cid=cid))["data"])

    async def processed(self, cid: str) -> bool:
        """Whether go-ds-crdt takes a block for merged: then it does not look below it again."""
        return bool((await self.request("processed", cid=cid))["processed"])

    async def fetch(self, cid: str, *, within: float = REPLY_TIMEOUT) -> GoFetch:
        """A block from the peer's store or, with Bitswap, from whoever it is connected to."""
        reply = await self.request("fetch", cid=cid, timeout_ms=int(within * 1000), within=within + GRACE)
        return GoFetch(_unb64(reply["data"]), reply["ms"])

    async def add_file(self, data: bytes) -> str:
        """Keep a UnixFS file; returns its CID."""
        return str((await self.request("addfile", data=_b64(data)))["cid"])

    async def get_file(self, cid: str, *, within: float = REPLY_TIMEOUT) -> bytes:
        reply = await self.request("getfile", cid=cid, timeout_ms=int(within * 1000), within=within + GRACE)
        return _unb64(reply["data"])

    async def stats(self) -> dict[str, Any]:
        reply = await self.request("stats")
        return {name: value for name, value in reply.items() if name not in {"id", "ok"}}

    async def listings(self) -> GoListings:
        reply = await self.request("listings")
        return GoListings(reply["listings"], tuple(reply["hidden"]))

    async def latency(
        self, key: str, issued_ns: int, value: bytes | None = None, *, within: float = REPLY_TIMEOUT
    ) -> float:
        """Wait until a put of `key` issued at `issued_ns` elsewhere is visible here; milliseconds."""
        fields: dict[str, Any] = {"key": key, "issued_ns": issued_ns, "timeout_ms": int(within * 1000)}
        if value is not None:
            fields["value"] = _b64(value)
        return float((await self.request("latency", within=within + GRACE, **fields))["ms"])

    # --- events

    @property
    def event_log(self) -> Sequence[GoEvent]:
        """All events so far."""
        return self._log

    def mark(self) -> int:
        """A position in the log, to wait for events that come after it."""
        return len(self._log)

    def events(self, since: int = 0) -> EventStream:
        return EventStream(self, since)

    async def _event_at(self, position: int) -> GoEvent:
        while len(self._log) <= position:
            if self._gone:
                raise self._gone_error("waiting for an event")
            await self._changed.wait()
        await trio.lowlevel.checkpoint()
        return self._log[position]

    async def wait_event(
        self,
        name: str,
        key: str | None = None,
        value: bytes | None = None,
        *,
        since: int = 0,
        within: float = REPLY_TIMEOUT,
    ) -> GoEvent:
        """The first matching event at or after `since`, past or to come."""

        def matches(event: GoEvent) -> bool:
            return event.name == name and (key is None or event.key == key) and (value is None or event.value == value)

        with trio.fail_after(within):
            stream = self.events(since)
            while not matches(event := await anext(stream)):
                pass
        return event

    # --- life

    def _changed_now(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _take(self, line: bytes) -> None:
        message: dict[str, Any] = json.loads(line)
        if "event" in message:
            self._log.append(GoEvent(message.pop("event"), message.pop("at_ns", 0), message))
            self._changed_now()
        elif (pending := self._pending.get(message["id"] or 0)) is not None:
            pending.reply = message
            pending.done.set()

    async def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        try:
            async for line in _lines(self._process.stdout):
                self._take(line)
        finally:
            self._gone = True
            for pending in self._pending.values():
                pending.done.set()
            self._changed_now()

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        async for line in _lines(self._process.stderr):
            self.stderr.append(line.decode(errors="replace"))

    async def stop(self) -> None:
        """End the peer cleanly, or kill it if it will not. Ends at once when it is gone already."""
        with trio.CancelScope(shield=True), trio.move_on_after(STOP_TIMEOUT):
            if self._process.stdin is not None:
                await self._process.stdin.aclose()
            await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End the process as a power cut would."""
        if self._process.returncode is None:
            self._process.kill()
        with trio.CancelScope(shield=True):
            await self._process.wait()


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    buffer = bytearray()
    while True:
        try:
            chunk = await stream.receive_some(READ_SIZE)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        if not chunk:
            return
        buffer += chunk
        if b"\n" not in chunk:
            continue
        *whole, buffer = buffer.split(b"\n")
        for line in whole:
            yield bytes(line)


@asynccontextmanager
async def open_gopeer(
    nursery: trio.Nursery,
    *,
    binary: Path | None = None,
    listen: Sequence[str] = ("/ip4/127.0.0.1/tcp/0",),
    bootstrap: Sequence[str] = (),
    mdns: bool = False,
    dht: str = "",
    key: Path | None = None,
    data: Path | None = None,
    volatile_crdt: bool = False,
    rebroadcast: str = "2s",
    workers: int = 2,
    betar: bool = False,
    trace: bool = False,
    nat_service: bool = False,
    log_level: str = "error",
    inside: Sequence[str] = (),
) -> AsyncIterator[GoPeer]:
    """Run a peer until the block ends. The nursery runs the tasks that read from it.

    `bootstrap` are dialled before Bitswap starts, as betar does; `inside` is a command that runs the peer elsewhere,
    such as in a network namespace."""
    if binary is None:
        binary = await trio.to_thread.run_sync(build_gopeer)
    command = [*inside, str(binary), "-rebroadcast", rebroadcast, "-workers", str(workers), "-log-level", log_level]
    command += [part for each in listen for part in ("-listen", each)]
    command += [part for each in bootstrap for part in ("-bootstrap", each)]
    if dht:
        command += ["-dht", dht]
    if key is not None:
        command += ["-key", str(key)]
    if data is not None:
        command += ["-data", str(data)]
    switches = {"-mdns": mdns, "-volatile-crdt": volatile_crdt, "-betar": betar, "-trace": trace}
    switches["-nat-service"] = nat_service
    command += [name for name, on in switches.items() if on]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    peer = GoPeer(process)
    readers = trio.CancelScope()

    async def read() -> None:
        with readers:
            async with trio.open_nursery() as both:
                both.start_soon(peer._read_stdout)
                both.start_soon(peer._read_stderr)

    nursery.start_soon(read, name=f"gopeer {process.pid}")
    try:
        ready = await peer.wait_event("ready", within=START_TIMEOUT)
        peer.peer_id = ready.fields["peer"]
        peer.addrs = tuple(ready.fields["addrs"])
        yield peer
    finally:
        await peer.stop()
        readers.cancel()
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    await stream.aclose()


# --- waiting for whole networks -----------------------------------------------------------------


async def join(one: GoPeer, other: GoPeer) -> None:
    """Connect two Go peers, and return when each knows the other to be on the topic."""
    await one.connect(other.address)
    await one.topic_peers(other.peer_id)
    await other.topic_peers(one.peer_id)


async def wait_until(
    condition: Callable[[], Awaitable[Any]],
    *,
    within: float = REPLY_TIMEOUT,
    interval: float = 0.02,
) -> Any:
    """Poll an asynchronous condition until it is truthy, for what no event tells."""
    with trio.fail_after(within):
        while True:
            if result := await condition():
                return result
            await trio.sleep(interval)


async def wait_converged(*peers: GoPeer, within: float = REPLY_TIMEOUT) -> dict[str, bytes]:
    """Wait until all peers hold the same heads and values; returns the values."""
    values: dict[str, bytes] = {}

    async def same() -> bool:
        nonlocal values
        heads = [await peer.heads() for peer in peers]
        if any(other != heads[0] for other in heads):
            return False
        states = [await peer.list() for peer in peers]
        values = states[0]
        return all(other == values for other in states)

    await wait_until(same, within=within)
    return values
