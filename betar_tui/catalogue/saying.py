"""The newest signed words of the sellers of listings. A seller's next word must be newer than its last."""

from collections.abc import Callable, Collection, Iterator

from betar_tui.catalogue import queue
from betar_tui.catalogue.elements import Portion, Unseen, portions
from betar_tui.catalogue.projecting import reader_of
from betar_tui.catalogue.versions import Basis, judged, read_bases, read_withdrawals
from betar_tui.market.republish import Said
from betar_tui.market.withdrawal import newest_withdrawal
from betar_tui.replica import keys
from betar_tui.store.merging import key_numbers
from betar_tui.store.readers import Reader
from betar_tui.store.sql import in_list

VERSIONS, VERSION_BYTES = 2_000, 1 << 20
"""Maximum versions of a queued key, and bytes of them, that are in memory at once."""


def read_said(
    reader: Reader, wanted: Collection[str], own_peer_id: str, is_own_value: Callable[[bytes], bool]
) -> dict[str, Said]:
    """What the sellers of keys have said last, by key, where they have signed anything.

    Versions that nobody has looked at yet are looked at here, each with its signature: one of them may be the last word."""
    db = reader.db
    known = read_bases(db, [k for k, _ in key_numbers(db, set(wanted)).values()]).values()
    bases = [_caught_up(reader, each, own_peer_id, is_own_value) for each in known]
    elsewhere = [each for each in bases if each.signed is not None and each.signed != each.in_map]
    values = reader.history.values(db, [(each.key, *each.signed) for each in elsewhere if each.signed is not None])
    found = {row.key: row.value for row in values}
    unseen = _unseen_withdrawals(reader, wanted)
    said: dict[str, Said] = {}
    for each in bases:
        signed = each.word.timestamp if each.word is not None else None
        said[each.key] = Said(signed, each.withdrawn_by(unseen.get(each.key)).withdrawn, found.get(each.key))
    for key, at in read_withdrawals(db, [key for key in wanted if key not in said]).items():
        said[key] = Said(withdrawn=max(at, unseen.get(key, at)))
    return {key: Said(withdrawn=at) for key, at in unseen.items()} | said


def read_waiting(reader: Reader, wanted: Collection[str]) -> set[str]:
    """Those of these keys of listings of which versions or withdrawals may have come that nobody has looked at yet."""
    names = _withdrawals_of(wanted) | {key: key for key in wanted}
    numbers = {k: names[name] for name, (k, _) in key_numbers(reader.db, names).items()}
    return {numbers[k] for (k,) in in_list(reader.db, "SELECT k FROM unprojected WHERE k IN", list(numbers))}


def _withdrawals_of(wanted: Collection[str]) -> dict[str, str]:
    """The listings' keys by those of their withdrawals."""
    return {keys.of_withdrawal(each): key for key in wanted if (each := keys.agent_id(key)) is not None}


def _caught_up(reader: Reader, basis: Basis, own_peer_id: str, is_own_value: Callable[[bytes], bool]) -> Basis:
    """What is known of a key once its queued versions are looked at."""
    for portion in _unseen(reader, Unseen(basis.k, basis.key, basis.since)) if basis.since is not None else ():
        read = reader_of(basis.key, own_peer_id, portion.applied.__getitem__, is_own_value)
        basis, _ = judged(reader.db, reader.history, basis, portion.versions, read)
    return basis


def _unseen_withdrawals(reader: Reader, wanted: Collection[str]) -> dict[str, int]:
    """The timestamps of the newest verified ones among the withdrawals that wait, by the listings' keys."""
    names = _withdrawals_of(wanted)
    numbers = {k: name for name, (k, _) in key_numbers(reader.db, names).items()}
    found: dict[str, int] = {}
    for k, (_, since, _) in queue.read(reader.db, numbers).items():
        name = numbers[k]
        for portion in _unseen(reader, Unseen(k, name, since)):
            at = newest_withdrawal(name, [each.value for each in portion.versions.values()])
            if at is not None:
                found[names[name]] = max(at, found.get(names[name], at))
    return found


def _unseen(reader: Reader, unseen: Unseen) -> Iterator[Portion]:
    """The versions of a key from a block on, in portions."""
    complete = False
    while not complete:
        portion = portions(reader.db, reader.history, [unseen], VERSIONS, VERSION_BYTES)[unseen.k]
        yield portion
        unseen, complete = unseen._replace(since=portion.since), portion.complete
