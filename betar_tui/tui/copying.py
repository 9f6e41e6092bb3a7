"""Copying parts of a listing or of a peer to the clipboard, through the terminal (OSC 52)."""

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.app import App

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import Listing, PeerInfo
from betar_tui.market.text import letters_of, neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.screens.menu import MenuItem, MenuScreen
from betar_tui.tui.workers import start

SHOWN = 44
"""Number of letters of a value that the menu shows."""


class Copying:
    """The menus that ask what to copy, and the copying."""

    def __init__(self, app: App[None], bridge: Bridge, notify: Callable[..., None]) -> None:
        self._app, self._bridge, self._notify = app, bridge, notify

    def listing(self, listing: Listing) -> None:
        """Ask which part of a listing to copy."""
        choices = (
            MenuItem("i", "Id", neutralise(listing.id, SHOWN)),
            MenuItem("c", "CID", fmt.short_cid(listing.cid)),
            MenuItem("j", "JSON", "the value as it is stored"),
            MenuItem("m", "Multiaddr", neutralise(listing.addrs[0], SHOWN) if listing.addrs else ""),
        )
        self._ask(f"Copy of {neutralise(listing.name, 40)}", choices, partial(self.of_listing, listing))

    def of_listing(self, listing: Listing, key: str) -> None:
        """Copy the part of a listing that has this key in the menu."""
        if key == "j":
            start(self._app, partial(self._json, listing), group="copy")
        else:
            self.text({"i": listing.id, "c": listing.cid, "m": "".join(listing.addrs[:1])}[key])

    def peer(self, peer: PeerInfo | None, own_addrs: tuple[str, ...]) -> None:
        """Ask which part of a peer to copy, or the own addresses; only the latter without a peer."""
        texts = {
            "i": peer.peer_id if peer else "",
            "a": "".join(peer.addrs[:1]) if peer else "",
            "o": "\n".join(own_addrs),
        }
        own = f"{neutralise(own_addrs[0], SHOWN - 10)}{' and more' if own_addrs[1:] else ''}" if own_addrs else ""
        choices = (
            MenuItem("i", "Id", neutralise(texts["i"], SHOWN)),
            MenuItem("a", "Address", neutralise(texts["a"], SHOWN)),
            MenuItem("o", "Our own", own),
        )
        title = f"Copy: peer {fmt.short_id(peer.peer_id)}" if peer else "Copy: no peer is chosen"
        self._ask(title, choices, lambda key: self.text(texts[key]))

    def text(self, text: str) -> None:
        """Send a text to the terminal for its clipboard, made safe line by line, as it may come from the network.

        Nothing tells whether the terminal takes it."""
        lines = [letters_of(line) for line in text.split("\n")]
        self._app.copy_to_clipboard("\n".join(lines))
        more = f" and {fmt.plural(len(lines) - 1, 'more line')}" if lines[1:] else ""
        self._notify(f"Sent to the terminal for its clipboard: {neutralise(lines[0], 80)}{more}")

    async def _json(self, listing: Listing) -> None:
        try:
            self.text((await self._bridge.show(listing.id)).raw)
        except BetarError as error:
            self._notify(f"The stored value cannot be had: {neutralise(str(error), 200)}", "error")

    def _ask(self, title: str, choices: tuple[MenuItem, ...], then: Callable[[str], Any]) -> None:
        def chosen(key: str | None) -> None:
            if key:
                then(key)

        self._app.push_screen(MenuScreen(title, choices), chosen)
