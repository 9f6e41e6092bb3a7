"""The register of adaptations: the attributes and behaviours of py-libp2p that this peer relies on or replaces.

Every private attribute that is used, every overridden method and every replaced attribute has an entry here; no file
outside this package touches a private attribute of the library. `tests/p2p/test_adaptations.py` checks the entries
against the installed version. docs/py-libp2p.md#register-of-adaptations says how to use them for a new version; the
links above the groups lead to longer descriptions of the behaviours."""

from dataclasses import dataclass

VERSION = "0.8.1"
_ISSUES = "https://github.com/libp2p/py-libp2p/issues/"


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Parts of the library that its documentation does not promise.

    The module `user` of betar_tui.p2p relies on or replaces the attributes `names` of `owner` ("libp2p.module" or
    "libp2p.module:Class"). `why` is the library's behaviour; `issue` is the upstream issue, where one is known."""

    user: str
    owner: str
    names: tuple[str, ...]
    why: str
    issue: str = ""
    version: str = VERSION


# fmt: off
REGISTER = (
    # docs/py-libp2p.md#what-is-not-installed
    Adaptation("adaptations.libraries", "libp2p.crypto.secp256k1", ("coincurve",),
               "Its curve comes from a package that needs a compiler on some machines."),
    Adaptation("adaptations.libraries", "libp2p.crypto.ecc", ("SEC1Encoder", "curve_types", "keys", "point"),
               "Its curve comes from a package that needs a compiler and GMP on some machines."),
    Adaptation("adaptations.libraries", "libp2p.crypto.key_exchange", ("int_bytelen",),
               "It measures a number with that package."),
    Adaptation("adaptations.libraries", "libp2p.discovery.upnp.upnp", ("miniupnpc",),
               "It is imported with the library, and needs a compiler on some machines."),
    Adaptation("adaptations.libraries", "libp2p", ("__version__",),
               "It reads its own version from the metadata of an installed package."),

    # docs/py-libp2p.md#failures-that-end-the-run
    Adaptation("adaptations.services", "libp2p.tools.anyio_service.trio_manager:TrioManager", ("run_task",
               "_find_parent_task"),
               "A failed task ends its service and the whole run; starting one walks all tasks.", _ISSUES + "910"),
    Adaptation("adaptations.services", "libp2p.tools.anyio_service.api:Service", ("_manager",),
               "A service takes no manager but the one that the library makes for it."),
    Adaptation("adaptations.host", "libp2p.host.basic_host:BasicHost", ("_swarm_stream_handler",),
               "A stream handler that raises ends the whole run."),
    Adaptation("adaptations.pubsub", "libp2p.pubsub.pubsub:Pubsub", ("continuously_read_stream",),
               "A malformed RPC ends the whole run; messages overtake each other, without back pressure."),
    Adaptation("adaptations.pubsub", "libp2p.pubsub.pubsub:Pubsub", ("push_msg",),
               "A bad key or a validator that raises ends the whole run; one that awaits delivers twice."),
    Adaptation("authorship", "libp2p.pubsub.validators", ("signature_validator", "PUBSUB_SIGNING_PREFIX"),
               "The signature check ignores unknown fields, which Go signs, and raises for bad keys."),
    Adaptation("keys", "libp2p.crypto.rsa:RSAPublicKey", ("from_bytes",),
               "Parsing an RSA key may take seconds: of a private one it tests the primes."),
    Adaptation("adaptations.noise", "libp2p.security.noise.patterns:BasePattern", ("create_noise_state",),
               "The peer's key is parsed before the signature that proves it."),
    Adaptation("adaptations.noise", "libp2p.security.noise.io:BaseNoiseMsgReadWriter", ("read_msg", "noise_state"),
               "A packet is read in two steps of seven calls each."),
    Adaptation("adaptations.noise", "libp2p.security.secure_session:SecureSession", ("conn",),
               "A packet is read in two steps of seven calls each."),
    Adaptation("adaptations.noise", "libp2p.security.noise.transport:Transport", ("get_pattern",),
               "The pattern's class is hard-wired."),
    Adaptation("adaptations.noise", "libp2p.security.noise.transport:Transport", ("secure_inbound", "secure_outbound"),
               "A connection whose other end has this peer's own key is kept like any other."),

    # docs/py-libp2p.md#gossip
    Adaptation("adaptations.pubsub", "libp2p.pubsub.pubsub:Pubsub", ("counter",),
               "Sequence numbers start at whole seconds: a restarted peer repeats some, and is ignored."),
    Adaptation("adaptations.pubsub", "libp2p.pubsub.pubsub:Pubsub", ("seen_messages",),
               "The cache starts a thread that nothing ends, and has no limit."),
    Adaptation("adaptations.pubsub", "libp2p.pubsub.pubsub:Pubsub", ("notify_subscriptions",),
               "A subscription's channel holds 32 messages and drops the rest."),
    Adaptation("adaptations.pubsub", "libp2p.pubsub.pubsub:Pubsub", ("write_msg", "handle_sending_messages"),
               "Replays and the queue are written to one stream at the same time: their pieces may mix."),
    Adaptation("adaptations.pubsub", "libp2p.pubsub.pubsub:Pubsub", ("get_hello_packet",),
               "Every RPC carries the sender's signed record, which receivers verify each time."),
    Adaptation("adaptations.router", "libp2p.pubsub.gossipsub:GossipSub", ("send_rpc",),
               "Every RPC carries the sender's signed record, which receivers verify each time."),
    Adaptation("adaptations.pubsub", "libp2p.pubsub.pubsub:Pubsub", ("_handle_new_peer",),
               "A stream not negotiated in time is not tried again; an early subscriber waits for a heartbeat."),
    Adaptation("adaptations.pubsub", "libp2p.pubsub.pubsub:Pubsub", ("handle_subscription", "_forget_all_subscriptions",
               "_handle_dead_peer", "_peer_subscription_count", "peer_topics"),
               "The end of an old connection removes subscriptions announced on the new one."),
    Adaptation("adaptations.pubsub", "libp2p.pubsub.rpc_queue:RpcQueue", ("_queue",),
               "The queue to a neighbour holds 32 RPCs and drops the rest.", _ISSUES + "1276"),
    Adaptation("adaptations.send_queue", "libp2p.pubsub.rpc_queue:RpcQueue", ("_queue", "_notify", "closed", "pop"),
               "Each RPC is a packet of its own, encoded and copied for each neighbour."),
    Adaptation("adaptations.send_queue", "libp2p.pubsub.rpc_queue:PriorityQueue", ("_priority", "_non_priority", "push",
               "pop"),
               "That queue is bounded in RPCs, not in bytes.", _ISSUES + "1276"),
    Adaptation("adaptations.router", "libp2p.pubsub.gossipsub:GossipSub", ("_get_peers_to_send",),
               "Own messages go to the mesh alone: a peer that has just joined misses them."),
    Adaptation("adaptations.control", "libp2p.pubsub.gossipsub:GossipSub", ("handle_rpc", "handle_ihave", "handle_iwant",
               "handle_graft", "handle_prune", "handle_idontwant", "back_off", "dont_send_message_ids"),
               "It answers any number of parts, and remembers every topic that they name."),
    Adaptation("adaptations.control", "libp2p.pubsub.gossipsub:GossipSub", ("_periodic_security_cleanup",),
               "Back-offs of peers that are gone are kept."),
    Adaptation("adaptations.control", "libp2p.pubsub.mcache:MessageCache", ("put", "get", "window", "shift", "history"),
               "It is not bounded in bytes."),
    Adaptation("adaptations.router", "libp2p.pubsub.gossipsub:GossipSub", ("_do_px",),
               "Peer exchange dials peers that a neighbour names."),
    Adaptation("adaptations.router", "libp2p.pubsub.gossipsub:GossipSub", ("scorer",),
               "It grows with every peer, and nothing trims it."),
    Adaptation("adaptations.router", "libp2p.pubsub.gossipsub:GossipSub", ("publish", "mcache",
               "_emit_idontwant_for_message", "_pending_control"),
               "A message is encoded and copied for each neighbour, and kept in lists that are never read here."),
    Adaptation("adaptations.router", "libp2p.pubsub.gossipsub:GossipSub", ("heartbeat_interval",
               "adaptive_gossip_enabled", "spam_protection_enabled", "eclipse_protection_enabled"),
               "Defaults: a heartbeat of 120 s or more, ten messages a second, three IP addresses in a mesh."),

    # docs/py-libp2p.md#connections
    Adaptation("host", "libp2p", ("new_host",),
               "It also offers plaintext and secio, over which anybody may claim any peer id."),
    Adaptation("adaptations.swarm", "libp2p.network.auto_connector:AutoConnector", ("maybe_connect",),
               "It dials every peer in the peerstore."),
    Adaptation("adaptations.swarm", "libp2p.network.swarm:Swarm", ("auto_connector", "dial_peer"),
               "A stream to a peer that has gone dials it: late, at two addresses, and once a minute."),
    Adaptation("adaptations.swarm", "libp2p.network.swarm:Swarm", ("notify_opened_stream", "notify_connected",
               "remove_conn"),
               "A connection accepts streams before the swarm lists it."),
    Adaptation("adaptations.swarm", "libp2p.network.swarm:Swarm", ("_notify",),
               "Each listener is notified in a task of its own of every stream's end."),
    Adaptation("adaptations.swarm", "libp2p.network.swarm:Swarm", ("_handle_inbound_connection", "add_conn"),
               "Open sockets take the places of connections, until the host stops, and nothing gives way."),
    Adaptation("adaptations.swarm", "libp2p.network.connection.swarm_connection:SwarmConn", ("_created_at",),
               "The age of a connection is told in no other way."),
    Adaptation("adaptations.swarm", "libp2p.network.stream.net_stream:NetStream", ("_state_lock", "swarm_conn",
               "muxed_stream"),
               "Acquiring a free `trio.Lock` is a turn of the event loop."),
    Adaptation("dialer", "libp2p.host.basic_host:BasicHost", ("connect",),
               "It returns at once for any listed connection, dead or not."),
    Adaptation("connection_table", "libp2p.abc:INotifee", ("connected", "disconnected"),
               "The end of an old connection may be notified after the start of the new one."),
    Adaptation("adaptations.yamux", "libp2p.stream_muxer.yamux.yamux:Yamux", ("_measure_rtt_loop", "_ping_event",
               "_ping_id", "_ping_sent_time", "event_shutting_down"),
               "It pings every 30 s and ignores a missing answer."),
    Adaptation("adaptations.yamux", "libp2p.stream_muxer.yamux.yamux:Yamux", ("_write_frame", "_write_lock"),
               "Each frame is taken apart for the log, and waits a turn after it is written."),
    Adaptation("adaptations.yamux_streams", "libp2p.stream_muxer.yamux.yamux:YamuxStream", (
               "_auto_tune_and_send_window_update", "send_window_update", "target_recv_window"),
               "It answers every read with a window update."),
    Adaptation("adaptations.yamux_streams", "libp2p.stream_muxer.yamux.yamux:YamuxStream", ("read", "send_window",
               "recv_closed"),
               "Each read takes many steps, most of them for the log."),
    Adaptation("adaptations.yamux_streams", "libp2p.stream_muxer.yamux.yamux:Yamux", ("stream_events", "stream_buffers",
               "event_shutting_down"),
               "Each frame of data takes many steps, most of them for the log."),
    Adaptation("adaptations.yamux_streams", "libp2p.stream_muxer.rw_lock:ReadWriteLock", ("write_lock",),
               "Acquiring it while it is free is a turn of the event loop."),
    Adaptation("adaptations.yamux", "libp2p.stream_muxer.yamux.yamux:Yamux", ("_read_data_body", "stream_buffers",
               "handle_incoming"),
               "Data beyond the window is kept, unread data too; trio.TooSlowError ends the connection."),
    Adaptation("adaptations.yamux", "libp2p.stream_muxer.yamux.yamux:Yamux", ("streams", "streams_lock"),
               "Acquiring a free `trio.Lock` is a turn of the event loop."),
    Adaptation("adaptations.yamux_streams", "libp2p.stream_muxer.yamux.yamux:YamuxStream", ("window_lock", "rw_lock",
               "recv_window"),
               "Acquiring a free `trio.Lock` is a turn of the event loop."),
    Adaptation("adaptations.yamux", "libp2p.stream_muxer.yamux.yamux:YamuxStream", ("closed", "reset_received", "conn"),
               "Reading a stream that was reset says that it ended."),
    Adaptation("adaptations.yamux", "libp2p.stream_muxer.yamux.yamux:YamuxStream", ("send_closed", "close", "reset"),
               "A stream that only one side has ended is kept as long as its connection."),
    Adaptation("adaptations.yamux", "libp2p.transport.upgrader:TransportUpgrader", ("upgrade_connection",
               "muxer_multistream"),
               "The muxer's class is hard-wired where yamux is negotiated."),
    Adaptation("adaptations.yamux", "libp2p.stream_muxer.muxer_multistream:MuxerMultistream", ("_selector",
               "_annotate_connection"),
               "The muxer's class is hard-wired where yamux is negotiated."),
    Adaptation("adaptations.transport", "libp2p.transport.tcp.tcp:TCP", ("create_listener", "dial"),
               "The listener sets SO_REUSEPORT and serves from a system task."),
    Adaptation("adaptations.transport", "libp2p.io.trio:TrioTCPStream", ("read", "close", "read_lock", "write_lock"),
               "Every noise message asks the socket twice, under a `trio.Lock`."),
    Adaptation("adaptations.negotiation", "libp2p.protocol_muxer.multiselect:Multiselect", ("negotiate",),
               "The answer to a new stream's protocol goes out in two packets."),
    Adaptation("adaptations.negotiation", "libp2p.protocol_muxer.multiselect_communicator:MultiselectCommunicator", (
               "read", "write"),
               "Messages are read byte by byte."),

    # docs/py-libp2p.md#bitswap
    Adaptation("bitswap.engine", "libp2p.bitswap.client", ("BitswapClient",),
               "It stores wrong blocks, answers on streams that Go never reads, and limits nothing."),

    # docs/py-libp2p.md#reachability
    Adaptation("reachability.server", "libp2p.host.autonat", ("AutoNATService",),
               "It dials back under its own key, as a second connection to the asker, and limits nothing."),
    Adaptation("reachability.mapping", "libp2p.discovery.upnp.upnp", ("UpnpManager",),
               "It waits for the router without a deadline, and maps ports for ever."),
    Adaptation("identify", "libp2p.host.observed_addr_manager", ("ObservedAddrManager",),
               "Observed addresses, with their made-up ports, are advertised."),

    # docs/py-libp2p.md#the-rest
    Adaptation("adaptations.host", "libp2p.host.basic_host:BasicHost", ("get_addrs",),
               "It looks at the machine's interfaces for every message that is sent."),
    Adaptation("adaptations.host", "libp2p.host.basic_host:BasicHost", ("_schedule_identify", "_identify_peer",
               "_identified_peers"),
               "Identify drops the peer's agent, and does not ask a known peer again."),
    Adaptation("adaptations.host", "libp2p.identity.identify.identify", ("_mk_identify_protobuf",
               "_remote_address_to_multiaddr"),
               "The agent in the answer is always the library's."),
    Adaptation("adaptations.services", "libp2p.utils.logging", ("setup_logging",),
               "Lost connections are logged as errors, by a logger that is cut off from the application's."),
)
# fmt: on
