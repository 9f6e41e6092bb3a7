"""The terminal interface: a Textual app over one `Marketplace`, entered by `run.run_app`.

It imports `choices`, `errors`, `multiaddrs` and the pure parts of `market` (`marketplace`, `calls`, `dialling`, `fields`,
`filter`, `history`, `json_values`, `names`, `peer_facts`, `prices`, `sorting`, `text`), and nothing of the network, the
replica or the store: the first frame is painted before any of them is loaded. Only `bridge` and `run` know that Textual's
asyncio loop runs inside the trio run."""

import os

from betar_tui.tui import newer_asyncio

# Textual draws a frame at most so often, and waits for up to two of these periods: at its 60 a second a key waits for 25 ms
# with nothing to do. It reads this when it is imported.
os.environ.setdefault("TEXTUAL_FPS", "120")

newer_asyncio.prepare()
# Before textual, which imports `current_task` from asyncio: since Python 3.12 it has to be the one replaced by this.
import trio_asyncio  # noqa: E402, F401
