package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ipfs/boxo/blockservice"
	blockstore "github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/datastore/dshelp"
	offline "github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	crdt "github.com/ipfs/go-ds-crdt"
	pb "github.com/ipfs/go-ds-crdt/pb"
	ipld "github.com/ipfs/go-ipld-format"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// inlineBlockField is our own field of Head, which carries the head's block.
const inlineBlockField = 15

// scriptedCaster stands in for the network: it keeps what the datastore broadcasts, and gives it
// what the script delivers.
type scriptedCaster struct {
	sent  [][]byte
	inbox chan []byte
}

func (c *scriptedCaster) Broadcast(_ context.Context, data []byte) error {
	c.sent = append(c.sent, data)
	return nil
}

func (c *scriptedCaster) Next(ctx context.Context) ([]byte, error) {
	for {
		select {
		case data := <-c.inbox:
			if data != nil {
				return data, nil
			}
		case <-ctx.Done():
			return nil, crdt.ErrNoMoreBroadcast
		}
	}
}

// replica is a real go-ds-crdt datastore over an offline DAG service.
type replica struct {
	store  *crdt.Datastore
	caster *scriptedCaster
}

// deliver returns once the datastore is done with the payload: only then does it ask for another,
// and so only then takes the empty one.
func (r *replica) deliver(data []byte) {
	r.caster.inbox <- data
	r.caster.inbox <- nil
}

func (r *replica) lastBroadcast() []byte { return r.caster.sent[len(r.caster.sent)-1] }

type goldenRun struct {
	ctx context.Context
	// All replicas of a run share the blocks, which is the whole network they need.
	dag ipld.DAGService
}

func newGoldenRun() *goldenRun {
	bs := blockstore.NewBlockstore(memoryStore())
	return &goldenRun{
		ctx: context.Background(),
		dag: merkledag.NewDAGService(blockservice.New(bs, offline.Exchange(bs))),
	}
}

func (g *goldenRun) replica(order query.Order) (*replica, error) {
	opts := crdt.DefaultOptions()
	opts.RebroadcastInterval = time.Hour // keep repeats out of what was sent
	opts.DAGSyncerTimeout = time.Second
	caster := &scriptedCaster{inbox: make(chan []byte)}
	store, err := crdt.New(orderedStore{memoryStore(), order}, ds.NewKey(namespace), g.dag, caster, opts)
	return &replica{store: store, caster: caster}, err
}

type vector struct {
	Delta        string   `json:"delta"`
	Node         string   `json:"node"`
	CID          string   `json:"cid"`
	ID           string   `json:"id"`
	Priority     uint64   `json:"priority"`
	Links        []string `json:"links"`
	TombstoneIDs []string `json:"tombstone_ids"`
}

// vector reads back the block that the replica's last write made.
func (g *goldenRun) vector(r *replica) (*vector, error) {
	var bcast pb.CRDTBroadcast
	if err := proto.Unmarshal(r.lastBroadcast(), &bcast); err != nil {
		return nil, err
	}
	if len(bcast.Heads) != 1 {
		return nil, fmt.Errorf("a write announced %d heads", len(bcast.Heads))
	}
	c, err := cid.Cast(bcast.Heads[0].Cid)
	if err != nil {
		return nil, err
	}
	node, err := g.dag.Get(g.ctx, c)
	if err != nil {
		return nil, err
	}
	data := node.(*merkledag.ProtoNode).Data()
	var delta pb.Delta
	if err := proto.Unmarshal(data, &delta); err != nil {
		return nil, err
	}
	v := &vector{
		Delta:        hex.EncodeToString(data),
		Node:         hex.EncodeToString(node.RawData()),
		CID:          c.String(),
		ID:           dshelp.MultihashToDsKey(c.Hash()).String(),
		Priority:     delta.GetPriority(),
		Links:        []string{},
		TombstoneIDs: []string{},
	}
	for _, l := range node.Links() {
		v.Links = append(v.Links, l.Cid.String())
	}
	for _, t := range delta.GetTombstones() {
		v.TombstoneIDs = append(v.TombstoneIDs, t.GetId())
	}
	return v, nil
}

type goldenResult struct {
	Libraries  map[string]string `json:"libraries"`
	Vectors    map[string]any    `json:"vectors"`
	Broadcasts map[string]string `json:"broadcasts"`
	Checks     map[string]any    `json:"checks"`
}

func printGolden(out io.Writer) error {
	result := goldenResult{
		Libraries:  libraries(),
		Vectors:    map[string]any{},
		Broadcasts: map[string]string{},
		Checks:     map[string]any{},
	}
	// C's tombstones come in the order of the datastore below go-ds-crdt. Over a store that answers
	// in key order, as one on disk does, they are in id order; over one that answers in reverse they
	// are not, and C is another block. Either is wholly go-ds-crdt's own work.
	if err := goldenVectors(&result, "C", query.OrderByKey{}); err != nil {
		return err
	}
	if err := goldenVectors(&result, "C_reverse_store", query.OrderByKeyDescending{}); err != nil {
		return err
	}
	if err := broadcastChecks(result.Checks); err != nil {
		return err
	}
	if err := mergeChecks(result.Checks); err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(result)
}

// libraries lets a test see that the vectors come from the versions they are meant to come from.
func libraries() map[string]string {
	versions := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			for _, name := range []string{"libp2p/go-libp2p", "libp2p/go-libp2p-pubsub", "hsanjuan/ipfs-lite", "ipfs/go-ds-crdt"} {
				if strings.HasSuffix(m.Path, "/"+name) {
					versions[name] = m.Version
				}
			}
		}
	}
	return versions
}

var (
	keyYQ = ds.NewKey("/agents/YQ")
	keyYg = ds.NewKey("/agents/Yg")
)

// goldenVectors lets two replicas fork after A, joins the branches in the first, and deletes there.
func goldenVectors(result *goldenResult, nameOfC string, order query.Order) error {
	g := newGoldenRun()
	one, err := g.replica(order)
	if err != nil {
		return err
	}
	two, err := g.replica(order)
	if err != nil {
		return err
	}
	record := func(name string, r *replica, err error) error {
		if err != nil {
			return err
		}
		v, err := g.vector(r)
		result.Vectors[name] = v
		return err
	}
	if err := record("A", one, one.store.Put(g.ctx, keyYQ, []byte("v1"))); err != nil {
		return err
	}
	broadcastA := one.lastBroadcast()
	if err := record("B", one, one.store.Put(g.ctx, keyYQ, []byte("v2"))); err != nil {
		return err
	}
	two.deliver(broadcastA)
	if err := record("B'", two, two.store.Put(g.ctx, keyYg, []byte("x"))); err != nil {
		return err
	}
	one.deliver(two.lastBroadcast())
	if err := record(nameOfC, one, one.store.Delete(g.ctx, keyYQ)); err != nil {
		return err
	}
	inline, err := g.inlined(broadcastA)
	result.Broadcasts["A"] = hex.EncodeToString(broadcastA)
	// Built here and not by go-ds-crdt, which knows nothing of the field; the checks show it accepts it.
	result.Broadcasts["A_inline"] = hex.EncodeToString(inline)
	return err
}

// inlined adds the block of a broadcast's only head to that head.
func (g *goldenRun) inlined(broadcast []byte) ([]byte, error) {
	var msg pb.CRDTBroadcast
	if err := proto.Unmarshal(broadcast, &msg); err != nil {
		return nil, err
	}
	c, err := cid.Cast(msg.Heads[0].Cid)
	if err != nil {
		return nil, err
	}
	node, err := g.dag.Get(g.ctx, c)
	if err != nil {
		return nil, err
	}
	field := protowire.AppendTag(nil, inlineBlockField, protowire.BytesType)
	msg.Heads[0].ProtoReflect().SetUnknown(protowire.AppendBytes(field, node.RawData()))
	return proto.Marshal(&msg)
}

// broadcastChecks tells which payloads about A a fresh replica acts upon.
func broadcastChecks(checks map[string]any) error {
	g := newGoldenRun()
	writer, err := g.replica(query.OrderByKey{})
	if err != nil {
		return err
	}
	if err := writer.store.Put(g.ctx, keyYQ, []byte("v1")); err != nil {
		return err
	}
	plain := writer.lastBroadcast()
	inline, err := g.inlined(plain)
	if err != nil {
		return err
	}
	head := writer.store.InternalStats(g.ctx).Heads[0]
	garbage, err := proto.Marshal(&pb.CRDTBroadcast{Heads: []*pb.Head{{Cid: head.Bytes()}, {Cid: []byte("no cid")}}})
	if err != nil {
		return err
	}
	// The field that other versions of go-ds-crdt have here; v0.6.8 does not know it.
	dagName := protowire.AppendTag(nil, 2, protowire.BytesType)
	dagName = protowire.AppendString(dagName, "other")
	other := &pb.Head{Cid: head.Bytes()}
	other.ProtoReflect().SetUnknown(dagName)
	named, err := proto.Marshal(&pb.CRDTBroadcast{Heads: []*pb.Head{other}})
	if err != nil {
		return err
	}
	unknown := protowire.AppendTag(append([]byte{}, plain...), inlineBlockField, protowire.BytesType)
	for name, payload := range map[string][]byte{
		"plain":             plain,
		"inline_block":      inline,
		"unknown_top_level": protowire.AppendBytes(unknown, []byte("x")),
		"one_bad_cid":       garbage,
		"named_dag":         named,
		"legacy_cid_v0":     cid.NewCidV0(head.Hash()).Bytes(),
		"legacy_cid_v1":     head.Bytes(),
	} {
		reader, err := g.replica(query.OrderByKey{})
		if err != nil {
			return err
		}
		reader.deliver(payload)
		got, err := reader.store.Has(g.ctx, keyYQ)
		if err != nil {
			return err
		}
		checks["accepts_"+name] = got
		if name == "legacy_cid_v0" {
			// The announced form of the CID becomes the head, and so a link of what is built on it.
			if err := reader.store.Put(g.ctx, keyYQ, []byte("v2")); err != nil {
				return err
			}
			child, err := g.vector(reader)
			if err != nil {
				return err
			}
			checks["links_above_legacy_cid_v0"] = child.Links
		}
	}
	return nil
}

// mergeChecks shows what go-ds-crdt does with deltas that we never emit.
func mergeChecks(checks map[string]any) error {
	g := newGoldenRun()
	r, err := g.replica(query.OrderByKey{})
	if err != nil {
		return err
	}
	twice, err := r.store.Batch(g.ctx)
	if err != nil {
		return err
	}
	for _, value := range []string{"b", "a"} {
		if err := twice.Put(g.ctx, keyYQ, []byte(value)); err != nil {
			return err
		}
	}
	if err := twice.Commit(g.ctx); err != nil {
		return err
	}
	value, err := r.store.Get(g.ctx, keyYQ)
	if err != nil {
		return err
	}
	checks["key_twice_in_delta_b_then_a"] = string(value)

	before := len(r.caster.sent)
	if err := r.store.Delete(g.ctx, keyYg); err != nil {
		return err
	}
	checks["deltas_of_deleting_absent_key"] = len(r.caster.sent) - before
	before = len(r.caster.sent)
	empty, err := r.store.Batch(g.ctx)
	if err != nil {
		return err
	}
	if err := empty.Delete(g.ctx, keyYg); err != nil {
		return err
	}
	if err := empty.Commit(g.ctx); err != nil {
		return err
	}
	checks["deltas_of_deleting_absent_key_in_batch"] = len(r.caster.sent) - before
	return nil
}
