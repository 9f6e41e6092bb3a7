"""The announcements under the status line: matters that a person has to decide or to wait for. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from betar_tui.market.marketplace import PeerInfo, Status, SyncProgress
from betar_tui.market.peer_facts import is_waiting, not_fetching_text
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt

MIN_ANNOUNCED_SYNC = 100
"""Minimum deltas of a sync that is announced: in a live market a few are always on their way."""
NOTICE_SECONDS = 60.0
"""Seconds from the start during which another port than the default one is announced."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One line: its sign, text, a shorter text for narrow terminals, and the action of its key and of a click."""

    sign: str
    text: str
    short: str
    action: str


def announcements(
    status: Status | None, peers: Sequence[PeerInfo], now: float, key: Callable[[str], str], silence: str = ""
) -> tuple[Announcement, ...]:
    """The lines that apply now; `key` returns the name of an action's key. `silence` is the reason why the status is old."""
    lines = []
    if silence:
        text = neutralise(silence, 300)
        lines.append(Announcement("✗", text[:1].upper() + text[1:], "The peer does not answer", "app.go_to('log')"))
    if status is None:
        return tuple(lines)
    if status.offline:
        lines.append(_offline(status, key("go_online")))
    if status.listen_notice and status.uptime < NOTICE_SECONDS:
        text = neutralise(status.listen_notice, 200)
        lines.append(Announcement("!", text, "The port is in use; a free one was taken instead", "app.go_to('log')"))
    if waiting := [fmt.short_id(peer.peer_id) for peer in peers if is_waiting(peer, now)]:
        count = fmt.plural(len(waiting), "peer does", "peers do")
        short = f"{count} not fetch what you publish"
        lines.append(Announcement("!", not_fetching_text(waiting), short, "app.go_to('peers')"))
    if status.peers_unable_to_read > 0 and status.dialect_choice != "auto":
        lines.append(_unable_to_read(status, key("choose_dialect")))
    if status.sync_held:
        lines.append(_fetching_held(status, key("hold_sync")))
    elif status.sync and status.sync.fetched + status.sync.missing >= MIN_ANNOUNCED_SYNC:
        lines.append(_syncing(status.sync, key("hold_sync")))
    return tuple(lines)


def _offline(status: Status, key: str) -> Announcement:
    reason = f"Offline: {neutralise(status.offline, 200)}"
    if not status.port_taken:
        return Announcement("✗", f"{reason}. Press {key} to try again", f"Offline. {key} tries again", "go_online")
    short = f"Cannot listen on {neutralise(status.port_taken, 34)}: {key} takes a free port"
    return Announcement("✗", f"{reason}. Press {key} to go online on a free port", short, "go_online")


def gone(key: str) -> Announcement:
    """The line where the peer was another process, which has ended."""
    text = f"The peer that this window was attached to is gone. Press {key} to run it in this window"
    return Announcement("✗", text, f"The peer is gone: {key} runs it in this window", "go_online")


def _syncing(sync: SyncProgress, key: str) -> Announcement:
    text, short = sync_text(sync), sync_text(sync, source=False)
    return Announcement("↓", f"{text}. Press {key} to hold it", f"{short}. {key} holds it", "hold_sync")


def sync_text(sync: SyncProgress, *, source: bool = True) -> str:
    """The progress of a sync: "syncing: 1,200 fetched, 900/s, at least 40 to come, from 12D3…a91f".

    A delta names only those right below it, so nobody knows how many there are: a share, or the time that is left, would
    be made up."""
    sender = f", from {fmt.short_id(sync.source) if sync.source else 'several peers'}" if source else ""
    return f"syncing: {sync.fetched:,} fetched, {sync.rate:,.0f}/s, at least {sync.missing:,} to come{sender}"


def other_dialect(status: Status) -> str:
    """The dialect to switch to."""
    return "documents" if status.dialect == "betar-go" else "betar-go"


def _unable_to_read(status: Status, key: str) -> Announcement:
    problem = f"{fmt.plural(status.peers_unable_to_read, 'Go peer')} cannot read your listings"
    other = other_dialect(status)
    text = f"{problem}: they are written as {status.dialect}. Press {key} to write them in {other}"
    return Announcement("!", text, f"{problem} ({status.dialect}). {key} writes them in {other}", "choose_dialect")


def _fetching_held(status: Status, key: str) -> Announcement:
    missing = status.sync.missing if status.sync else status.pending
    known = f", {fmt.plural(missing, 'block')} known to be missing" if missing else ""
    text = "The fetching of history is held"
    return Announcement("‖", f"{text}{known}. Press {key} to go on", f"{text}. {key} goes on", "hold_sync")
