"""The checks of `betar-tui doctor`, with one finding each. Nothing is printed here, and nothing changed unless it is asked
for."""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from betar_tui.catalogue import checking
from betar_tui.catalogue.backlog import Backlog
from betar_tui.catalogue.catalogue import Catalogue
from betar_tui.config import Config, load_identity
from betar_tui.control.client import ControlClient
from betar_tui.errors import ConfigError, ControlError, NoRunningPeerError, StoreError, StoreLockedError
from betar_tui.files.directories import judge_directory
from betar_tui.files.rules import command, explain
from betar_tui.market.dialling import (
    LOOPBACK_ADVICE,
    NO_OTHER_NETWORK,
    leads_here_only,
    listens_everywhere,
    own_addresses,
)
from betar_tui.market.kinds import Connectivity
from betar_tui.market.marketplace import PeerInfo, Status
from betar_tui.market.peer_facts import is_waiting, looking_text, not_fetching_text
from betar_tui.market.provenance import Signer
from betar_tui.plurals import plural
from betar_tui.progress_line import progress_line
from betar_tui.replica import Replica
from betar_tui.store.database import Store, open_store
from betar_tui.store.lock import DirectoryLock

OK, INFO, ERROR = "ok", "note", "wrong"
EARLIEST, DAY = 1_735_689_600.0, 86_400.0  # 2025-01-01


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check: `state` is OK, INFO or ERROR; `advice` is the next step, if there is one."""

    check: str
    state: str
    message: str
    advice: str = ""


async def examine(config: Config, rebuild: bool = False, troubles: Sequence[ConfigError] = ()) -> list[Finding]:
    """Run all checks. With `rebuild`, the catalogue is made afresh before it is checked.

    `troubles` are the mistakes in the settings file: the checks are those without what is mistaken."""
    client = ControlClient(config.control_socket)  # type: ignore[abstract]
    found = [*await trio.to_thread.run_sync(_settings, config, troubles), *_files(config), _clock()]
    try:
        status, peers = await client.status(), await client.peers()
    except NoRunningPeerError:
        found += await trio.to_thread.run_sync(_store, config, rebuild)
        found += [finding for address in config.listen for finding in _port(address, config.listen_explicit)]
        found += _loopback(config.listen, "the peer would listen")
        return [*found, Finding("peer", INFO, "none runs on this data directory", "start one with betar-tui --serve")]
    except ControlError as error:
        message, _, advice = str(error).partition("; ")
        return [*found, Finding("peer", ERROR, message, advice or "stop it and start it again; its log says more")]
    store = f"the running peer holds {plural(status.blocks, 'block')}; stop it to have the file checked"
    if rebuild:
        found.append(Finding("catalogue", ERROR, "not made afresh: the peer that runs uses it", "stop the peer first"))
    ports = [Finding("port", OK, f"the running peer listens on {address}") for address in status.addrs]
    return [*found, Finding("store", OK, store), *ports, *_connectivity(config, status, peers)]


def _settings(config: Config, troubles: Sequence[ConfigError]) -> list[Finding]:
    """The mistakes in the settings file. Those of the interface are its own: it reads them, and goes on without them."""
    found = [_wrong("settings", f"{each}; the checks below are those without it") for each in troubles]
    if config.interface:
        from betar_tui.tui.settings import InterfaceSettings  # deferred: it brings Textual

        _, problems = InterfaceSettings.from_mapping(config.interface)
        advice = f"correct it in {config.settings_file}"
        found += [Finding("settings", ERROR, each, advice) for each in problems]
    if not found and config.settings_file.exists():
        found.append(Finding("settings", OK, str(config.settings_file)))
    return found


def _files(config: Config) -> Iterator[Finding]:
    yield _file("data directory", config.data_dir, lambda: judge_directory(config.data_dir))
    # Only one that is there: a check makes no key.
    yield _file("identity key", config.key_file, lambda: load_identity(config.key_file, create=False))


def _file(name: str, path: Path, judge: Callable[[], object]) -> Finding:
    try:
        judge()
    except FileNotFoundError as error:
        return Finding(name, INFO, f"{path}: {error.strerror}", "the first start makes it")
    except OSError as error:
        text = explain(error, str(path), f"make it yours: {command('sudo chown $USER', path)}")
    except ConfigError as error:
        text = str(error)
    else:
        return Finding(name, OK, str(path))
    return _wrong(name, text)


def _wrong(name: str, text: str) -> Finding:
    """A finding from the message of an error, which ends with what to do."""
    message, _, advice = text.partition("; ")
    return Finding(name, ERROR, message, advice)


def _clock() -> Finding:
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time()))
    return Finding("clock", OK, shown) if time.time() > EARLIEST else Finding("clock", ERROR, shown, "set the clock")


def _store(config: Config, rebuild: bool) -> list[Finding]:
    path = config.database
    if not os.path.exists(path):
        return [Finding("store", INFO, f"{path} is not there yet", "the first start makes it")]
    advice = "move it away and restore a backup; without one, what other peers have comes back from them"
    lock = DirectoryLock(config.data_dir)
    try:
        lock.acquire()
        opened = open_store(path)
    except StoreLockedError as error:
        return [Finding("store", ERROR, f"process {error.pid} uses it and answers no commands", "wait, or stop it")]
    except StoreError as error:
        lock.release()
        return [_wrong("store", str(error))]
    try:
        with contextlib.closing(opened) as store:
            result = store.check()
            height = Replica(store).height
            newest = max((row.at for row in store.log(1)), default=0.0)
            catalogue = _catalogue(store, config, rebuild) if result == "ok" else []
    except StoreError as error:
        return [Finding("store", ERROR, str(error), advice)]
    finally:
        lock.release()
    message = f"{path}: {result}, height {height}"
    found = [Finding("store", OK, message) if result == "ok" else Finding("store", ERROR, message, advice)]
    if newest > time.time() + DAY:
        found.append(Finding("clock", ERROR, "the store was written later than it is now", "set the clock"))
    return [*found, *catalogue]


def _take_in(backlog: Backlog) -> None:
    """Make all rows and index all texts, which takes minutes in a large market. In a thread of trio; ends when that is
    cancelled."""
    with progress_line() as tell:

        def step() -> None:
            trio.from_thread.check_cancelled()
            if (progress := backlog.progress.now()) is not None:
                tell(f"{progress.text}; Ctrl+C ends it, the next start goes on")

        backlog.work_off(time.time(), step)
        backlog.index_all_but(0, step)


def _catalogue(store: Store, config: Config, rebuild: bool) -> list[Finding]:
    """Compare the rows of the listings with the replica's values. Raises StoreError."""
    if not config.key_file.exists():  # whose listings are "mine" is not known, and no key is made here
        return []
    try:
        peer_id = Signer(load_identity(config.key_file)).peer_id
    except ConfigError:
        return []  # another check says so
    if rebuild:
        checking.make_afresh(store, peer_id)
        _take_in(Catalogue(store, peer_id).backlog)
    found = checking.compare(store, peer_id)
    if found is None:
        return [Finding("catalogue", INFO, "it is not made yet", "the next start makes it")]
    listings = f"{'made afresh: ' if rebuild else ''}{plural(found.listings, 'listing')}"
    if not found.right:
        wrong = found.trouble or f"{found.wrong:,} of them not as the replica has them"
        advice = "betar-tui doctor --rebuild makes it afresh; nothing is lost by that"
        return [Finding("catalogue", ERROR, f"{listings}; {wrong}", advice)]
    if found.waiting:
        waiting = plural(found.waiting, "change is still to be taken in", "changes are still to be taken in")
        text = f"{listings}, as the replica has them; {waiting}"
        return [Finding("catalogue", INFO, text, "the next start goes on with it")]
    return [Finding("catalogue", OK, f"{listings}, as the replica has them")]


def _port(address: str, explicit: bool) -> Iterator[Finding]:
    kind, host, transport, port = (*address.split("/")[1:5], "", "", "", "")[:4]
    if kind not in ("ip4", "ip6") or transport != "tcp" or not port.isdigit():
        return
    with socket.socket(socket.AF_INET if kind == "ip4" else socket.AF_INET6) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, int(port)))
        except (OSError, OverflowError) as error:
            yield _no_port(address, explicit, error)
        else:
            yield Finding("port", OK, f"{address} is free")


def _no_port(address: str, explicit: bool, error: OSError | OverflowError) -> Finding:
    """The finding about an address that cannot be listened on, by the reason."""
    number = error.errno if isinstance(error, OSError) else 0
    if number == errno.EADDRNOTAVAIL:
        message = f"{address} is not an address of this machine"
        return Finding("port", ERROR, message, "choose another --listen; /ip4/0.0.0.0/tcp/4001 is all of its addresses")
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if number == errno.EACCES:
        return Finding("port", ERROR, f"{address}: {reason}", "choose a port above 1023 with --listen")
    if number != errno.EADDRINUSE:
        return Finding("port", ERROR, f"{address}: {reason}", "choose another --listen")
    if explicit:
        return Finding("port", ERROR, f"{address} is taken", "stop what uses it, or choose another --listen")
    return Finding("port", INFO, f"{address} is taken", "the peer takes a free port instead; --listen chooses one")


def _connectivity(config: Config, status: Status, peers: Sequence[PeerInfo]) -> list[Finding]:
    found = [*_troubles(status)]
    if status.listen_notice:
        found.append(Finding("port", INFO, status.listen_notice, "choose another --listen to have the same one always"))
    now = time.time()
    if waiting := [peer.peer_id for peer in peers if is_waiting(peer, now)]:
        advice = "what it shows of your listings may be old; it is asked again and again"
        found.append(Finding("delivery", INFO, not_fetching_text(waiting), advice))
    if status.offline:
        advice = "the peer's log says more; it is tried again"
        if status.port_taken and os.strerror(errno.EADDRINUSE) in status.offline:
            advice = "stop what uses the port or choose another --listen; in the interface, o takes a free port"
        return [*found, Finding("connectivity", ERROR, f"offline: {status.offline}", advice)]
    if status.connectivity is Connectivity.STARTING:
        found.append(Finding("connectivity", INFO, looking_text(status, now), "ask again in a moment"))
        return found
    text = f"{plural(status.peers, 'peer')}, {status.topic_peers} of them on the topic; {status.connectivity}"
    if not status.topic_peers:
        text += f". {looking_text(status, now)}"
    state = OK if status.topic_peers else ERROR if config.bootstrap else INFO
    advice = "" if state == OK else "betar-tui connect MULTIADDR, or start with --bootstrap"
    return [*found, Finding("connectivity", state, text, advice), _reachability(status)]


def _troubles(status: Status) -> Iterator[Finding]:
    """What fails in the background. A search that cannot work here is a note, whether it was found out just now or long
    ago: the peer does without it as well as it can."""
    searches = [each for each in status.searches if each.trouble]
    for trouble in status.troubles:
        if not any(each.trouble in trouble for each in searches):
            yield Finding("service", ERROR, trouble, "the peer's log says more")
    for each in searches:
        how = "starts by itself as soon as it can" if each.next_at is None else "is tried again"
        advice = f"it {how}; betar-tui connect MULTIADDR adds a peer without it"
        yield Finding("search", INFO, f"{each.what}: {each.trouble}", advice)


def _loopback(addresses: Sequence[str], listens: str) -> list[Finding]:
    """The finding about a peer that only programs on this machine can dial."""
    if not addresses or not all(map(leads_here_only, addresses)):
        return []
    text = f"nobody on another machine can dial this one: {listens} on {', '.join(addresses)} alone"
    return [Finding("reachability", INFO, text, LOOPBACK_ADVICE)]


def _reachability(status: Status) -> Finding:
    found = status.reachability
    if nowhere_else := _loopback(own_addresses(status), "the peer listens"):
        if not listens_everywhere(status):
            return nowhere_else[0]
        text = f"nobody on another machine can dial this one: {NO_OTHER_NETWORK}"
        return Finding("reachability", INFO, text, "connect it to one; the peer takes up its address by itself")
    if found.verdict == "public":
        return Finding("reachability", OK, found.text)
    advice = "forward the TCP port in your router, or start with --upnp" if found.verdict == "private" else ""
    if not advice and found.mapping_trouble:
        advice = f"no port is forwarded: {found.mapping_trouble}"
    return Finding("reachability", INFO, found.text, advice)
