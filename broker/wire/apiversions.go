package wire

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Feature is a feature of the cluster (KIP-584), such as transaction.version.
// Clients switch to a protocol by the level that is finalized.
type Feature struct {
	Name      string
	Min, Max  int16 // levels supported
	Finalized int16 // level in use; 0: none
}

// Cluster is what ApiVersions tells and asks about this broker.
type Cluster struct {
	ID       string
	NodeID   int32
	Features []Feature
	// Epoch numbers the finalized features. Clients ignore them below 0.
	Epoch int64
}

// AnswerApiVersions answers ApiVersions v0–5 (KIP-35, KIP-511, KIP-584,
// KIP-1242). The result has the request's version.
//
// v3+ names the client's software and is refused with INVALID_REQUEST if the
// names are odd. v5 may name the cluster and node the client believes it talks
// to: REBOOTSTRAP_REQUIRED if they are others. Up to v3 a feature whose lowest
// level is 0 is left out, since older Java clients throw on it (KAFKA-17011).
func AnswerApiVersions(req *kmsg.ApiVersionsRequest, c Cluster) *kmsg.ApiVersionsResponse {
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	if code := checkApiVersions(req, c); code != None {
		resp.ErrorCode = int16(code)
		return resp
	}
	for _, r := range served {
		resp.ApiKeys = append(resp.ApiKeys, apiKey(r))
	}
	resp.FinalizedFeaturesEpoch = c.Epoch
	for _, f := range c.Features {
		if f.Min > 0 || req.Version >= 4 {
			s := kmsg.NewApiVersionsResponseSupportedFeature()
			s.Name, s.MinVersion, s.MaxVersion = f.Name, f.Min, f.Max
			resp.SupportedFeatures = append(resp.SupportedFeatures, s)
		}
		if f.Finalized > 0 {
			l := kmsg.NewApiVersionsResponseFinalizedFeature()
			l.Name, l.MinVersionLevel, l.MaxVersionLevel = f.Name, f.Finalized, f.Finalized
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, l)
		}
	}
	return resp
}

func checkApiVersions(req *kmsg.ApiVersionsRequest, c Cluster) Code {
	if req.Version >= 3 && (!softwareName(req.ClientSoftwareName) || !softwareName(req.ClientSoftwareVersion)) {
		return InvalidRequest
	}
	if req.Version < 5 {
		return None
	}
	switch hasID, hasNode := req.ClusterID != nil, req.NodeID != -1; {
	case hasID != hasNode:
		return InvalidRequest
	case hasID && (*req.ClusterID != c.ID || req.NodeID != c.NodeID):
		return RebootstrapRequired
	}
	return None
}

// UnsupportedApiVersions is the answer to ApiVersions in a version that is not
// served: a body of version 0, which every client can read, with the versions of
// ApiVersions to try (KIP-511).
func UnsupportedApiVersions() *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = int16(UnsupportedVersion)
	if r, ok := Lookup(KeyApiVersions); ok {
		resp.ApiKeys = append(resp.ApiKeys, apiKey(r))
	}
	return resp
}

func apiKey(r Range) kmsg.ApiVersionsResponseApiKey {
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = r.Key, r.Min, r.Max
	return k
}

// softwareName reports whether s is [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
// (KIP-511).
func softwareName(s string) bool {
	for i, c := range []byte(s) {
		inner := (c == '-' || c == '.') && i > 0 && i < len(s)-1
		if !inner && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
