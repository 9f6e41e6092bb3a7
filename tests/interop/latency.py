"""How long a write takes from one Go peer to another: the pace that ours is held against.

Run it with `python -m tests.interop.latency [count]`.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import trio

from tests.interop.driver import GoPeer, join, open_gopeer

VALUE_SIZE = 500  # about a listing
WARM_UP = 5


async def put_and_wait(writer: GoPeer, reader: GoPeer, key: str, value: bytes) -> float:
    """Milliseconds from the writer's put to the reader's event. Both times are of the Go processes."""
    start = reader.mark()
    written = await writer.put(key, value)
    seen = await reader.wait_event("put", key, value, since=start)
    return (seen.at_ns - written.issued_ns) / 1e6


async def measure_go_latency(n: int, binary: Path | None = None) -> list[float]:
    """Write-to-visible latency of `n` puts, one after the other, between two Go peers on loopback."""
    async with (
        trio.open_nursery() as nursery,
        open_gopeer(nursery, binary=binary) as writer,
        open_gopeer(nursery, binary=binary) as reader,
    ):
        await join(writer, reader)
        # The first ones wait for the mesh to form, which takes a heartbeat.
        for i in range(WARM_UP):
            await put_and_wait(writer, reader, f"/agents/warm{i}", b"w" * VALUE_SIZE)
        return [
            await put_and_wait(writer, reader, f"/agents/k{i}", b"%06d" % i + b"v" * (VALUE_SIZE - 6)) for i in range(n)
        ]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    samples = trio.run(measure_go_latency, count)
    print(
        f"Go to Go, {count} puts of {VALUE_SIZE} bytes: median {statistics.median(samples):.1f} ms,"
        f" min {min(samples):.1f} ms, max {max(samples):.1f} ms"
    )


if __name__ == "__main__":
    main()
