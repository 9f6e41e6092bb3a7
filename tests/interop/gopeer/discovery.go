package main

import (
	"context"
	"errors"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	corerouting "github.com/libp2p/go-libp2p/core/routing"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/libp2p/go-libp2p/p2p/discovery/routing"
	"github.com/libp2p/go-libp2p/p2p/discovery/util"
)

const (
	mdnsService = "betar-mdns"
	rendezvous  = "betar/agent-marketplace"

	dialTimeout = 5 * time.Second
)

// discovery finds other peers as betar does: it listens for mDNS, and advertises itself in the DHT without ever searching.
type discovery struct {
	mdns mdns.Service
	dht  *dht.IpfsDHT
	stop context.CancelFunc
}

var dhtModes = map[string]dht.ModeOpt{
	"auto": dht.ModeAuto, "client": dht.ModeClient, "server": dht.ModeServer,
}

// dialler connects to whoever mDNS finds.
type dialler struct {
	ctx  context.Context
	host host.Host
}

func (d dialler) HandlePeerFound(info peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(d.ctx, dialTimeout)
	defer cancel()
	if err := d.host.Connect(ctx, info); err != nil {
		log.Debug(err)
	}
}

// discover starts what the configuration asks for and dials the bootstrap peers; those that do not answer are skipped.
func discover(ctx context.Context, h host.Host, cfg config) (*discovery, error) {
	ctx, stop := context.WithCancel(ctx)
	d := &discovery{stop: stop}
	if cfg.dht != "" {
		mode, known := dhtModes[cfg.dht]
		if !known {
			stop()
			return nil, errors.New("-dht takes auto, client or server")
		}
		var err error
		if d.dht, err = dht.New(ctx, h, dht.Mode(mode)); err == nil {
			err = d.dht.Bootstrap(ctx)
		}
		if err != nil {
			stop()
			return nil, err
		}
	}
	if cfg.mdns {
		d.mdns = mdns.NewMdnsService(h, mdnsService, dialler{ctx, h})
		if err := d.mdns.Start(); err != nil {
			stop()
			return nil, err
		}
	}
	for _, addr := range cfg.bootstrap {
		info, err := peer.AddrInfoFromString(addr)
		if err != nil {
			stop()
			return nil, err
		}
		dialler{ctx, h}.HandlePeerFound(*info)
	}
	if d.dht != nil {
		util.Advertise(ctx, routing.NewRoutingDiscovery(d.dht), rendezvous)
	}
	return d, nil
}

// routing is nil, without a type, where there is no DHT.
func (d *discovery) routing() corerouting.Routing {
	if d.dht == nil {
		return nil
	}
	return d.dht
}

func (d *discovery) Close() error {
	d.stop()
	var errs []error
	if d.mdns != nil {
		errs = append(errs, d.mdns.Close())
	}
	if d.dht != nil {
		errs = append(errs, d.dht.Close())
	}
	return errors.Join(errs...)
}
