package rest

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/tarn-io/tarn/registry"
)

// Associations bind topics to subjects. Serializers of the 8.x line ask for
// them before the first record of a topic, and fall back to <topic>-value on an
// empty list.

// association is Confluent's Association. frozen is left out: it always is what
// the lifecycle says.
type association struct {
	Subject   string             `json:"subject"`
	GUID      string             `json:"guid"`
	Name      string             `json:"resourceName"`
	Namespace string             `json:"resourceNamespace"`
	ID        string             `json:"resourceId"`
	Resource  string             `json:"resourceType"`
	Type      string             `json:"associationType"`
	Lifecycle registry.Lifecycle `json:"lifecycle"`
	CreatedMs int64              `json:"createTs"`
	UpdatedMs int64              `json:"updateTs"`
}

func associations(list []registry.Association) []association {
	out := make([]association, len(list))
	for i, a := range list {
		out[i] = association{a.Subject, a.GUID, a.Name, a.Namespace, a.ID, a.Resource.Type, a.Type, a.Lifecycle, a.CreatedMs, a.UpdatedMs}
	}
	return out
}

// associationFilter reads the query of the lists.
func associationFilter(req *http.Request) registry.Filter {
	q := req.URL.Query()
	return registry.Filter{ResourceType: q.Get("resourceType"), Types: q["associationType"], Lifecycle: registry.Lifecycle(q.Get("lifecycle"))}
}

func (a *api) associationsOfSubject(req *http.Request) (any, error) {
	return page(req, associations(a.reg.OfSubject(subject(req), associationFilter(req))), 0)
}

func (a *api) associationsOfResource(req *http.Request) (any, error) {
	return page(req, associations(a.reg.OfResource(req.PathValue("resource"), associationFilter(req))), 0)
}

func (a *api) associationsOfName(req *http.Request) (any, error) {
	list := a.reg.OfName(req.PathValue("namespace"), req.PathValue("resource"), associationFilter(req))
	return page(req, associations(list), 0)
}

// associationBody is Confluent's AssociationCreateOrUpdateRequest; with opType
// it is an AssociationOpRequest.
type associationBody struct {
	Name         string        `json:"resourceName"`
	Namespace    string        `json:"resourceNamespace"`
	ID           string        `json:"resourceId"`
	Type         string        `json:"resourceType"`
	Associations []bindingBody `json:"associations"`
}

type bindingBody struct {
	Op        string             `json:"opType"`
	Subject   string             `json:"subject"`
	Type      string             `json:"associationType"`
	Lifecycle registry.Lifecycle `json:"lifecycle"`
	Frozen    *bool              `json:"frozen"`
	Schema    *registerBody      `json:"schema"`
	Normalize bool               `json:"normalize"`
}

// associated is Confluent's AssociationResponse.
type associated struct {
	Name         string         `json:"resourceName,omitempty"`
	Namespace    string         `json:"resourceNamespace,omitempty"`
	ID           string         `json:"resourceId,omitempty"`
	Type         string         `json:"resourceType,omitempty"`
	Associations []boundSubject `json:"associations"`
}

type boundSubject struct {
	Subject   string             `json:"subject"`
	Type      string             `json:"associationType"`
	Lifecycle registry.Lifecycle `json:"lifecycle"`
	Schema    *versionAnswer     `json:"schema,omitempty"`
}

func (a *api) postAssociations(req *http.Request) (any, error) {
	var body associationBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	return a.associate(req, body, false)
}

func (a *api) putAssociations(req *http.Request) (any, error) {
	var body associationBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	switch id := req.PathValue("resource"); body.ID {
	case "":
		body.ID = id
	case id:
	default:
		return nil, &registry.Refused{Kind: registry.ErrAssociation, Detail: "resourceId is not the one of the path"}
	}
	return a.associate(req, body, true)
}

func (a *api) associate(req *http.Request, body associationBody, update bool) (any, error) {
	asked := make([]registry.Binding, len(body.Associations))
	for i, b := range body.Associations {
		asked[i] = registry.Binding{Subject: within(req, b.Subject), Type: b.Type, Lifecycle: b.Lifecycle, Frozen: b.Frozen}
		if b.Schema != nil {
			r, err := b.Schema.request()
			if err != nil {
				return nil, err
			}
			r.Normalize = b.Normalize
			asked[i].Schema = &r
		}
	}
	to := registry.Resource{Name: body.Name, Namespace: body.Namespace, ID: body.ID, Type: body.Type}
	list, err := a.reg.Associate(req.Context(), to, asked, update, isSet(req, "dryRun"))
	if err != nil {
		return nil, err
	}
	return a.associatedWith(to, list, true)
}

// within is the subject that a body names, in the context of the query or of the
// path if the name says none.
func within(req *http.Request, subject string) string {
	in := cmp.Or(bare(req.URL.Query().Get("context")), contextOf(req))
	if subject == "" || strings.HasPrefix(subject, ":") {
		return subject
	}
	return registry.Qualify(in, subject)
}

// associatedWith answers a resource's associations. What the request left out of
// the resource is taken from the first of them.
func (a *api) associatedWith(to registry.Resource, list []registry.Association, schemas bool) (associated, error) {
	if len(list) > 0 {
		first := list[0].Resource
		to.Name, to.Namespace, to.ID = cmp.Or(to.Name, first.Name), cmp.Or(to.Namespace, first.Namespace), cmp.Or(to.ID, first.ID)
	}
	answer := associated{Name: to.Name, Namespace: to.Namespace, ID: to.ID, Type: cmp.Or(to.Type, "topic"), Associations: []boundSubject{}}
	for _, one := range list {
		b := boundSubject{Subject: one.Subject, Type: one.Type, Lifecycle: one.Lifecycle}
		if latest, ok := a.reg.Latest(one.Subject); ok && schemas {
			w, err := a.answer(latest, "")
			if err != nil {
				return answer, err
			}
			b.Schema = &w
		}
		answer.Associations = append(answer.Associations, b)
	}
	return answer, nil
}

func (a *api) deleteAssociations(req *http.Request) (any, error) {
	err := a.reg.Dissociate(req.Context(), req.PathValue("resource"), associationFilter(req), isSet(req, "cascadeLifecycle"), isSet(req, "dryRun"))
	return nothing{}, err
}

// batchResult is one result of a batch, in the place of its request.
type batchResult struct {
	Error  *problem `json:"error,omitempty"`
	Result any      `json:"result,omitempty"`
}

// several answers with 207: each result has its own outcome.
type several struct {
	Results []batchResult `json:"results"`
}

// batchGetBody is Confluent's AssociationBatchGetRequest.
type batchGetBody struct {
	Requests []resourceBody `json:"requests"`
}

type resourceBody struct {
	Name      string             `json:"resourceName"`
	Namespace string             `json:"resourceNamespace"`
	ID        string             `json:"resourceId"`
	Resource  string             `json:"resourceType"`
	Types     []string           `json:"associationTypes"`
	Lifecycle registry.Lifecycle `json:"lifecycle"`
}

// batchMutateBody is Confluent's AssociationBatchRequest.
type batchMutateBody struct {
	Requests []associationBody `json:"requests"`
}

// maxBatch bounds the requests of one batch.
const maxBatch = 1000

func (a *api) batchGetAssociations(req *http.Request) (any, error) {
	var body batchGetBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	if len(body.Requests) > maxBatch {
		return nil, badRequest("a batch has at most %d requests", maxBatch)
	}
	out := several{Results: []batchResult{}}
	for _, r := range body.Requests {
		f := registry.Filter{ResourceType: r.Resource, Types: r.Types, Lifecycle: r.Lifecycle}
		var list []registry.Association
		switch {
		case r.ID != "":
			list = a.reg.OfResource(r.ID, f)
		case r.Name != "" && r.Namespace != "":
			list = a.reg.OfName(r.Namespace, r.Name, f)
		default:
			bad := &registry.Refused{Kind: registry.ErrAssociation, Detail: "resourceId, or resourceName and resourceNamespace, are missing"}
			out.Results = append(out.Results, batchResult{Error: refusal(bad)})
			continue
		}
		answer, err := a.associatedWith(registry.Resource{Name: r.Name, Namespace: r.Namespace, ID: r.ID, Type: r.Resource}, list, isSet(req, "includeSchemas"))
		if err != nil {
			return nil, err
		}
		out.Results = append(out.Results, batchResult{Result: answer})
	}
	return out, nil
}

func (a *api) batchMutateAssociations(req *http.Request) (any, error) {
	var body batchMutateBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	if len(body.Requests) > maxBatch {
		return nil, badRequest("a batch has at most %d requests", maxBatch)
	}
	out := several{Results: []batchResult{}}
	for _, r := range body.Requests {
		result, err := a.mutateAssociations(req, r)
		if err != nil {
			out.Results = append(out.Results, batchResult{Error: a.problem(req, err)})
			continue
		}
		out.Results = append(out.Results, batchResult{Result: result})
	}
	return out, nil
}

// mutateAssociations does the operations on one resource: deletions first, then
// what is created, then what may be there already.
func (a *api) mutateAssociations(req *http.Request, body associationBody) (any, error) {
	by := map[string][]bindingBody{}
	for _, b := range body.Associations {
		switch b.Op {
		case "CREATE", "UPSERT", "DELETE":
			by[b.Op] = append(by[b.Op], b)
		default:
			return nil, &registry.Refused{Kind: registry.ErrAssociation, Detail: "opType can only be CREATE, UPSERT or DELETE"}
		}
	}
	if gone := by["DELETE"]; len(gone) > 0 {
		f := registry.Filter{ResourceType: body.Type}
		for _, b := range gone {
			f.Types = append(f.Types, b.Type)
		}
		if err := a.reg.Dissociate(req.Context(), body.ID, f, true, isSet(req, "dryRun")); err != nil {
			return nil, err
		}
	}
	answer := associated{Name: body.Name, Namespace: body.Namespace, ID: body.ID, Type: "topic", Associations: []boundSubject{}}
	for _, op := range []string{"CREATE", "UPSERT"} {
		if len(by[op]) == 0 {
			continue
		}
		part := body
		part.Associations = by[op]
		one, err := a.associate(req, part, op == "UPSERT")
		if err != nil {
			return nil, err
		}
		made, ok := one.(associated)
		if !ok {
			return nil, errors.New("associate answered something else")
		}
		answer.Associations = append(answer.Associations, made.Associations...)
	}
	return answer, nil
}
