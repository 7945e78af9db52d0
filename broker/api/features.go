package api

import "github.com/tarn-io/tarn/broker/wire"

// features are the features that clients are told of (KIP-584). Their levels
// come with this version of the broker: nothing is stored in a way that depends
// on them.
func features() []wire.Feature {
	return []wire.Feature{
		{Name: "transaction.version", Min: 0, Max: 2, Finalized: 2},
		{Name: "group.version", Min: 0, Max: 1, Finalized: 1},
		{Name: "share.version", Min: 0, Max: 1, Finalized: 1},
		{Name: "streams.version", Min: 0, Max: 1, Finalized: 1},
	}
}
