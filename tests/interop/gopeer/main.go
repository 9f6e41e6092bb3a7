// Command gopeer is a small Go peer of the betar marketplace for our interoperability tests.
//
// It speaks JSON lines: one request per line on stdin, one reply per request on stdout, and events
// (lines without an id) as they happen. Logs go to stderr. It ends when stdin closes.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	logging "github.com/ipfs/go-log/v2"
)

// lineWriter keeps replies and events whole: they come from many goroutines.
type lineWriter struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func newLineWriter(w io.Writer) *lineWriter {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &lineWriter{enc: enc}
}

func (w *lineWriter) write(v map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enc.Encode(v); err != nil {
		// Nobody listens any more, so there is nothing left to do for this process.
		fmt.Fprintln(os.Stderr, "gopeer: stdout:", err)
		os.Exit(1)
	}
}

type listFlag []string

func (l *listFlag) String() string { return fmt.Sprint([]string(*l)) }

func (l *listFlag) Set(s string) error {
	*l = append(*l, s)
	return nil
}

func main() {
	var listen, bootstrap listFlag
	var cfg config
	flag.Var(&listen, "listen", "multiaddr to listen on, may be repeated (default /ip4/127.0.0.1/tcp/0)")
	flag.Var(&bootstrap, "bootstrap", "multiaddr to dial before Bitswap starts, as betar does; may be repeated")
	flag.BoolVar(&cfg.mdns, "mdns", false, "find and be found on the local network, as betar does")
	flag.StringVar(&cfg.dht, "dht", "", "take part in the DHT: auto (as betar does), client or server (default: not)")
	flag.StringVar(&cfg.keyFile, "key", "", "file that keeps the Ed25519 key, made when missing")
	flag.StringVar(&cfg.dataDir, "data", "", "folder that keeps blocks and CRDT state (default: memory)")
	flag.BoolVar(&cfg.volatileCRDT, "volatile-crdt", false, "with -data: keep blocks only and forget the CRDT state, as betar does")
	flag.DurationVar(&cfg.rebroadcast, "rebroadcast", 2*time.Second, "interval between announcements of heads (betar: 1m)")
	flag.IntVar(&cfg.workers, "workers", 2, "how many branches are merged side by side (betar: 2)")
	flag.BoolVar(&cfg.betar, "betar", false, "answer to "+betarProtocol+", so that others take this peer for a betar")
	flag.BoolVar(&cfg.natService, "nat-service", false, "dial other peers back that ask for it (AutoNAT's server)")
	flag.BoolVar(&cfg.trace, "trace", false, "emit a 'heard' event for each announcement read from the topic")
	logLevel := flag.String("log-level", "error", "level of the libraries' logs")
	golden := flag.Bool("golden", false, "print golden vectors made by go-ds-crdt, offline, and exit")
	flag.Parse()

	if level, err := logging.LevelFromString(*logLevel); err != nil {
		fatal(err)
	} else {
		logging.SetAllLoggers(level)
	}
	if *golden {
		if err := printGolden(os.Stdout); err != nil {
			fatal(err)
		}
		return
	}
	cfg.listen, cfg.bootstrap = listen, bootstrap
	if len(cfg.listen) == 0 {
		cfg.listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	if err := serve(cfg, os.Stdin, newLineWriter(os.Stdout)); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "gopeer:", err)
	os.Exit(1)
}

// request is the union of what the operations take.
type request struct {
	ID        json.RawMessage `json:"id"`
	Op        string          `json:"op"`
	Key       string          `json:"key"`
	Value     []byte          `json:"value"`
	Prefix    string          `json:"prefix"`
	Puts      []keyValue      `json:"puts"`
	Deletes   []string        `json:"deletes"`
	Addr      string          `json:"addr"`
	Peer      string          `json:"peer"`
	CID       string          `json:"cid"`
	Data      []byte          `json:"data"`
	IssuedNS  int64           `json:"issued_ns"`
	TimeoutMS int             `json:"timeout_ms"`
}

type keyValue struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

func serve(cfg config, in io.Reader, out *lineWriter) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p, err := newPeer(ctx, cfg, out)
	if err != nil {
		return err
	}
	out.write(map[string]any{
		"event": "ready", "peer": p.host.ID().String(), "addrs": p.addrs(), "at_ns": now(),
	})

	quit := readRequests(in, func(req request) {
		reply := map[string]any{"id": req.ID}
		fields, err := p.handle(ctx, req)
		if err != nil {
			reply["error"] = err.Error()
		} else {
			reply["ok"] = true
			for k, v := range fields {
				reply[k] = v
			}
		}
		out.write(reply)
	}, func(id json.RawMessage, err error) {
		out.write(map[string]any{"id": id, "error": err.Error()})
	})

	// A library that will not stop must not keep the test's process alive.
	watchdog := time.AfterFunc(5*time.Second, func() {
		fmt.Fprintln(os.Stderr, "gopeer: shutdown took too long")
		os.Exit(3)
	})
	defer watchdog.Stop()
	p.close()
	if quit != nil {
		out.write(map[string]any{"id": quit, "ok": true})
	}
	return nil
}

// readRequests runs each request in its own goroutine, so that a slow fetch does not hold up a put.
// It returns the id of a "quit" request, or nil when the input ended.
func readRequests(in io.Reader, handle func(request), refuse func(json.RawMessage, error)) json.RawMessage {
	r := bufio.NewReaderSize(in, 1<<16)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 1 {
			var req request
			switch jerr := json.Unmarshal(line, &req); {
			case jerr != nil:
				refuse(req.ID, jerr)
			case req.ID == nil:
				refuse(nil, errors.New("a request needs an id"))
			case req.Op == "quit":
				return req.ID
			default:
				go handle(req)
			}
		}
		if err != nil {
			return nil
		}
	}
}

func now() int64 { return time.Now().UnixNano() }
