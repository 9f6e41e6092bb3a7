package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	dssync "github.com/ipfs/go-datastore/sync"
)

func memoryStore() ds.Batching { return dssync.MutexWrap(ds.NewMapDatastore()) }

// logStore is a map kept in an append-only file: enough to restart a peer in a test without
// pulling in a database. Writes reach the kernel at once and so survive a kill; Sync is for more.
type logStore struct {
	*ds.MapDatastore
	file *os.File
}

const (
	logPut    = 'p'
	logDelete = 'd'
)

func openLogStore(dir, name string) (ds.Batching, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &logStore{MapDatastore: ds.NewMapDatastore(), file: f}
	end, err := s.replay()
	if err == nil {
		// A kill may have cut the last record short: it was never acknowledged.
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return dssync.MutexWrap(s), nil
}

// replay returns the offset behind the last whole record.
func (s *logStore) replay() (int64, error) {
	ctx := context.Background()
	r := bufio.NewReader(s.file)
	var end int64
	for {
		op, err := r.ReadByte()
		if err != nil {
			return end, ignoreEOF(err)
		}
		key, n1, err := readChunk(r)
		if err != nil {
			return end, ignoreEOF(err)
		}
		value, n2, err := readChunk(r)
		if err != nil {
			return end, ignoreEOF(err)
		}
		if op == logDelete {
			err = s.MapDatastore.Delete(ctx, ds.RawKey(string(key)))
		} else {
			err = s.MapDatastore.Put(ctx, ds.RawKey(string(key)), value)
		}
		if err != nil {
			return end, err
		}
		end += 1 + n1 + n2
	}
}

func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

func readChunk(r *bufio.Reader) ([]byte, int64, error) {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, 0, err
	}
	// Grown while reading: a size from a torn record must not be allocated up front.
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, r, int64(size)); err != nil {
		return nil, 0, err
	}
	return buf.Bytes(), int64(len(binary.AppendUvarint(nil, size))) + int64(size), nil
}

func (s *logStore) record(op byte, key ds.Key, value []byte) error {
	rec := []byte{op}
	rec = binary.AppendUvarint(rec, uint64(len(key.String())))
	rec = append(rec, key.String()...)
	rec = binary.AppendUvarint(rec, uint64(len(value)))
	rec = append(rec, value...)
	_, err := s.file.Write(rec)
	return err
}

func (s *logStore) Put(ctx context.Context, key ds.Key, value []byte) error {
	if err := s.record(logPut, key, value); err != nil {
		return err
	}
	return s.MapDatastore.Put(ctx, key, value)
}

func (s *logStore) Delete(ctx context.Context, key ds.Key) error {
	if err := s.record(logDelete, key, nil); err != nil {
		return err
	}
	return s.MapDatastore.Delete(ctx, key)
}

func (s *logStore) Batch(context.Context) (ds.Batch, error) { return ds.NewBasicBatch(s), nil }

func (s *logStore) Sync(context.Context, ds.Key) error { return s.file.Sync() }

func (s *logStore) Close() error { return s.file.Close() }

// visibleStore reports a put when it can be read. go-ds-crdt calls its PutHook before it commits
// the batch that holds the value, so a test that reads upon the hook would sometimes see the past.
type visibleStore struct {
	ds.Batching
	values  string // prefix of the keys that hold values
	visible func(key string, value []byte)

	mu      sync.Mutex
	pending map[string][]byte
}

// newVisibleStore knows go-ds-crdt's layout: <namespace>/s/k/<key>/v holds the value of a key.
func newVisibleStore(inner ds.Batching, namespace ds.Key, visible func(string, []byte)) *visibleStore {
	return &visibleStore{
		Batching: inner,
		values:   namespace.ChildString("s").ChildString("k").String(),
		visible:  visible,
		pending:  make(map[string][]byte),
	}
}

// putHook is go-ds-crdt's hook; the event follows with the commit.
func (s *visibleStore) putHook(k ds.Key, v []byte) {
	s.mu.Lock()
	s.pending[k.String()] = v
	s.mu.Unlock()
}

func (s *visibleStore) Batch(ctx context.Context) (ds.Batch, error) {
	b, err := s.Batching.Batch(ctx)
	return &visibleBatch{Batch: b, store: s, puts: make(map[string][]byte)}, err
}

type visibleBatch struct {
	ds.Batch
	store *visibleStore
	puts  map[string][]byte
}

func (b *visibleBatch) Put(ctx context.Context, k ds.Key, v []byte) error {
	if rest, ok := strings.CutPrefix(k.String(), b.store.values); ok {
		if key, ok := strings.CutSuffix(rest, "/v"); ok {
			b.puts[key] = v
		}
	}
	return b.Batch.Put(ctx, k, v)
}

func (b *visibleBatch) Commit(ctx context.Context) error {
	if err := b.Batch.Commit(ctx); err != nil {
		return err
	}
	for key, value := range b.puts {
		s := b.store
		s.mu.Lock()
		// A tombstone that brings back an older value writes one too, without the hook.
		hooked, ok := s.pending[key]
		ok = ok && bytes.Equal(hooked, value)
		if ok {
			delete(s.pending, key)
		}
		s.mu.Unlock()
		if ok {
			s.visible(key, value)
		}
	}
	return nil
}

// orderedStore answers queries in (reverse) order of their keys, as an on-disk store would. The map
// that betar uses answers in random order, and so go-ds-crdt writes tombstones in random order.
type orderedStore struct {
	ds.Batching
	order query.Order
}

func (s orderedStore) Query(ctx context.Context, q query.Query) (query.Results, error) {
	q.Orders = []query.Order{s.order}
	return s.Batching.Query(ctx, q)
}
