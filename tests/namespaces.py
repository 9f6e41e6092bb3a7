"""Network namespaces for tests: machines on one link or on several, with nothing outside them.

A `Lan` is a namespace that holds a bridge; a `Machine` is a namespace with an interface on one or more of them. Each is
kept by a process of its own and disappears with it, so a test that is killed leaves nothing behind. Making them needs
root and iproute2: tests use the fixture `lan`, which skips with the reason where they are missing."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache

import trio

CAPTURE = """
import select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 0))
s.setblocking(False)
print("ready", flush=True)
going = True
while going:
    going = sys.stdin not in select.select([s, sys.stdin], [], [])[0]
    while True:
        try:
            print(s.recv(65535).hex(), flush=True)
        except BlockingIOError:
            break
"""


@cache
def why_not() -> str:
    """Why namespaces cannot be made here; "" where they can."""
    for tool in ("unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            return f"network namespaces need {tool}"
    command = ["unshare", "--net", "ip", "link", "add", "br0", "type", "bridge"]
    made = subprocess.run(command, capture_output=True, check=False)
    return "" if made.returncode == 0 else f"network namespaces cannot be made: {made.stderr.decode().strip()}"


class Namespace:
    """A network namespace, kept by the process `pid`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def command(self, *arguments: str) -> tuple[str, ...]:
        """`arguments` as a command that runs inside."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *arguments)

    async def run(self, *arguments: str) -> str:
        """Run a command inside; returns what it printed. Raises subprocess.CalledProcessError."""
        done = await trio.run_process(self.command(*arguments), capture_stdout=True, capture_stderr=True)
        return done.stdout.decode()


class Machine(Namespace):
    """A machine: loopback, and an interface `eth0`, `eth1` … for each link that it was attached to."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.interfaces = 0

    async def attach(self, lan: "Lan", *addresses: str) -> str:
        """Plug into a link, with addresses such as 10.1.0.2/24 or fd01::2/64. Returns the interface's name."""
        name, port = f"eth{self.interfaces}", f"port{lan.ports}"
        self.interfaces, lan.ports = self.interfaces + 1, lan.ports + 1
        await self.run("ip", "link", "add", name, "type", "veth", "peer", "name", port, "netns", str(lan.pid))
        await lan.run("ip", "link", "set", port, "master", "br0", "up")
        await self.run("ip", "link", "set", name, "up")
        await self.add(name, *addresses)
        return name

    async def add(self, interface: str, *addresses: str) -> None:
        """Give an interface further addresses."""
        for address in addresses:
            await self.run("ip", "address", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))

    async def remove(self, interface: str, *addresses: str) -> None:
        """Take addresses from an interface."""
        for address in addresses:
            await self.run("ip", "address", "del", address, "dev", interface)

    async def unplug(self, interface: str = "eth0") -> None:
        """Take an interface down, as pulling the cable does."""
        await self.run("ip", "link", "set", interface, "down")

    async def plug(self, interface: str = "eth0") -> None:
        """Bring an interface up again."""
        await self.run("ip", "link", "set", interface, "up")


class Lan(Namespace):
    """A link. Machines are made with `machine`, which attaches them to it."""

    def __init__(self, pid: int, stack: AsyncExitStack) -> None:
        super().__init__(pid)
        self.ports = 0
        self._stack = stack

    async def machine(self, *addresses: str) -> Machine:
        """A machine on this link; without addresses a bare one that is attached to nothing."""
        machine = Machine(await self._stack.enter_async_context(_namespace()))
        await machine.run("ip", "link", "set", "lo", "up")
        if addresses:
            await machine.attach(self, *addresses)
        return machine

    @asynccontextmanager
    async def capture(self) -> AsyncIterator[list[bytes]]:
        """Every Ethernet frame on the link during the block; complete once it has ended."""
        frames: list[bytes] = []
        command = self.command(sys.executable, "-c", CAPTURE, "br0")
        process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        ready = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_collect, process.stdout, frames, ready)
                await ready.wait()
                yield frames
                await process.stdin.aclose()  # it reports what is left, and ends
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                await process.stdout.aclose()


async def _collect(stdout: trio.abc.ReceiveStream, frames: list[bytes], ready: trio.Event) -> None:
    rest = b""
    async for piece in stdout:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line == b"ready":
                ready.set()
            else:
                frames.append(bytes.fromhex(line.decode()))


@asynccontextmanager
async def open_lan() -> AsyncIterator[Lan]:
    """A link without machines, and all that is made on it until the block ends."""
    async with AsyncExitStack() as stack:
        lan = Lan(await stack.enter_async_context(_namespace()), stack)
        await lan.run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        await lan.run("ip", "link", "set", "br0", "up", "promisc", "on")  # for `capture`
        yield lan


@asynccontextmanager
async def _namespace() -> AsyncIterator[int]:
    """The id of a process in a new namespace. It ends when this process does: its input ends then."""
    process = await trio.lowlevel.open_process(
        ["unshare", "--net", "sh", "-c", "echo; cat >&2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        await process.stdout.receive_some(1)
        yield process.pid
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()


def ip_packets(frames: Sequence[bytes], *machine: str) -> list[str]:
    """ "source > destination" of the captured IP packets; with addresses, of those that one of them sent."""
    packets = []
    for frame in frames:
        kind = int.from_bytes(frame[12:14])
        if kind == 0x0800:
            source, destination = (socket.inet_ntop(socket.AF_INET, frame[at : at + 4]) for at in (26, 30))
        elif kind == 0x86DD:
            source, destination = (socket.inet_ntop(socket.AF_INET6, frame[at : at + 16]) for at in (22, 38))
        else:
            continue
        if not machine or source in machine:
            packets.append(f"{source} > {destination}")
    return packets


REQUIRE = os.environ.get("BETAR_TUI_REQUIRE_NAMESPACES") == "1"
"""Whether a machine that cannot make namespaces fails these tests instead of skipping them."""
