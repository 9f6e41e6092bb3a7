"""What can be copied of a listing and of a peer, and doing so: through the terminal (OSC 52)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.app import App

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import Listing, PeerInfo
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.screens.menu import Choice, MenuScreen
from betar_tui.tui.workers import start

SHOWN = 44
"""Letters of a value that the menu shows."""


class Copying:
    """The menus and what they lead to."""

    def __init__(self, app: App[None], bridge: Bridge, say: Callable[..., None]) -> None:
        self._app, self._bridge, self._say = app, bridge, say

    def listing(self, listing: Listing) -> None:
        """Ask what of a listing is to be copied."""
        choices = (
            Choice("i", "Id", neutralise(listing.id, SHOWN)),
            Choice("c", "CID", fmt.short_cid(listing.cid)),
            Choice("j", "JSON", "the value as it is stored"),
            Choice("m", "Multiaddr", neutralise(listing.addrs[0], SHOWN) if listing.addrs else ""),
        )
        self._ask(f"Copy of {neutralise(listing.name, 40)}", choices, partial(self.of_listing, listing))

    def of_listing(self, listing: Listing, what: str) -> None:
        """Copy one thing of a listing: its key in the menu says which."""
        if what == "j":
            start(self._app, partial(self._json, listing), group="copy")
        else:
            self.text({"i": listing.id, "c": listing.cid, "m": "".join(listing.addrs[:1])}[what])

    def peer(self, peer: PeerInfo | None, own_addrs: tuple[str, ...]) -> None:
        """Ask what of a peer is to be copied, or of ourselves; without a peer only the latter."""
        texts = {
            "i": peer.peer_id if peer else "",
            "a": "".join(peer.addrs[:1]) if peer else "",
            "o": "\n".join(own_addrs),
        }
        own = f"{neutralise(own_addrs[0], SHOWN - 10)}{' and more' if own_addrs[1:] else ''}" if own_addrs else ""
        choices = (
            Choice("i", "Id", neutralise(texts["i"], SHOWN)),
            Choice("a", "Address", neutralise(texts["a"], SHOWN)),
            Choice("o", "Our own", own),
        )
        title = f"Copy of peer {fmt.short_id(peer.peer_id)}" if peer else "Copy: no peer is chosen"
        self._ask(title, choices, lambda what: self.text(texts[what]))

    def text(self, text: str) -> None:
        """Copy a text; what the network sent is made harmless, line by line."""
        lines = [neutralise(line) for line in text.split("\n")]
        self._app.copy_to_clipboard("\n".join(lines))
        more = f" and {fmt.plural(len(lines) - 1, 'more line')}" if lines[1:] else ""
        self._say(f"Copied {neutralise(lines[0], 80)}{more}")

    async def _json(self, listing: Listing) -> None:
        try:
            self.text((await self._bridge.show(listing.id)).raw)
        except BetarError as error:
            self._say(f"The stored value cannot be had: {neutralise(str(error), 200)}", "error")

    def _ask(self, title: str, choices: tuple[Choice, ...], then: Callable[[str], Any]) -> None:
        def chosen(key: str | None) -> None:
            if key:
                then(key)

        self._app.push_screen(MenuScreen(title, choices), chosen)
