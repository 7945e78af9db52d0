package api

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// UpdateFeatures (key 57), versions 0–2 (KIP-584, KIP-1022). Features are
// finalized at the levels this version of the broker has: to ask for the level
// that is in use succeeds, any other is INVALID_UPDATE_VERSION. From version 2
// on one refusal is that of the whole request.

func (h *Handlers) updateFeatures(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.UpdateFeaturesRequest)
	resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	resp.Results = []kmsg.UpdateFeaturesResponseResult{}
	if len(req.FeatureUpdates) == 0 {
		err := refuse(wire.InvalidRequest, "no feature is named")
		resp.ErrorCode, resp.ErrorMessage = h.code(err), message(err)
		return now(resp)
	}
	seen := map[string]bool{}
	for i := range req.FeatureUpdates {
		u := &req.FeatureUpdates[i]
		err := checkFeature(req.Version, u)
		if seen[u.Feature] {
			err = refuse(wire.InvalidRequest, "feature %q stands twice", u.Feature)
		}
		seen[u.Feature] = true
		if req.Version >= 2 && err != nil {
			resp.ErrorCode, resp.ErrorMessage = h.code(err), message(err)
			break
		}
		res := kmsg.NewUpdateFeaturesResponseResult()
		res.Feature, res.ErrorCode, res.ErrorMessage = u.Feature, h.code(err), message(err)
		resp.Results = append(resp.Results, res)
	}
	return now(resp)
}

// checkFeature compares an update with what is.
func checkFeature(version int16, u *kmsg.UpdateFeaturesRequestFeatureUpdate) error {
	all := features()
	i := slices.IndexFunc(all, func(f wire.Feature) bool { return f.Name == u.Feature })
	switch {
	case u.Feature == "":
		return refuse(wire.InvalidRequest, "a feature has no name")
	case u.MaxVersionLevel < 0 || version >= 1 && (u.UpgradeType < 1 || u.UpgradeType > 3):
		return refuse(wire.InvalidRequest, "feature %q: level %d, upgrade type %d", u.Feature, u.MaxVersionLevel, u.UpgradeType)
	case i < 0:
		return refuse(wire.InvalidUpdateVersion, "feature %q is not supported", u.Feature)
	case u.MaxVersionLevel != all[i].Finalized:
		return refuse(wire.InvalidUpdateVersion, "feature %q stays at level %d, which comes with this version of the broker", u.Feature, all[i].Finalized)
	}
	return nil
}
