"""The announcements under the status line: matters that a person has to decide or to wait for. Pure."""

from dataclasses import dataclass

from betar_tui.market.marketplace import Status, SyncProgress
from betar_tui.tui import format as fmt

MIN_ANNOUNCED_SYNC = 100
"""Minimum deltas of a sync that is announced: in a live market a few are always on their way."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One line: its sign, text, a shorter text for narrow terminals, and the action of its key and of a click."""

    sign: str
    text: str
    short: str
    action: str


def announcements(status: Status | None, dialect_key: str, hold_key: str) -> tuple[Announcement, ...]:
    """The lines that apply now."""
    if status is None:
        return ()
    lines = []
    if status.peers_unable_to_read > 0 and status.dialect_choice != "auto":
        lines.append(_unable_to_read(status, dialect_key))
    if status.sync_held:
        lines.append(_fetching_held(status, hold_key))
    elif status.sync and status.sync.fetched + status.sync.missing >= MIN_ANNOUNCED_SYNC:
        text, short = sync_text(status.sync), sync_text(status.sync, source=False)
        holds = f"{hold_key} holds it"
        lines.append(Announcement("↓", f"{text}. Press {hold_key} to hold it", f"{short}. {holds}", "hold_sync"))
    return tuple(lines)


def sync_text(sync: SyncProgress, *, source: bool = True) -> str:
    """The progress of a sync: "syncing 1,200 of 5,000 (24 %), 900/s, 4s left, from 12D3…a91f"."""
    known = sync.fetched + sync.missing
    share = f" ({100 * sync.fetched // known} %)" if known else ""
    left = f", {fmt.age(max(1.0, sync.missing / sync.rate))} left" if sync.rate > 0 and sync.missing else ""
    sender = f", from {fmt.short_id(sync.source) if sync.source else 'several peers'}" if source else ""
    return f"syncing {sync.fetched:,} of {known:,} or more{share}, {sync.rate:,.0f}/s{left}{sender}"


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
