package api

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// ApiVersions (key 18), versions 0–5: lists what is served and nothing else.
// From version 3 the client says its software (KIP-511), which is kept for the
// rejections of its records. transaction.version 2 is finalized, which switches
// clients to the newer transaction protocol (KIP-890), and group.version 1, which
// tells them that consumer groups are served (KIP-848).

func (h *Handlers) apiVersions(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.ApiVersionsRequest)
	resp := wire.AnswerApiVersions(req, wire.Cluster{
		ID: h.cfg.ClusterID, NodeID: NodeID, Epoch: 0,
		Features: features(),
	})
	if req.Version >= 3 && resp.ErrorCode == 0 {
		r.Conn.Software, r.Conn.SoftwareVersion = Clip(req.ClientSoftwareName), Clip(req.ClientSoftwareVersion)
	}
	return now(resp)
}

// maxKnown bounds what is remembered of the names that a client gives itself, in
// bytes; there may be many clients, and names of 32 KiB.
const maxKnown = 255

// Clip is a name as it is remembered.
func Clip(name string) string {
	if len(name) <= maxKnown {
		return name
	}
	return strings.Clone(strings.ToValidUTF8(name[:maxKnown], ""))
}
