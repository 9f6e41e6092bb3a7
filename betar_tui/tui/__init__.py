"""The terminal interface: a Textual app over one `Marketplace`.

May import `market.marketplace`, `market.index`, `market.order`, `market.filter`, `market.text` and `errors`, and nothing of
the network, the replica or the store: the first frame is painted before any of them is loaded. The door for others is
`run.run_app`. Only this room knows that Textual runs on asyncio inside the trio run (`bridge`).
"""

# Before textual, which takes `current_task` out of asyncio: since Python 3.12 that only works as replaced by this.
import trio_asyncio  # noqa: F401
