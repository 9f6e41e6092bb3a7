"""What a terminal gets, in order: the interface is on the screen before libp2p is imported."""

import os
import pty
import re
import sys

import trio

from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import open_peer
from tests.peers.harness import clean_environment, config

IMPORTED = re.compile(rb"import time:[^\n]*[ |]libp2p\b")


async def test_stored_listings_are_painted_before_libp2p_is_imported(tmp_path):
    async with open_peer(config(tmp_path), network=False) as peer:
        await peer.publish([ListingDraft("swift-ocr", 0.05)])
    # Python writes its import times to the terminal that the interface paints on: one stream, in order.
    controller, terminal = pty.openpty()
    process = await trio.lowlevel.open_process(
        [sys.executable, "-X", "importtime", "-m", "betar_tui", "--data-dir", str(tmp_path),
         "--listen", "/ip4/127.0.0.1/tcp/0"],
        stdin=terminal, stdout=terminal, stderr=terminal,
        env={**clean_environment(), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
    )  # fmt: skip
    os.close(terminal)
    seen = bytearray()
    try:
        async with trio.lowlevel.FdStream(controller) as screen:
            with trio.fail_after(60):
                while not IMPORTED.search(seen):
                    seen += await screen.receive_some(65536)
    finally:
        process.kill()
        await process.wait()
    assert b"swift-ocr" in seen[: IMPORTED.search(seen).start()], "libp2p was imported before the listing was painted"
