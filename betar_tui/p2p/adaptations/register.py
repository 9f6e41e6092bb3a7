"""The register of adaptations: the attributes and behaviours of py-libp2p that this peer relies on or replaces.

Every private attribute that is used, every overridden method and every replaced attribute has an entry here; no file
outside this package touches a private attribute of the library. `tests/p2p/test_adaptations.py` holds the
entries against the installed version. docs/py-libp2p.md#register-of-adaptations says how to use it for a new version;
the headings above the groups are those under which the document describes the behaviours.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "0.8.1"
_ISSUES = "https://github.com/libp2p/py-libp2p/issues/"


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Parts of the library that its documentation does not promise.

    `names` are attributes of `owner` ("libp2p.module" or "libp2p.module:Class") that the module `user` of betar_tui.p2p
    relies on or replaces. `why` is the library's behaviour; `issue` is the upstream issue, where one is known.
    """

    owner: str
    names: tuple[str, ...]
    user: str
    why: str
    issue: str = ""
    version: str = VERSION


# fmt: off
REGISTER = (
    # docs/py-libp2p.md#failures-that-end-the-run
    Adaptation("libp2p.tools.anyio_service.trio_manager:TrioManager", ("run_task", "_find_parent_task"),
               "adaptations.services", "A task that fails ends its service and the whole run; starting one walks all "
               "tasks of the service.", _ISSUES + "910"),
    Adaptation("libp2p.tools.anyio_service.api:Service", ("_manager",),
               "adaptations.services", "A service takes no manager but the one that the library makes for it."),
    Adaptation("libp2p.host.basic_host:BasicHost", ("_swarm_stream_handler",),
               "adaptations.host", "A stream handler that raises ends the whole run."),
    Adaptation("libp2p.pubsub.pubsub:Pubsub", ("continuously_read_stream",),
               "adaptations.pubsub", "A malformed RPC ends the whole run; each message is handled in its own task, so "
               "that messages overtake each other and a burst has no back pressure."),
    Adaptation("libp2p.pubsub.pubsub:Pubsub", ("push_msg", "_is_msg_seen", "_mark_msg_seen"),
               "adaptations.pubsub", "A garbage key or a validator that raises ends the whole run; a validator that "
               "awaits lets a message through twice."),
    Adaptation("libp2p.pubsub.validators", ("signature_validator", "PUBSUB_SIGNING_PREFIX"),
               "authorship", "The signature check ignores unknown fields, which Go signs, and raises for bad keys."),
    Adaptation("libp2p.crypto.rsa:RSAPublicKey", ("from_bytes",),
               "keys", "Parsing an RSA key may take seconds: private keys are accepted, and their numbers tested for "
               "being prime."),
    Adaptation("libp2p.security.noise.patterns:BasePattern", ("create_noise_state",),
               "adaptations.noise", "The peer's key is parsed before the signature that proves it."),
    Adaptation("libp2p.security.noise.transport:Transport", ("get_pattern",),
               "adaptations.noise", "The pattern's class is hard-wired."),

    # docs/py-libp2p.md#gossip
    Adaptation("libp2p.pubsub.pubsub:Pubsub", ("counter",),
               "adaptations.pubsub", "Sequence numbers start at whole seconds: a peer restarted with its key repeats "
               "some, and is ignored."),
    Adaptation("libp2p.pubsub.pubsub:Pubsub", ("seen_messages",),
               "adaptations.pubsub", "The cache starts a thread that nothing ends, and has no limit."),
    Adaptation("libp2p.pubsub.pubsub:Pubsub", ("notify_subscriptions",),
               "adaptations.pubsub", "A subscription's channel holds 32 messages and drops the rest."),
    Adaptation("libp2p.pubsub.pubsub:Pubsub", ("write_msg",),
               "adaptations.pubsub", "Replays for a new peer and its queue are written to one stream at the same time; "
               "when the window is short their pieces mix."),
    Adaptation("libp2p.pubsub.pubsub:Pubsub", ("get_hello_packet",),
               "adaptations.pubsub", "Every RPC carries the sender's signed record, which receivers verify each time."),
    Adaptation("libp2p.pubsub.gossipsub:GossipSub", ("send_rpc",),
               "adaptations.pubsub", "Every RPC carries the sender's signed record, which receivers verify each time."),
    Adaptation("libp2p.pubsub.pubsub:Pubsub", ("_handle_new_peer",),
               "adaptations.pubsub", "A gossip stream that was not negotiated in time is not tried again; a peer that "
               "subscribed before it could be written to waits for a heartbeat to be in the mesh."),
    Adaptation("libp2p.pubsub.pubsub:Pubsub", ("handle_subscription", "_forget_all_subscriptions", "_handle_dead_peer",
               "_peer_subscription_count", "peer_topics"),
               "adaptations.pubsub", "The end of an old connection removes subscriptions announced on the new one."),
    Adaptation("libp2p.pubsub.rpc_queue:RpcQueue", ("_queue",),
               "adaptations.pubsub", "The queue to a neighbour holds 32 RPCs and drops the rest.", _ISSUES + "1276"),
    Adaptation("libp2p.pubsub.rpc_queue:PriorityQueue", ("_priority", "_non_priority", "push", "pop"),
               "adaptations.send_queue", "That queue is bounded in RPCs, not in bytes.", _ISSUES + "1276"),
    Adaptation("libp2p.pubsub.gossipsub:GossipSub", ("_get_peers_to_send",),
               "adaptations.pubsub", "Own messages go to the mesh alone: a peer that has just joined misses them."),
    Adaptation("libp2p.pubsub.gossipsub:GossipSub", ("_do_px",),
               "adaptations.pubsub", "Peer exchange dials peers that a neighbour names."),
    Adaptation("libp2p.pubsub.gossipsub:GossipSub", ("recent_message_deliveries", "scorer"),
               "adaptations.pubsub", "Both grow with every message or peer, and nothing trims them."),
    Adaptation("libp2p.pubsub.gossipsub:GossipSub", ("heartbeat_interval", "adaptive_gossip_enabled",
               "spam_protection_enabled", "eclipse_protection_enabled"),
               "adaptations.pubsub", "Defaults: a heartbeat of 120 s that may grow, ten messages a second from a "
               "neighbour, a mesh of three IP addresses at least."),

    # docs/py-libp2p.md#connections
    Adaptation("libp2p", ("new_host",),
               "host", "It also offers plaintext and secio, over which anybody may claim any peer id."),
    Adaptation("libp2p.network.auto_connector:AutoConnector", ("maybe_connect",),
               "adaptations.swarm", "It dials every peer in the peerstore."),
    Adaptation("libp2p.network.swarm:Swarm", ("auto_connector", "dial_peer"),
               "adaptations.swarm", "Opening a stream to a peer that has gone dials it: after 250 ms, at two of its "
               "addresses, with a ban of 60 s after a failure."),
    Adaptation("libp2p.network.swarm:Swarm", ("notify_opened_stream", "notify_connected", "remove_conn"),
               "adaptations.swarm", "A connection accepts streams before the swarm lists it."),
    Adaptation("libp2p.network.swarm:Swarm", ("_notify",),
               "adaptations.swarm", "Each listener is notified in a task of its own of every stream's end."),
    Adaptation("libp2p.network.swarm:Swarm", ("upgrade_inbound_raw_conn", "_inbound_limiter"),
               "adaptations.swarm", "The slot of an accepted connection is given back only when the host stops."),
    Adaptation("libp2p.network.stream.net_stream:NetStream", ("_state_lock", "swarm_conn", "muxed_stream"),
               "adaptations.swarm", "Acquiring a free `trio.Lock` is a turn of the event loop."),
    Adaptation("libp2p.host.basic_host:BasicHost", ("connect",),
               "dialer", "It returns at once for any listed connection, dead or not."),
    Adaptation("libp2p.abc:INotifee", ("connected", "disconnected"),
               "connection_table", "The end of an old connection may be notified after the start of the new one."),
    Adaptation("libp2p.stream_muxer.yamux.yamux:Yamux", ("_measure_rtt_loop", "_ping_event", "_ping_id",
               "_ping_sent_time", "event_shutting_down"),
               "adaptations.yamux", "It pings every 30 s and ignores a missing answer."),
    Adaptation("libp2p.stream_muxer.yamux.yamux:Yamux", ("_write_frame", "_write_lock"),
               "adaptations.yamux", "It answers every read with a window update."),
    Adaptation("libp2p.stream_muxer.yamux.yamux:Yamux", ("_read_data_body", "stream_buffers", "handle_incoming"),
               "adaptations.yamux", "Data beyond the window is kept, and unread data even after its stream has ended; "
               "trio.TooSlowError ends a connection wherever it is raised."),
    Adaptation("libp2p.stream_muxer.yamux.yamux:Yamux", ("streams", "streams_lock"),
               "adaptations.yamux", "Acquiring a free `trio.Lock` is a turn of the event loop."),
    Adaptation("libp2p.stream_muxer.yamux.yamux:YamuxStream", ("window_lock", "recv_window"),
               "adaptations.yamux", "Acquiring a free `trio.Lock` is a turn of the event loop."),
    Adaptation("libp2p.transport.upgrader:TransportUpgrader", ("upgrade_connection", "muxer_multistream"),
               "adaptations.yamux", "The muxer's class is hard-wired where yamux is negotiated."),
    Adaptation("libp2p.stream_muxer.muxer_multistream:MuxerMultistream", ("_selector", "_annotate_connection"),
               "adaptations.yamux", "The muxer's class is hard-wired where yamux is negotiated."),
    Adaptation("libp2p.transport.tcp.tcp:TCP", ("create_listener", "dial"),
               "adaptations.transport", "The listener sets SO_REUSEPORT and serves from a system task."),
    Adaptation("libp2p.io.trio:TrioTCPStream", ("read", "close", "read_lock", "write_lock"),
               "adaptations.transport", "Every noise message asks the socket twice, under a `trio.Lock`."),
    Adaptation("libp2p.protocol_muxer.multiselect:Multiselect", ("negotiate",),
               "adaptations.negotiation", "The answer to a new stream's protocol goes out in two packets."),
    Adaptation("libp2p.protocol_muxer.multiselect_communicator:MultiselectCommunicator", ("read", "write"),
               "adaptations.negotiation", "Messages are read byte by byte."),

    # docs/py-libp2p.md#bitswap
    Adaptation("libp2p.bitswap.client", ("BitswapClient",),
               "bitswap.engine", "It stores unsolicited and wrong blocks, answers on streams that Go never reads, "
               "waits 15 ms before each send, ignores a HAVE, and limits nothing."),

    # docs/py-libp2p.md#the-rest
    Adaptation("libp2p.host.basic_host:BasicHost", ("get_addrs",),
               "adaptations.host", "It looks at the machine's interfaces for every message that is sent."),
    Adaptation("libp2p.host.basic_host:BasicHost", ("_schedule_identify", "_identify_peer", "_identified_peers"),
               "adaptations.host", "Identify drops the peer's agent, and does not ask a known peer again."),
    Adaptation("libp2p.identity.identify.identify", ("_mk_identify_protobuf", "_remote_address_to_multiaddr"),
               "adaptations.host", "The agent in the answer is always the library's."),
    Adaptation("libp2p.utils.logging", ("setup_logging",),
               "network", "Lost connections are logged as errors, by a logger that is cut off from the application's."),
)
# fmt: on
