package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	ipfslite "github.com/hsanjuan/ipfs-lite"
	"github.com/ipfs/boxo/datastore/dshelp"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	crdt "github.com/ipfs/go-ds-crdt"
	pb "github.com/ipfs/go-ds-crdt/pb"
	ipld "github.com/ipfs/go-ipld-format"
	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pubsubpb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

const (
	crdtTopic     = "betar/marketplace/crdt"
	namespace     = "/marketplace"
	listingPrefix = "/agents"
	betarProtocol = "/betar/marketplace/1.0.0"

	defaultTimeout = 10 * time.Second
	pollInterval   = 5 * time.Millisecond
)

var log = logging.Logger("gopeer")

type config struct {
	listen       []string
	bootstrap    []string
	mdns         bool
	dht          string
	keyFile      string
	dataDir      string
	volatileCRDT bool
	rebroadcast  time.Duration
	workers      int
	betar        bool
	natService   bool
	trace        bool
}

// testPeer is one marketplace replica, put together as betar does it.
type testPeer struct {
	host   host.Host
	pubsub *pubsub.PubSub
	mesh   *mesh
	lite   *ipfslite.Peer
	dag    *recordingDAG
	caster *tracingCaster
	store  *crdt.Datastore
	state  ds.Datastore
	out    *lineWriter

	stopCaster context.CancelFunc
	closers    []io.Closer

	// Writes go one at a time, as betar's do: go-ds-crdt reads its heads without a lock, and its
	// batches share one pending delta.
	writing sync.Mutex

	seenMu  sync.Mutex
	seen    map[string]sighting
	changed chan struct{} // closed and replaced with every sighting
	puts    int
	deletes int
}

// sighting is when a key was last seen to change to a value.
type sighting struct {
	value []byte
	atNS  int64
}

// mesh knows who is in the gossip mesh: pubsub tells of that to nobody but a tracer.
type mesh struct {
	mu      sync.Mutex
	members map[peer.ID]bool
}

func (m *mesh) Trace(event *pubsubpb.TraceEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch event.GetType() {
	case pubsubpb.TraceEvent_GRAFT:
		m.members[peer.ID(event.GetGraft().GetPeerID())] = true
	case pubsubpb.TraceEvent_PRUNE:
		delete(m.members, peer.ID(event.GetPrune().GetPeerID()))
	case pubsubpb.TraceEvent_REMOVE_PEER:
		delete(m.members, peer.ID(event.GetRemovePeer().GetPeerID()))
	}
}

func (m *mesh) peers() []peer.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	members := make([]peer.ID, 0, len(m.members))
	for id := range m.members {
		members = append(members, id)
	}
	return members
}

// recordingDAG remembers the nodes that go-ds-crdt adds, which are its own deltas.
type recordingDAG struct {
	*ipfslite.Peer
	mu    sync.Mutex
	added []string
}

func (d *recordingDAG) Add(ctx context.Context, n ipld.Node) error {
	d.mu.Lock()
	d.added = append(d.added, n.Cid().String())
	d.mu.Unlock()
	return d.Peer.Add(ctx, n)
}

func (d *recordingDAG) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	added := d.added
	d.added = nil
	if added == nil {
		return []string{}
	}
	return added
}

// tracingCaster shows what go-ds-crdt is about to handle.
type tracingCaster struct {
	*crdt.PubSubBroadcaster
	heard func([]byte)
}

func (c *tracingCaster) Next(ctx context.Context) ([]byte, error) {
	data, err := c.PubSubBroadcaster.Next(ctx)
	if err == nil && c.heard != nil {
		c.heard(data)
	}
	return data, err
}

func newPeer(ctx context.Context, cfg config, out *lineWriter) (*testPeer, error) {
	key, err := loadKey(cfg.keyFile)
	if err != nil {
		return nil, err
	}
	blocks, state := memoryStore(), memoryStore()
	if cfg.dataDir != "" {
		if blocks, err = openLogStore(cfg.dataDir, "blocks"); err != nil {
			return nil, err
		}
		if !cfg.volatileCRDT {
			if state, err = openLogStore(cfg.dataDir, "crdt"); err != nil {
				return nil, err
			}
		}
	}
	options := []libp2p.Option{libp2p.Identity(key), libp2p.ListenAddrStrings(cfg.listen...)}
	if cfg.natService {
		options = append(options, libp2p.EnableNATService())
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, err
	}
	if cfg.betar {
		h.SetStreamHandler(betarProtocol, func(s network.Stream) { _ = s.Reset() })
	}
	grafted := &mesh{members: make(map[peer.ID]bool)}
	ps, err := pubsub.NewGossipSub(ctx, h, pubsub.WithEventTracer(grafted))
	if err != nil {
		return nil, err
	}
	found, err := discover(ctx, h, cfg)
	if err != nil {
		return nil, err
	}
	// A negative interval means no reproviding, and then ipfs-lite needs no routing.
	lite, err := ipfslite.New(ctx, blocks, nil, h, found.routing(), &ipfslite.Config{ReprovideInterval: -1})
	if err != nil {
		return nil, err
	}
	casterCtx, stopCaster := context.WithCancel(ctx)
	caster, err := crdt.NewPubSubBroadcaster(casterCtx, ps, crdtTopic)
	if err != nil {
		stopCaster()
		return nil, err
	}
	p := &testPeer{
		host:       h,
		pubsub:     ps,
		mesh:       grafted,
		lite:       lite,
		dag:        &recordingDAG{Peer: lite},
		caster:     &tracingCaster{PubSubBroadcaster: caster},
		state:      state,
		out:        out,
		stopCaster: stopCaster,
		closers:    []io.Closer{found, h, state, blocks},
		seen:       make(map[string]sighting),
		changed:    make(chan struct{}),
	}
	if cfg.trace {
		p.caster.heard = func(data []byte) {
			out.write(map[string]any{"event": "heard", "data": hex.EncodeToString(data), "at_ns": now()})
		}
	}
	visible := newVisibleStore(state, ds.NewKey(namespace), p.onPut)
	opts := crdt.DefaultOptions()
	opts.NumWorkers = cfg.workers
	opts.RebroadcastInterval = cfg.rebroadcast
	opts.PutHook = visible.putHook
	opts.DeleteHook = p.onDelete
	p.store, err = crdt.New(visible, ds.NewKey(namespace), p.dag, p.caster, opts)
	if err != nil {
		stopCaster()
		return nil, err
	}
	return p, nil
}

func loadKey(file string) (crypto.PrivKey, error) {
	if file != "" {
		raw, err := os.ReadFile(file)
		if err == nil {
			return crypto.UnmarshalPrivateKey(raw)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil || file == "" {
		return key, err
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(file, raw, 0o600)
}

func (p *testPeer) close() {
	// The order matters: go-ds-crdt may hang when it is closed before its broadcaster.
	p.stopCaster()
	if err := p.store.Close(); err != nil {
		log.Error(err)
	}
	for _, c := range p.closers {
		if err := c.Close(); err != nil {
			log.Error(err)
		}
	}
}

func (p *testPeer) addrs() []string {
	addrs := []string{}
	for _, a := range p.host.Addrs() {
		addrs = append(addrs, fmt.Sprintf("%s/p2p/%s", a, p.host.ID()))
	}
	return addrs
}

func (p *testPeer) onPut(key string, value []byte) {
	at := now()
	p.seenMu.Lock()
	p.puts++
	p.seen[key] = sighting{value: value, atNS: at}
	close(p.changed)
	p.changed = make(chan struct{})
	p.seenMu.Unlock()
	p.out.write(map[string]any{"event": "put", "key": key, "value": value, "at_ns": at})
}

func (p *testPeer) onDelete(k ds.Key) {
	at := now()
	p.seenMu.Lock()
	p.deletes++
	p.seenMu.Unlock()
	// A delete of one version can leave another: the event says which it was.
	present, err := p.has(context.Background(), k)
	if err != nil {
		log.Error(err)
	}
	p.out.write(map[string]any{"event": "delete", "key": k.String(), "present": present, "at_ns": at})
}

func (p *testPeer) has(ctx context.Context, k ds.Key) (bool, error) {
	if p.store == nil { // the hook may run before New returns
		return false, nil
	}
	return p.store.Has(ctx, k)
}

func (p *testPeer) handle(ctx context.Context, req request) (map[string]any, error) {
	timeout := defaultTimeout
	if req.TimeoutMS > 0 {
		timeout = time.Duration(req.TimeoutMS) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	switch req.Op {
	case "put":
		return p.write(func() error { return p.store.Put(ctx, ds.NewKey(req.Key), req.Value) })
	case "delete":
		return p.write(func() error { return p.store.Delete(ctx, ds.NewKey(req.Key)) })
	case "batch":
		return p.write(func() error { return p.batch(ctx, req) })
	case "get":
		return p.get(ctx, req.Key)
	case "list":
		values, err := p.list(ctx, req.Prefix)
		return map[string]any{"values": values}, err
	case "listings":
		values, err := p.list(ctx, listingPrefix)
		shown, hidden := decodeListings(values)
		slices.Sort(hidden)
		return map[string]any{"listings": shown, "hidden": hidden}, err
	case "heads":
		return p.heads(ctx)
	case "latency":
		return p.latency(ctx, req)
	case "connect":
		info, err := peer.AddrInfoFromString(req.Addr)
		if err != nil {
			return nil, err
		}
		return map[string]any{"peer": info.ID.String()}, p.host.Connect(ctx, *info)
	case "dial_back":
		return p.dialBack(ctx, req.Peer)
	case "disconnect":
		id, err := peer.Decode(req.Peer)
		if err != nil {
			return nil, err
		}
		return nil, p.host.Network().ClosePeer(id)
	case "addr":
		return map[string]any{"peer": p.host.ID().String(), "addrs": p.addrs()}, nil
	case "peers":
		return map[string]any{"peers": p.peers()}, nil
	case "topic_peers":
		return p.awaited(ctx, req.Peer, "join the topic", func() []peer.ID { return p.pubsub.ListPeers(crdtTopic) })
	case "mesh_peers":
		return p.awaited(ctx, req.Peer, "join the mesh", p.mesh.peers)
	case "decode":
		return decodeNode(req.Data)
	case "publish":
		return nil, p.caster.Broadcast(ctx, req.Data)
	case "block":
		c, err := cid.Decode(req.CID)
		if err != nil {
			return nil, err
		}
		b, err := p.lite.BlockStore().Get(ctx, c)
		if err != nil {
			return nil, err
		}
		return map[string]any{"data": b.RawData()}, nil
	case "processed":
		c, err := cid.Decode(req.CID)
		if err != nil {
			return nil, err
		}
		done, err := p.state.Has(ctx, processedKey(c))
		return map[string]any{"processed": done}, err
	case "fetch":
		c, err := cid.Decode(req.CID)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		b, err := p.lite.BlockService().GetBlock(ctx, c)
		if err != nil {
			return nil, err
		}
		return map[string]any{"data": b.RawData(), "ms": millis(time.Since(start))}, nil
	case "addfile":
		node, err := p.lite.AddFile(ctx, bytes.NewReader(req.Data), nil)
		if err != nil {
			return nil, err
		}
		return map[string]any{"cid": node.Cid().String()}, nil
	case "getfile":
		return p.getFile(ctx, req.CID)
	case "stats":
		return p.stats(ctx)
	default:
		return nil, fmt.Errorf("unknown op %q", req.Op)
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// write says when the write was issued and returned, and which blocks it made.
func (p *testPeer) write(do func() error) (map[string]any, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.dag.take()
	issued := now()
	err := do()
	return map[string]any{"issued_ns": issued, "done_ns": now(), "cids": p.dag.take()}, err
}

func (p *testPeer) batch(ctx context.Context, req request) error {
	b, err := p.store.Batch(ctx)
	if err != nil {
		return err
	}
	for _, kv := range req.Puts {
		if err := b.Put(ctx, ds.NewKey(kv.Key), kv.Value); err != nil {
			return err
		}
	}
	for _, key := range req.Deletes {
		if err := b.Delete(ctx, ds.NewKey(key)); err != nil {
			return err
		}
	}
	return b.Commit(ctx)
}

func (p *testPeer) get(ctx context.Context, key string) (map[string]any, error) {
	value, err := p.store.Get(ctx, ds.NewKey(key))
	if errors.Is(err, ds.ErrNotFound) {
		return map[string]any{"found": false}, nil
	}
	return map[string]any{"found": err == nil, "value": value}, err
}

func (p *testPeer) list(ctx context.Context, prefix string) (map[string][]byte, error) {
	results, err := p.store.Query(ctx, query.Query{Prefix: prefix})
	if err != nil {
		return nil, err
	}
	entries, err := results.Rest()
	values := make(map[string][]byte, len(entries))
	for _, e := range entries {
		values[e.Key] = e.Value
	}
	return values, err
}

// heads adds each head's own height, which go-ds-crdt keeps to itself, from its block.
func (p *testPeer) heads(ctx context.Context) (map[string]any, error) {
	stats := p.store.InternalStats(ctx)
	heads := []map[string]any{}
	for _, c := range stats.Heads {
		delta, err := p.localDelta(ctx, c)
		if err != nil {
			return nil, err
		}
		heads = append(heads, map[string]any{"cid": c.String(), "height": delta.GetPriority()})
	}
	return map[string]any{"heads": heads, "max_height": stats.MaxHeight}, nil
}

func (p *testPeer) localDelta(ctx context.Context, c cid.Cid) (*pb.Delta, error) {
	b, err := p.lite.BlockStore().Get(ctx, c)
	if err != nil {
		return nil, err
	}
	node, err := merkledag.DecodeProtobuf(b.RawData())
	if err != nil {
		return nil, err
	}
	delta := &pb.Delta{}
	return delta, proto.Unmarshal(node.Data(), delta)
}

// decodeNode tells what Go makes of a block, without keeping it.
func decodeNode(raw []byte) (map[string]any, error) {
	node, err := merkledag.DecodeProtobuf(raw)
	if err != nil {
		return nil, fmt.Errorf("dag-pb: %w", err)
	}
	delta := &pb.Delta{}
	if err := proto.Unmarshal(node.Data(), delta); err != nil {
		return nil, fmt.Errorf("delta: %w", err)
	}
	links := []string{}
	for _, l := range node.Links() {
		links = append(links, l.Cid.String())
	}
	return map[string]any{
		"links": links, "priority": delta.GetPriority(),
		"elements": len(delta.GetElements()), "tombstones": len(delta.GetTombstones()),
	}, nil
}

// latency waits until this peer has seen a put of the key (of this value, when one is given) and
// tells how long after issued_ns, a time of another process on this machine, that was.
func (p *testPeer) latency(ctx context.Context, req request) (map[string]any, error) {
	key := ds.NewKey(req.Key).String()
	for {
		p.seenMu.Lock()
		s, ok := p.seen[key]
		changed := p.changed
		p.seenMu.Unlock()
		if ok && s.atNS >= req.IssuedNS && (req.Value == nil || bytes.Equal(s.value, req.Value)) {
			return map[string]any{"at_ns": s.atNS, "ms": millis(time.Duration(s.atNS - req.IssuedNS))}, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s was not put in time", key)
		}
	}
}

func (p *testPeer) peers() []map[string]any {
	peers := []map[string]any{}
	for _, id := range p.host.Network().Peers() {
		addrs := []string{}
		for _, c := range p.host.Network().ConnsToPeer(id) {
			addrs = append(addrs, c.RemoteMultiaddr().String())
		}
		protocols, err := p.host.Peerstore().GetProtocols(id)
		if err != nil {
			log.Error(err)
		}
		slices.Sort(protocols)
		agent, _ := p.host.Peerstore().Get(id, "AgentVersion") // absent until identify is done
		peers = append(peers, map[string]any{
			"peer": id.String(), "addrs": addrs, "protocols": protocols, "agent": fmt.Sprint(agent),
		})
	}
	return peers
}

// awaited lists peers; with one named it first waits for that one.
func (p *testPeer) awaited(ctx context.Context, want, what string, list func() []peer.ID) (map[string]any, error) {
	for {
		names := []string{}
		for _, id := range list() {
			names = append(names, id.String())
		}
		if want == "" || slices.Contains(names, want) {
			return map[string]any{"peers": names}, nil
		}
		// pubsub offers events only to the owner of the topic, which is go-ds-crdt.
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return nil, fmt.Errorf("%s did not %s in time (there: %s)", want, what, strings.Join(names, " "))
		}
	}
}

func (p *testPeer) getFile(ctx context.Context, name string) (map[string]any, error) {
	c, err := cid.Decode(name)
	if err != nil {
		return nil, err
	}
	r, err := p.lite.GetFile(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"data": data}, nil
}

// processedKey is where go-ds-crdt notes that it has merged a block, which it then never walks again.
func processedKey(c cid.Cid) ds.Key {
	return ds.NewKey(namespace).ChildString("b").ChildString(dshelp.MultihashToDsKey(c.Hash()).String())
}

// wants are the blocks that Bitswap asks for: what go-ds-crdt waits for.
func (p *testPeer) wants() []string {
	names := []string{}
	if wanting, ok := p.lite.Exchange().(interface{ GetWantlist() []cid.Cid }); ok {
		for _, c := range wanting.GetWantlist() {
			names = append(names, c.String())
		}
	}
	return names
}

func (p *testPeer) stats(ctx context.Context) (map[string]any, error) {
	crdtStats := p.store.InternalStats(ctx)
	keys, err := p.lite.BlockStore().AllKeysChan(ctx)
	if err != nil {
		return nil, err
	}
	blocks := 0
	for range keys {
		blocks++
	}
	values, err := p.list(ctx, "/")
	if err != nil {
		return nil, err
	}
	p.seenMu.Lock()
	puts, deletes := p.puts, p.deletes
	p.seenMu.Unlock()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return map[string]any{
		"blocks": blocks, "keys": len(values), "heads": len(crdtStats.Heads),
		"max_height": crdtStats.MaxHeight, "queued_jobs": crdtStats.QueuedJobs,
		"dirty": p.store.IsDirty(ctx), "peers": len(p.host.Network().Peers()), "wants": p.wants(),
		"put_events": puts, "delete_events": deletes,
		"goroutines": runtime.NumGoroutine(), "heap_bytes": mem.HeapAlloc,
	}, nil
}
