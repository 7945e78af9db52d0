package rest

import (
	"net/http"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// maxList bounds one page of GET /schemas, as in Confluent's registry: each
// entry carries a whole schema.
const maxList = 1000

func (a *api) listSchemas(req *http.Request) (any, error) {
	all := a.reg.List(prefixOr(req, ""), which(req), isSet(req, "latestOnly"))
	list, err := page(req, visible(a, req, all, func(v registry.Version) string { return v.Subject }), maxList)
	if err != nil {
		return nil, err
	}
	answers := make([]versionAnswer, len(list))
	for i, v := range list {
		if answers[i], err = a.answer(v, ""); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func (a *api) listTypes(*http.Request) (any, error) {
	return []schema.Type{schema.JSON, schema.Protobuf, schema.Avro}, nil
}

// byID finds the schema of the id in a path.
func (a *api) byID(req *http.Request) (registry.Version, error) {
	n, err := id(req)
	if err != nil {
		return registry.Version{}, err
	}
	return a.reg.ByID(n, about(req))
}

// getID answers what every deserializer asks.
func (a *api) getID(req *http.Request) (any, error) {
	v, err := a.byID(req)
	if err != nil {
		return nil, err
	}
	w, err := a.schemaOnly(v, req)
	if isSet(req, "fetchMaxId") {
		w.MaxID = a.reg.MaxID(v.Context)
	}
	return w, err
}

// schemaOnly is the answer about a schema that stands for no version.
func (a *api) schemaOnly(v registry.Version, req *http.Request) (versionAnswer, error) {
	w, err := a.answer(v, req.URL.Query().Get("format"))
	w.ID = 0
	return w, err
}

func (a *api) getIDText(req *http.Request) (any, error) {
	v, err := a.byID(req)
	if err != nil {
		return nil, err
	}
	body, err := a.reg.Format(v, req.URL.Query().Get("format"))
	return text(body), err
}

// uses lists the versions of the id in a path.
func (a *api) uses(req *http.Request) ([]registry.Version, error) {
	n, err := id(req)
	if err != nil {
		return nil, err
	}
	list, err := a.reg.Uses(n, about(req), which(req))
	if err != nil {
		return nil, err
	}
	_, only := registry.Split(about(req))
	kept := list[:0]
	for _, v := range list {
		if _, within := registry.Split(v.Subject); only == "" || within == only {
			kept = append(kept, v)
		}
	}
	return visible(a, req, kept, func(v registry.Version) string { return v.Subject }), nil
}

func (a *api) subjectsOfID(req *http.Request) (any, error) {
	list, err := a.uses(req)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range list {
		if len(names) == 0 || names[len(names)-1] != v.Subject {
			names = append(names, v.Subject)
		}
	}
	return page(req, names, 0)
}

// subjectVersion is one use of a schema.
type subjectVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

func (a *api) versionsOfID(req *http.Request) (any, error) {
	list, err := a.uses(req)
	if err != nil {
		return nil, err
	}
	versions := make([]subjectVersion, len(list))
	for i, v := range list {
		versions[i] = subjectVersion{v.Subject, v.Version}
	}
	return page(req, versions, 0)
}

func (a *api) getGUID(req *http.Request) (any, error) {
	list, err := a.reg.ByGUID(req.PathValue("guid"))
	if err != nil {
		return nil, err
	}
	return a.schemaOnly(list[0], req)
}

// contextID is an id within a context.
type contextID struct {
	Context string `json:"context"`
	ID      int    `json:"id"`
}

func (a *api) idsOfGUID(req *http.Request) (any, error) {
	list, err := a.reg.ByGUID(req.PathValue("guid"))
	if err != nil {
		return nil, err
	}
	ids := make([]contextID, len(list))
	for i, v := range list {
		ids[i] = contextID{v.Context, v.ID}
	}
	return ids, nil
}
