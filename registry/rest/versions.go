package rest

import (
	"net/http"
	"strings"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// register answers the version that the schema has in the subject now.
func (a *api) register(req *http.Request) (any, error) {
	r, err := schemaRequest(req)
	if err != nil {
		return nil, err
	}
	v, err := a.reg.Register(req.Context(), a.target(req), r)
	if err != nil {
		return nil, err
	}
	format := req.URL.Query().Get("format")
	if format == "" && r.Type == schema.Protobuf && r.Text != "" && !strings.ContainsAny(r.Text, ";{") {
		// Clients remember the answer. Those that send a descriptor, in base64,
		// could not read text.
		format = "serialized"
	}
	w, err := a.answer(v, format)
	w.Subject = "" // Confluent's answer has none here
	return w, err
}

// listVersions answers version numbers; deleted ones, if asked for, negative.
func (a *api) listVersions(req *http.Request) (any, error) {
	list, err := a.reg.Versions(a.target(req), which(req))
	if err != nil {
		return nil, err
	}
	negative := isSet(req, "deletedAsNegative")
	numbers := make([]int, len(list))
	for i, v := range list {
		if numbers[i] = v.Version; v.Deleted && negative {
			numbers[i] = -v.Version
		}
	}
	return page(req, numbers, 0)
}

// pathVersion finds the version in a path.
func (a *api) pathVersion(req *http.Request) (registry.Version, error) {
	n, err := version(req)
	if err != nil {
		return registry.Version{}, err
	}
	return a.reg.Version(a.target(req), n, isSet(req, "deleted"))
}

func (a *api) getVersion(req *http.Request) (any, error) {
	v, err := a.pathVersion(req)
	if err != nil {
		return nil, err
	}
	return a.full(v, req)
}

func (a *api) getVersionText(req *http.Request) (any, error) {
	v, err := a.pathVersion(req)
	if err != nil {
		return nil, err
	}
	body, err := a.reg.Format(v, req.URL.Query().Get("format"))
	return text(body), err
}

// referencedBy answers the ids of the schemas that refer to a version.
func (a *api) referencedBy(req *http.Request) (any, error) {
	n, err := version(req)
	if err != nil {
		return nil, err
	}
	ids, err := a.reg.ReferencedBy(a.target(req), n, isSet(req, "deleted"))
	if err != nil {
		return nil, err
	}
	return page(req, ids, 0)
}

func (a *api) deleteVersion(req *http.Request) (any, error) {
	n, err := version(req)
	if err != nil {
		return nil, err
	}
	gone, err := a.reg.DeleteVersion(req.Context(), subject(req), n, isSet(req, "permanent"))
	if err != nil {
		return nil, err
	}
	return gone, nil
}
