package rest

import (
	"net/http"
	"slices"

	"github.com/tarn-io/tarn/registry"
)

func (a *api) listSubjects(req *http.Request) (any, error) {
	list := a.reg.Subjects(prefixOr(req, registry.AnyContext), which(req))
	return page(req, visible(a, req, list, func(name string) string { return name }), 0)
}

// lookUp answers the version that has the schema in the body.
func (a *api) lookUp(req *http.Request) (any, error) {
	r, err := schemaRequest(req)
	if err != nil {
		return nil, err
	}
	v, err := a.reg.Lookup(req.Context(), a.target(req), r, isSet(req, "deleted"))
	if err != nil {
		return nil, err
	}
	return a.answer(v, req.URL.Query().Get("format"))
}

func (a *api) deleteSubject(req *http.Request) (any, error) {
	gone, err := a.reg.DeleteSubject(req.Context(), subject(req), isSet(req, "permanent"))
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// latestWithMetadata answers the newest version whose metadata has all the
// properties of the query, key and value by key and value.
func (a *api) latestWithMetadata(req *http.Request) (any, error) {
	list, err := a.reg.Versions(a.target(req), which(req))
	if err != nil {
		return nil, err
	}
	q := req.URL.Query()
	keys, values := q["key"], q["value"]
	if len(keys) != len(values) {
		return nil, badRequest("as many values as keys are needed")
	}
	for _, v := range slices.Backward(list) {
		if hasProperties(v, keys, values) {
			return a.answer(v, q.Get("format"))
		}
	}
	return nil, &registry.Refused{Kind: registry.ErrSchemaNotFound}
}

func hasProperties(v registry.Version, keys, values []string) bool {
	for i, key := range keys {
		if v.Metadata == nil {
			return false
		}
		if got, ok := v.Metadata.Properties[key]; !ok || got != values[i] {
			return false
		}
	}
	return true
}
