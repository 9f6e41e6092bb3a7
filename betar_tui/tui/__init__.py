"""The terminal interface: a Textual app over one `Marketplace`.

May import `market.marketplace`, `market.index`, `market.order`, `market.filter`, `market.text` and `errors`, and nothing of
the network, the replica or the store: the first frame is painted before any of them is loaded. The door for others is
`run.run_app`. Only this room knows that Textual runs on asyncio inside the trio run (`bridge`).
"""
