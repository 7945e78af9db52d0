package rest

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// maxList bounds one page of GET /schemas, as in Confluent's registry: each
// entry carries a whole schema.
const maxList = 1000

// listed is Confluent's ExtendedSchema.
type listed struct {
	versionAnswer
	Aliases      []string      `json:"aliases,omitempty"`
	Associations []association `json:"associations,omitempty"`
}

func (a *api) listSchemas(req *http.Request) (any, error) {
	q := req.URL.Query()
	prefix := prefixOr(req, "")
	all := a.reg.List(prefix, which(req), isSet(req, "latestOnly"))
	var aliases map[string][]string
	if isSet(req, "aliases") {
		aliases = a.reg.Aliases(prefix)
		for _, target := range slices.Sorted(maps.Keys(aliases)) {
			if !slices.ContainsFunc(all, func(v registry.Version) bool { return v.Subject == target }) {
				all = append(all, a.reg.ListOf(target, which(req), isSet(req, "latestOnly"))...)
			}
		}
	}
	all = visible(a, req, all, func(v registry.Version) string { return v.Subject })
	if word := q.Get("ruleType"); word != "" {
		all = slices.DeleteFunc(all, func(v registry.Version) bool { return !hasRules(v.Rules, word) })
	}
	bound := a.bound(req)
	list, err := page(req, slices.DeleteFunc(all, func(v registry.Version) bool { return bound != nil && bound[v.Subject] == nil }), maxList)
	if err != nil {
		return nil, err
	}
	answers := make([]listed, len(list))
	for i, v := range list {
		w, err := a.answer(v, "")
		if err != nil {
			return nil, err
		}
		answers[i] = listed{w, aliases[v.Subject], bound[v.Subject]}
	}
	return answers, nil
}

// hasRules reports whether a rule set has rules of a type, such as CEL.
func hasRules(rules *schema.RuleSet, kind string) bool {
	if rules == nil {
		return false
	}
	is := func(r schema.Rule) bool { return r.Type == kind }
	return slices.ContainsFunc(rules.MigrationRules, is) || slices.ContainsFunc(rules.DomainRules, is) || slices.ContainsFunc(rules.EncodingRules, is)
}

// bound gives the associations of each subject that the query's resourceType,
// associationType and lifecycle choose, nil if the query does not choose. The
// lifecycle NONE chooses subjects without associations: an empty list.
func (a *api) bound(req *http.Request) map[string][]association {
	q := req.URL.Query()
	lifecycles := q["lifecycle"]
	if q.Get("resourceType") == "" && len(q["associationType"]) == 0 && len(lifecycles) == 0 {
		return nil
	}
	out := map[string][]association{}
	f := registry.Filter{ResourceType: q.Get("resourceType"), Types: q["associationType"]}
	for _, name := range a.reg.Subjects(registry.AnyContext, registry.All) {
		list := a.reg.OfSubject(name, f)
		if len(list) == 0 {
			if slices.Contains(lifecycles, "NONE") {
				out[name] = []association{}
			}
			continue
		}
		list = slices.DeleteFunc(list, func(as registry.Association) bool {
			return len(lifecycles) > 0 && !slices.Contains(lifecycles, string(as.Lifecycle))
		})
		if len(list) > 0 {
			out[name] = associations(list)
		}
	}
	return out
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
	w, err := a.full(v, req)
	w.ID = 0
	if isSet(req, "fetchMaxId") {
		w.MaxID = a.reg.MaxID(v.Context)
	}
	return w, err
}

// full is the answer about v with everything that the query asks for: its
// format, its references with their context, its tags.
func (a *api) full(v registry.Version, req *http.Request) (versionAnswer, error) {
	q := req.URL.Query()
	w, err := a.answer(v, q.Get("format"))
	if err == nil && q.Get("referenceFormat") == "qualified" && v.Context != registry.DefaultContext {
		w.References = slices.Clone(w.References)
		for i, ref := range w.References {
			if !strings.HasPrefix(ref.Subject, ":.") {
				w.References[i].Subject = registry.Qualify(v.Context, ref.Subject)
			}
		}
	}
	if tags := q["findTags"]; err == nil && len(tags) > 0 {
		var found []schema.Tagged
		found, err = a.reg.Tags(v, tags)
		w.Tags = showTags(found)
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
