"""`Network`, which `opening.open_network` yields.

This file only puts the parts together and decides what a connection, a disconnection or a misbehaviour means for each
of them."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import cast

import trio
from libp2p.abc import INetConn
from libp2p.custom_types import TProtocol

from betar_tui.errors import NetworkError
from betar_tui.p2p import addresses
from betar_tui.p2p.adaptations.pubsub import Accept
from betar_tui.p2p.adaptations.services import start_service
from betar_tui.p2p.adaptations.swarm import PeerSwarm
from betar_tui.p2p.address_book import AddressBook
from betar_tui.p2p.authorship import MAX_PAYLOAD
from betar_tui.p2p.bitswap.engine import Bitswap
from betar_tui.p2p.bitswap.messages import PROTOCOLS as BITSWAP
from betar_tui.p2p.blocklist import Blocklist
from betar_tui.p2p.changes import ChangeWatch
from betar_tui.p2p.connection_table import ConnectionTable, PeerRecord
from betar_tui.p2p.dialer import Dialer
from betar_tui.p2p.duplicates.detector import DuplicateDetector
from betar_tui.p2p.duplicates.messages import PROTOCOL as INSTANCES
from betar_tui.p2p.event_queue import EventQueue, EventReader
from betar_tui.p2p.gossip import Gossip
from betar_tui.p2p.guard import guarded, log_failure
from betar_tui.p2p.hearing import Hearing
from betar_tui.p2p.host import build_host, listen, open_stream
from betar_tui.p2p.identify import IdentifyInfo, IdentifyService
from betar_tui.p2p.liveness import close_connection, close_dead
from betar_tui.p2p.peer_finder import PeerFinder
from betar_tui.p2p.penalties import Penalties
from betar_tui.p2p.places import Seat
from betar_tui.p2p.reachability.messages import PROTOCOL as AUTONAT
from betar_tui.p2p.reachability.reach import Reach
from betar_tui.p2p.recovery import Recovery
from betar_tui.p2p.streams import PeerStream, handle_stream
from betar_tui.p2p.types import (
    LARGE_BLOCK,
    BlockSource,
    NetworkConfig,
    PeerConnected,
    PeerDisconnected,
    PeerJoined,
    PeerLeft,
    ReceivedBlock,
    ReceivedBroadcast,
    Stream,
)
from betar_tui.supervise import Supervisor
from betar_tui.values import Connected, PeerInfo, Reachability, Search

log = logging.getLogger(__name__)

MAX_BLOCKS_QUEUED = 64
"""Maximum received blocks that wait for the reader of `Network.blocks`; each is smaller than LARGE_BLOCK."""
MAX_LARGE_QUEUED = 4
"""The same for `Network.large_blocks`, of which each may have two megabytes."""
CLOSE_TIMEOUT = 0.4
"""Seconds for a connection to close politely."""


class Network:
    """One peer's network, while `open_network` is open. `address_book` has the peers that are dialled.

    `events`, `blocks` and `large_blocks` are for one reader each. Events never hold up the network (see `event_queue`);
    blocks do: they are not read from peers faster than they are taken from there. While large ones wait, only
    the streams that bring some are read no further."""

    def __init__(
        self,
        config: NetworkConfig,
        source: BlockSource,
        services: trio.Nursery,
        tasks: trio.Nursery,
        accept: Accept | None,
    ) -> None:
        if len(config.seed) != 32:
            raise NetworkError("The seed of the peer key must be 32 bytes.")
        self._config = config
        self._timing = config.timing
        self._services = services
        self._tasks = tasks
        self._supervisor = Supervisor(tasks)
        self._event_queue = EventQueue()
        self._host = build_host(config)
        self._swarm = cast(PeerSwarm, self._host.get_network())
        self._penalties = Penalties(
            config,
            self._event_queue.put,
            lambda peer: tasks.start_soon(self._close_peer, peer),
            self._swarm.public_ip_of,
        )
        self.bans, self.bans_changed = self._penalties.ledger.bans, self._penalties.changed
        self._misbehaviour = self._penalties.ledger
        self.peer_id = str(self._host.get_id())
        self.events: EventReader = self._event_queue
        self._blocks, self.blocks = trio.open_memory_channel[ReceivedBlock](MAX_BLOCKS_QUEUED)
        self._large_blocks, self.large_blocks = trio.open_memory_channel[ReceivedBlock](MAX_LARGE_QUEUED)
        self.address_book = AddressBook(self.peer_id, self._timing.redial_min, self._timing.redial_max)
        self._table = ConnectionTable(self._swarm, self._opened, self._ended, self._how_found, self._counts)
        self._blocked = Blocklist(config.blocked)
        self._gossip = Gossip(self._host, config, self._delivered, self._joined, self.penalize, self._shut_out, accept)
        self._gossip.pubsub.blocked = self._blocked.has_author
        self._bitswap = Bitswap(self._host, source, self._timing, tasks, self._received, self.penalize, self._failed)
        self._bitswap.banned = self._shut_out
        self._identify = IdentifyService(self._host, config.agent_version, self._learned)
        self._dialer = Dialer(self._swarm, self.peer_id, self.address_book, self._timing, tasks, self._shut_out)
        self._reach = Reach(self._host, self._table, config.upnp, self)
        told = self._supervisor, self._moved
        self._recovery = Recovery(self._host, self._identify, self._dialer, self._timing, *told)
        parts = self._host, self._table, self._dialer, self._supervisor
        self._finder = PeerFinder(self, config, *parts, tasks, self._shut_out, self._close_peer, self._learned)
        members, nudges = self._gossip.members, self._timing.nudges
        self.hearing = Hearing(self._bitswap, self._dialer.dial_again, self._table.get, members, tasks, nudges)
        self._duplicates = DuplicateDetector(config.seed, self, self._dialer.shake_hands, self._event_queue.put)
        self._host.noise.duplicate = lambda ip: self._duplicates.met(f"at {ip}")
        self._gossip.pubsub.duplicate = lambda: self._duplicates.met("on the topic")
        self._useful: set[str] = set()  # the peers that were the first to bring a broadcast
        door = self._swarm.door
        door.places, door.known, door.barred = self._places, self.address_book.is_known, self._misbehaviour.barred
        self.listen_notice = ""

    # Facts

    @property
    def addrs(self) -> tuple[str, ...]:
        """Where this peer can be dialled: multiaddrs ending in /p2p/<own id>, with the addresses of every interface."""
        return self._host.addr_texts()

    def connections(self) -> tuple[PeerInfo, ...]:
        """Every connected peer but those that are needed for the DHT alone, and those that are being shut out."""
        members = set(self._gossip.members())
        return self._table.all(members.__contains__, self._is_left_out)

    @property
    def connected(self) -> int:
        """Number of them."""
        return self._table.count(self._is_left_out)

    def topic_peers(self) -> tuple[str, ...]:
        """Connected peers that are subscribed to the topic."""
        return self._gossip.members()

    @property
    def serves_dht(self) -> bool:
        """Whether this peer should be a server of the DHT."""
        return self.reachable if self._config.dht_server is None else self._config.dht_server

    @property
    def audience(self) -> int:
        """Number of peers that a broadcast goes to at first."""
        return self._gossip.audience

    def supports(self, peer: str, protocol: str) -> bool | None:
        """Whether a peer speaks a protocol; None while it is not connected or not identified."""
        record = self._table.get(peer)
        if record is None or record.identify_info is None:
            return None
        return protocol in record.identify_info.protocols

    def misbehaviours(self) -> Mapping[str, int]:
        """Number of misbehaviours by peer since the start."""
        return self._misbehaviour.totals()

    def troubles(self) -> tuple[str, ...]:
        """One sentence about each service that does not work at the moment, and about a duplicate of this peer."""
        return (*self._duplicates.troubles(), *self._supervisor.troubles())

    def reachability(self) -> Reachability:
        """How others can dial this peer."""
        return self._reach.describe()

    @property
    def reachable(self) -> bool:
        """Whether peers on the internet have confirmed that they can dial this one."""
        return self._reach.reachable

    def _how_found(self, peer: str) -> str:
        return self._finder.found(peer)

    def _places(self) -> list[Seat]:
        members = set(self._gossip.members())
        return self._swarm.places(members.__contains__, self._useful.__contains__, self.address_book.is_known)

    def _counts(self, peer: str) -> tuple[int, int]:
        return self._gossip.refused(peer), self._misbehaviour.total(peer)

    def searches(self) -> tuple[Search, ...]:
        """What is done to find peers: each way to search that is on, and the peers that are dialled."""
        return self._finder.searches()

    # Gossip and blocks

    async def broadcast(self, payload: bytes) -> int:
        """Publish on the topic. Returns the number of peers it was sent to. Raises NetworkError if it is too large."""
        if len(payload) > MAX_PAYLOAD:
            raise NetworkError(f"A broadcast of {len(payload)} bytes is too large; {MAX_PAYLOAD} are allowed.")
        return await self._gossip.publish(payload)

    async def flush(self) -> None:
        """Wait until every broadcast has been handed to the connections, however slow they are."""
        await self._gossip.flush()

    def want(self, cids: Iterable[bytes], ask: str | None = None) -> None:
        """Want blocks by binary CID until they arrive through `blocks` or `large_blocks`, or are cancelled.

        `ask` is the peer to ask first. Raises DecodeError for a CID that is not sha2-256 of dag-pb or raw."""
        self._bitswap.want(cids, ask)

    def cancel(self, cids: Iterable[bytes]) -> None:
        """Want blocks no longer."""
        self._bitswap.cancel(cids)

    def announce_block(self, cid: bytes) -> None:
        """A block is available from now on: it is sent to the peers that want it."""
        self._bitswap.announce(cid)

    # Connections

    async def connect(self, multiaddr: str) -> Connected:
        """Dial now; if that succeeds the address is remembered, and the peer dialled again when it is lost.

        A peer that is connected stays so, whether or not it answers at this address. Raises NetworkError with the failure
        of each address."""
        peer, address = addresses.split_peer(multiaddr)
        addresses.peer_id(peer)
        if peer == self.peer_id:
            raise NetworkError(await self._duplicates.explain(address))
        if peer in self._blocked:
            raise NetworkError(f"{peer} is blocked; betar-tui unblock lets it in again")
        self._penalties.unban(peer)
        already = await self._dialer.connect(peer, address)
        self._finder.reached(peer, address)
        record = self._table.get(peer)
        if record is not None:
            with trio.move_on_after(self._timing.identify_timeout):
                await record.reported.wait()
        record = self._table.get(peer)
        if record is None:
            raise NetworkError(f"{peer} closed the connection at once.")
        return Connected(self._table.describe(record, peer in self.topic_peers()), already)

    async def disconnect(self, peer: str) -> None:
        """Close every connection to a peer and do not dial it again."""
        self.address_book.dismiss(peer)
        await self._close_peer(peer)

    async def block(self, peer: str) -> None:
        """Neither dial a peer nor let it in from now on, drop what it announces, and close its connections."""
        self._blocked.add(peer)
        await self._close_peer(peer)

    def unblock(self, peer: str) -> None:
        """Let a peer in again; it is dialled again where it is known."""
        self._blocked.discard(peer)
        self._dialer.wake()

    def _is_left_out(self, peer: str) -> bool:
        # One that is blocked may dial again and again: each connection lives until its id is known.
        return self._shut_out(peer) or self._finder.is_stranger(peer)

    def _shut_out(self, peer: str) -> bool:
        return peer in self._blocked or self._misbehaviour.banned(peer)

    def remember(self, peer: str, addrs: Iterable[str], found: str = "") -> bool:
        """Keep dialling a peer found elsewhere, see `PeerInfo.found`. Returns whether it can be dialled.

        This peer's own id at an address that is not its own may be a duplicate, which is looked into."""
        if peer == self.peer_id:
            self._duplicates.suspect(addresses.with_peer(addrs, peer))
            return False
        return self._finder.remember(peer, addrs, found)

    def on_sent(self, sent: Callable[[str, Iterable[bytes]], None]) -> None:
        """Call `sent(peer, CIDs)` whenever a peer was sent blocks over Bitswap that it had asked for."""
        self._bitswap.sent = sent

    def penalize(self, peer: str, reason: str) -> None:
        """Count a misbehaviour. All that one peer does within a second is reported in two events.

        Beyond the budget of its window a peer is banned for a while and its connections are closed."""
        self._penalties.penalize(peer, reason)

    # Other protocols

    def _moved(self) -> None:
        self._reach.moved()
        self._finder.moved()

    def set_protocol_handler(self, protocol: str, handler: Callable[[Stream], Awaitable[None]] | None) -> None:
        """Serve a protocol, or with None no longer, and tell the connected peers.

        A handler that raises ends its stream only: for a DecodeError the peer is penalized, any other exception is
        reported as a trouble."""

        if handler is None:
            self._host.remove_stream_handler(TProtocol(protocol))
        else:
            on_stream = partial(handle_stream, handler)
            self._host.set_stream_handler(TProtocol(protocol), guarded(on_stream, self.penalize, self._failed))
        self.push_identify()

    def push_identify(self) -> None:
        """Tell the connected peers that this peer's protocols or addresses have changed."""
        self._recovery.push_identify()

    async def open_stream(self, peer: str, protocol: str) -> Stream:
        """Open a stream to a connected peer. Raises NetworkError."""
        try:
            return PeerStream(await open_stream(self._host, addresses.peer_id(peer), [protocol]))
        except NetworkError:
            raise
        except Exception as error:
            raise NetworkError(f"{peer} offers no stream of {protocol}: {error}") from None

    # Start and stop

    async def start(self) -> None:
        """Listen, join the topic and start dialling. Raises NetworkError."""
        self._host.contain(self.penalize, self._config.max_streams_per_peer)
        handlers = {**self._identify.handlers, **{TProtocol(each): self._bitswap.handle for each in BITSWAP}}
        handlers[TProtocol(AUTONAT)] = self._reach.server.handle
        for protocol, handler in handlers.items():
            self._host.set_stream_handler(protocol, guarded(handler, self.penalize, self._failed))
        known = [addresses.split_peer(address) for address in self._config.bootstrap]
        await start_service(self._services, self._swarm, self._report)
        await self._gossip.start(self._services, self._report)
        self.listen_notice = await listen(self._host, self._config.listen, self._config.listen_explicit)
        self._supervisor.start("misbehaviour reports", self._penalties.run)
        self._supervisor.start("wants", self._bitswap.run_timers)
        self._supervisor.start("hello", self._gossip.keep_saying_hello)
        self._supervisor.start("own addresses", ChangeWatch(self._recovery.moved, self._recovery.woke).run)
        self._finder.start(known)
        self._supervisor.start("nudges", self.hearing.run)
        self.set_protocol_handler(INSTANCES, self._duplicates.relay.handle)
        self._duplicates.start(self._supervisor)
        self._reach.start(self._supervisor)

    async def stop(self) -> None:
        """End the own tasks, then every connection, politely or by its socket; the library's services are still needed."""
        self._tasks.cancel_scope.cancel()
        # py-libp2p 0.8.1: peers keep a connection that is not closed in their tables, and do not accept a peer that
        # starts again with the same key into the mesh (docs/py-libp2p.md#connections).
        async with trio.open_nursery() as closing:
            closing.start_soon(self._reach.close)
            await self._close(self._swarm.get_connections())
        await self._host.close()
        await self._gossip.stop()
        self._event_queue.close()
        self._blocks.close()
        self._large_blocks.close()

    async def _close_peer(self, peer: str) -> None:
        await self._close(self._table.connections(peer))

    async def _close(self, connections: Iterable[INetConn]) -> None:
        async with trio.open_nursery() as nursery:
            for connection in connections:
                nursery.start_soon(close_connection, connection, CLOSE_TIMEOUT)

    # Events

    def _report(self, task: str, error: BaseException) -> None:
        log.warning("a task of the network failed: %s", task, exc_info=error)

    def _failed(self, task: str, error: BaseException) -> None:
        """Something other than a service failed here: for the log and the status line."""
        log_failure(task, error)
        self._supervisor.report(task, f"failed ({type(error).__name__}: {error})")

    async def _received(self, block: ReceivedBlock) -> None:
        await (self._large_blocks if len(block.data) >= LARGE_BLOCK else self._blocks).send(block)

    def _delivered(self, peer: str, author: str, payload: object, size: int, standing: bool) -> None:
        if (
            peer not in self._useful and self._table.get(peer) is not None
        ):  # a message may be dealt with after it has left
            self._useful.add(peer)
        self._event_queue.put(ReceivedBroadcast(peer, author, payload), size, standing)

    def _joined(self, peer: str, on_topic: bool) -> None:
        self._finder.topic_changed(peer, on_topic)
        if on_topic:
            self.hearing.joined(peer)
        self._event_queue.put(PeerJoined(peer) if on_topic else PeerLeft(peer))

    async def _opened(self, record: PeerRecord, connection: INetConn) -> None:
        if self._shut_out(record.peer):
            self._tasks.start_soon(self._close, [connection])
            return
        older = [each for each in self._table.connections(record.peer) if each is not connection]
        if older:
            self._tasks.start_soon(close_dead, older, self._timing.probe_timeout)
            self.hearing.opened(record.peer)
        self._tasks.start_soon(self._run_identify, record)

    async def _run_identify(self, record: PeerRecord) -> None:
        if not await self._identify.ask_patiently(addresses.peer_id(record.peer), self._timing.identify_timeout):
            self._learned(record.peer, record.identify_info or IdentifyInfo())

    def _learned(self, peer: str, identify_info: IdentifyInfo) -> None:
        record = self._table.get(peer)
        if record is None:
            return
        record.identify_info = identify_info
        self._reach.learned(record)  # of one that is connected for the DHT alone as well
        if not self._finder.identified(record, identify_info):
            return
        if not record.reported.is_set():
            record.reported.set()
            self._event_queue.put(PeerConnected(peer, record.addrs()))
            if INSTANCES in identify_info.protocols:
                self._tasks.start_soon(self._duplicates.watch, peer, lambda: self._table.get(peer) is record)
        self._bitswap.peer_up(peer, identify_info.protocols)
        self.hearing.learned(peer, identify_info.protocols)

    def _ended(self, record: PeerRecord) -> None:
        self._useful.discard(record.peer)
        self._bitswap.peer_down(record.peer)
        self.hearing.ended(record.peer)
        if record.reported.is_set():
            self._event_queue.put(PeerDisconnected(record.peer))
        record.reported.set()  # releases a `connect` that waits
        self._finder.ended(record.peer)
