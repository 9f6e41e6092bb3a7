"""What there is to tell about having no peer of the market, and having one again. Pure."""

from betar_tui.market.marketplace import Connectivity, Status


class Company:
    """Whether the activity has said that the last peer is gone."""

    def __init__(self) -> None:
        self._told_gone = False

    def tell(self, before: Status | None, now: Status) -> tuple[str, str] | None:
        """The level and the text of a notice where the status says something new, each loss and each return once."""
        if now.connectivity is Connectivity.ONLINE:
            back, self._told_gone = self._told_gone, False
            return ("info", "Connected again") if back else None
        lost = before is not None and before.connectivity is Connectivity.ONLINE
        # A restarted peer has not lost its connections: it has not made them yet.
        if before is None or not lost or now.connectivity is not Connectivity.ALONE or now.uptime < before.uptime:
            return None
        self._told_gone = True
        return "warning", "The last peer is gone"
