package main

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/autonat"
)

// dialBack asks a peer to dial this one, as go-libp2p does by itself a quarter of a minute after its start.
func (p *testPeer) dialBack(ctx context.Context, id string) (map[string]any, error) {
	other, err := peer.Decode(id)
	if err != nil {
		return nil, err
	}
	return nil, autonat.NewAutoNATClient(p.host, nil, nil).DialBack(ctx, other)
}
