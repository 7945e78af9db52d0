package rest

import "net/http"

// root answers probes.
func (a *api) root(*http.Request) (any, error) { return struct{}{}, nil }

// serverID is Confluent's ServerClusterId.
type serverID struct {
	Scope scope  `json:"scope"`
	ID    string `json:"id"`
}

type scope struct {
	Path     []string          `json:"path"`
	Clusters map[string]string `json:"clusters"`
}

func (a *api) serverID(*http.Request) (any, error) {
	return serverID{Scope: scope{Path: []string{}, Clusters: map[string]string{
		"kafka-cluster": a.opts.ClusterID, "schema-registry-cluster": "schema-registry",
	}}}, nil
}

// serverVersion is Confluent's SchemaRegistryServerVersion.
type serverVersion struct {
	Version string `json:"version"`
	Commit  string `json:"commitId"`
}

func (a *api) serverVersion(*http.Request) (any, error) {
	return serverVersion{a.opts.Version, a.opts.Commit}, nil
}

// serverDeployment is Confluent's SchemaRegistryDeployment.
type serverDeployment struct {
	Attributes []string `json:"attributes"`
}

// serverDeployment answers that this server is none of Confluent's kinds.
func (a *api) serverDeployment(*http.Request) (any, error) {
	return serverDeployment{[]string{}}, nil
}
