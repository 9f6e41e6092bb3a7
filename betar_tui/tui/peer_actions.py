"""The actions on peers, for all screens: add one, disconnect, mute, block, copy its addresses."""

from collections.abc import Callable
from functools import partial

from textual.app import App

from betar_tui.errors import BetarError
from betar_tui.market.dialling import dialling_warning, own_address
from betar_tui.market.marketplace import Connected
from betar_tui.market.text import neutralise
from betar_tui.multiaddrs import split_peer
from betar_tui.tui import format as fmt
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.copying import Copying
from betar_tui.tui.messages import Retry
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.screens.dialogues import ConfirmScreen, ConnectScreen
from betar_tui.tui.workers import runs, start


class PeerActions:
    """`sync` shows news of the model on all screens; `notify` shows a message."""

    def __init__(
        self,
        app: App[None],
        model: MarketModel,
        bridge: Bridge,
        copying: Copying,
        sync: Callable[[News], None],
        notify: Callable[..., None],
    ) -> None:
        self._app, self._model, self._bridge = app, model, bridge
        self._copying, self._sync, self._notify = copying, sync, notify
        self._disconnected: dict[str, float] = {}

    def connect(self) -> None:
        """Ask for a peer's address and dial it; the own one is shown, for the other side."""
        self._app.push_screen(ConnectScreen(self._bridge, self._own_address(), self.copy_own), self._connected)

    def copy_own(self) -> None:
        """Copy the address by which others connect to this peer, or say why there is none."""
        status, address = self._model.status, self._own_address()
        if status is None or not address:
            key = self._model.keys.name("go_online")
            why = f"it is offline ({key} tries again)" if status and status.offline else "its network is not open yet"
            self._notify(f"This peer has no address: {why}", "warning")
            return
        self._copying.text(address)
        if warning := dialling_warning([(split_peer(address)[0],)], status):
            self._notify(f"Mind that {neutralise(warning, 200)}", "warning")

    def _own_address(self) -> str:
        return own_address(self._model.status) if self._model.status else ""

    def disconnect(self, peer_id: str) -> None:
        """Ask once, then close the connections to a peer."""
        if self._model.peer(peer_id) is None:
            self._notify("No peer is chosen, or it is no longer connected", "warning")
            return
        question = ConfirmScreen(
            f"Disconnect {fmt.short_id(peer_id)}?",
            f"{neutralise(peer_id, 120)}\nIt is not dialled again in this run, but it may come back by itself within "
            f"seconds: {self._model.keys.name('block')} blocks it, so that it is not let in. Its listings stay.",
            "Disconnect",
        )

        def answered(yes: bool | None) -> None:
            if yes:
                start(self._app, partial(self._disconnect, peer_id), group="disconnect", exclusive=False)

        self._app.push_screen(question, answered)

    def returned(self) -> None:
        """Say how to keep out a peer that was disconnected and has come back."""
        for peer in self._model.peers:
            if peer.connected_since > self._disconnected.get(peer.peer_id, float("inf")):
                del self._disconnected[peer.peer_id]
                key = self._model.keys.name("block")
                text = f"{fmt.short_id(peer.peer_id)} has come back by itself. {key} on it among the peers blocks it"
                self._notify(text, "warning")

    def go_online(self) -> None:
        """Open a network that is offline, on a free port where the chosen one is taken; or run a peer that is gone."""
        status = self._model.status
        if runs(self._app, "online"):
            doing = "being started" if self._model.gone else "going online"
            self._notify(f"The peer is {doing}")
        elif self._model.gone:
            start(self._app, self._take_over, group="online")
        elif status is not None and status.offline:
            start(self._app, partial(self._go_online, bool(status.port_taken)), group="online")
        else:
            self._notify("This peer is not offline")

    def mute(self, seller_id: str) -> None:
        """Mute a seller, or show its listings again."""
        if not seller_id:
            self._notify("No seller is chosen", "warning")
        elif seller_id == self._model.own_id:
            self._notify("Your own listings cannot be muted", "warning")
        else:
            muted = seller_id not in self._model.muted
            self._sync(self._model.mute(seller_id, muted))
            start(self._app, partial(self._mute, seller_id, muted), group="mute", exclusive=False)

    def block(self, peer_id: str) -> None:
        """Ask once, then have nothing to do with a peer; or let a blocked one in again."""
        if not peer_id:
            self._notify("No peer is chosen", "warning")
        elif peer_id == self._model.own_id:
            self._notify("This peer itself cannot be blocked", "warning")
        elif peer_id in self._model.blocked:
            start(self._app, partial(self._block, peer_id, False), group="block", exclusive=False)
        else:
            self._ask_to_block(peer_id)

    def _ask_to_block(self, peer_id: str) -> None:
        key = self._model.keys.name("block")
        question = ConfirmScreen(
            f"Block {fmt.short_id(peer_id)}?",
            f"{neutralise(peer_id, 120)}\nIt is disconnected, not dialled and not let in, and what it announces is dropped. "
            f"Its listings stay. To let it in again, press {key} once more or go to the settings.",
            "Block it",
        )

        def answered(yes: bool | None) -> None:
            if yes:
                start(self._app, partial(self._block, peer_id, True), group="block", exclusive=False)

        self._app.push_screen(question, answered)

    def copy(self, peer_id: str) -> None:
        """Ask which part of a peer to copy."""
        own = self._model.status.addrs if self._model.status else ()
        peer = self._model.peer(peer_id)
        if peer is None and not own:
            self._notify("Nothing to copy: no peer is chosen, and no address of ours is known yet", "warning")
            return
        self._copying.peer(peer, own)

    async def _block(self, peer_id: str, blocked: bool) -> None:
        act = self._bridge.block if blocked else self._bridge.unblock
        try:
            await act(peer_id)
        except BetarError as error:
            state = "not blocked" if blocked else "still blocked"
            self._notify(f"{fmt.short_id(peer_id)} is {state}: {neutralise(str(error), 200)}", "error")
            return
        self._note(f"{fmt.short_id(peer_id)} is {'blocked' if blocked else 'let in again'}")

    async def _mute(self, seller_id: str, muted: bool) -> None:
        act = self._bridge.mute if muted else self._bridge.unmute
        self._model.muting += 1
        try:
            await act(seller_id)
        except BetarError as error:
            self._sync(self._model.mute(seller_id, not muted))
            state = "not muted" if muted else "still muted"
            self._notify(f"{fmt.short_id(seller_id)} is {state}: {neutralise(str(error), 200)}", "error")
            return
        finally:
            self._model.muting -= 1
        await self._say_muted(seller_id, muted)

    async def _say_muted(self, seller_id: str, muted: bool) -> None:
        try:
            count = fmt.plural(await self._bridge.count(f"seller:{seller_id}"), "listing")
        except BetarError:
            count = "its listings"  # they are hidden, or heard, all the same
        done = f"muted: {count} hidden, state:muted shows them" if muted else f"heard again: {count}"
        self._note(f"{fmt.short_id(seller_id)} is {done}")

    async def _take_over(self) -> None:
        try:
            await self._bridge.take_over()
        except BetarError as error:
            self._notify(f"The peer does not run here: {neutralise(str(error), 200)}", "error")
            return
        self._note("The peer runs again")
        self._app.post_message(Retry())

    async def _go_online(self, free_port: bool) -> None:
        try:
            await self._bridge.go_online(free_port)
            addrs = (await self._bridge.status()).addrs
        except BetarError as error:
            self._notify(f"Still offline: {neutralise(str(error), 200)}", "error")
            return
        where = f": it listens on {neutralise(split_peer(addrs[0])[0], 60)}" if addrs else ""
        self._note(f"This peer is online{where}")

    async def _disconnect(self, peer_id: str) -> None:
        try:
            await self._bridge.disconnect(peer_id)
        except BetarError as error:
            self._notify(f"{fmt.short_id(peer_id)} is still connected: {neutralise(str(error), 200)}", "error")
            return
        self._disconnected[peer_id] = self._model.clock()
        self._note(f"Disconnected {fmt.short_id(peer_id)}")

    def _connected(self, connected: Connected | None) -> None:
        if connected is not None:
            peer = connected.peer
            agent = f", {neutralise(peer.agent, 40)}" if peer.agent else ""
            how = "Already connected" if connected.already else "Connected"
            self._note(f"{how} to {fmt.short_id(peer.peer_id)}{agent}")

    def _note(self, text: str) -> None:
        self._model.activity.notice("info", text, self._model.clock())
        self._sync(News(activity=True, status=True))
