package main

import "encoding/json"

// betarListing has the types that a Go betar decodes a listing with: a value that does not fit is
// not shown by it.
type betarListing struct {
	ID                string           `json:"id"`
	Name              string           `json:"name"`
	Price             float64          `json:"price"`
	Metadata          string           `json:"metadata"`
	SellerID          string           `json:"sellerId"`
	Addrs             []string         `json:"addrs,omitempty"`
	Protocols         []string         `json:"protocols,omitempty"`
	Timestamp         int64            `json:"timestamp"`
	TokenID           string           `json:"tokenId,omitempty"`
	OnChainReputation *betarReputation `json:"onChainReputation,omitempty"`
	AgentAPI          string           `json:"agentApi,omitempty"`
}

type betarReputation struct {
	Count    uint64 `json:"count"`
	Score    int64  `json:"score"`
	Decimals uint8  `json:"decimals"`
}

// decodeListings returns what a Go betar shows and the keys of what it hides.
func decodeListings(values map[string][]byte) (map[string]betarListing, []string) {
	shown := make(map[string]betarListing)
	hidden := []string{}
	for key, value := range values {
		var l betarListing
		if json.Unmarshal(value, &l) != nil {
			hidden = append(hidden, key)
			continue
		}
		shown[key] = l
	}
	return shown, hidden
}
