"""Install the JavaScript peer of this folder, and talk to it: JSON lines on its stdin and stdout (see peer.js)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from betar_tui.ipld.cid import from_str
from tests.interop.driver import _file_lock, cache_dir

SOURCES = Path(__file__).resolve().parent
FILES = ("package.json", "peer.js")
MIN_NODE = 20
INSTALL_TIMEOUT = 300.0
NPM = (
    "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts",
    "--omit=dev", "--omit=optional", "--omit=peer", "--loglevel=error",
)  # fmt: skip


class HeliaError(Exception):
    """The peer could not be installed, or answered with an error."""


def why_not() -> str:
    """Why the peer cannot be run here; "" where it can, once it is installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "no `node` and `npm` on PATH: the JavaScript peer cannot be installed"
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", said)
    if found is None or int(found[1]) < MIN_NODE:
        return f"the JavaScript peer needs node {MIN_NODE} or newer, not {said.strip()}"
    return ""


def install() -> Path:
    """The folder of the installed peer, whose packages are named with their versions in package.json. Safe to call
    concurrently. Raises HeliaError, as without a package registry."""
    sources = {name: (SOURCES / name).read_bytes() for name in FILES}
    packages = cache_dir().parent / "helia" / hashlib.sha256(sources["package.json"]).hexdigest()[:20]
    packages.mkdir(parents=True, exist_ok=True)
    with _file_lock(packages / "lock"):
        for name, source in sources.items():
            (packages / name).write_bytes(source)
        done = packages / "installed"
        if not done.exists():
            try:
                subprocess.run(NPM, cwd=packages, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                raise HeliaError(f"{' '.join(NPM)} failed: {error.stderr}") from error
            done.touch()
    return packages


class HeliaPeer:
    """A running peer. One request at a time."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = b""
        self.peer_id = ""
        self.address = ""

    async def line(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            data = await self._process.stdout.receive_some(1 << 16)
            if not data:
                raise HeliaError("the peer is gone")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    async def request(self, op: str, *, within: float = 60.0, **fields: Any) -> dict[str, Any]:
        """Send a request. Raises HeliaError for an error, trio.TooSlowError for no reply."""
        assert self._process.stdin is not None
        with trio.fail_after(within):
            await self._process.stdin.send_all(json.dumps({"id": 1, "op": op, **fields}).encode() + b"\n")
            reply = await self.line()
        if "error" in reply:
            raise HeliaError(f"{op}: {reply['error']}")
        return reply

    async def fetch(self, cids: Sequence[str]) -> float:
        """Fetch blocks from the connected peers; returns the seconds that it took."""
        return float((await self.request("fetch", cids=list(cids)))["ms"]) / 1000

    async def put(self, *blocks: bytes) -> list[str]:
        """Keep blocks; returns their CIDs."""
        put = await self.request("put", blocks=[base64.b64encode(each).decode() for each in blocks])
        return list(put["cids"])

    async def put_chain(self, length: int) -> str:
        """Keep a chain of blocks, each of which starts with the CID of the one before; returns the CID of the last."""
        name = ""
        for _ in range(length):
            (name,) = await self.put(from_str(name) + os.urandom(100) if name else os.urandom(10))
        return name

    async def walk(self, cid: str, length: int) -> float:
        """Fetch a chain from the connected peers, a block after the other; returns the seconds that it took."""
        walked = await self.request("walk", cid=cid)
        if walked["count"] != length:
            raise HeliaError(f"walked {walked['count']} blocks of a chain of {length}")
        return float(walked["ms"]) / 1000


@asynccontextmanager
async def open_helia(packages: Path) -> AsyncIterator[HeliaPeer]:
    """Run a peer until the block ends."""
    process = await trio.lowlevel.open_process(
        ["node", "peer.js"], cwd=packages, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}
    )
    peer = HeliaPeer(process)
    try:
        with trio.fail_after(30):
            ready = await peer.line()
        peer.peer_id, peer.address = ready["peer"], ready["addrs"][0]
        yield peer
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    await stream.aclose()
