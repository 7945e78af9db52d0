package rest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// decode reads a request's body as JSON. Fields that into does not have are
// ignored, as Confluent's registry does: newer clients send more.
func decode(req *http.Request, into any) error {
	if err := consumes(req); err != nil {
		return err
	}
	b, err := io.ReadAll(req.Body)
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{http.StatusUnprocessableEntity, 42209, "Request body is larger than " + strconv.FormatInt(tooLong.Limit, 10) + " bytes"}
	} else if err != nil {
		return badRequest("the request body ends early")
	}
	err = json.Unmarshal(b, into)
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badRequest("field %q cannot be a JSON %s", bad.Field, bad.Value)
	}
	if err != nil {
		return badRequest("the request body is not JSON: %s", err)
	}
	return nil
}

// consumes refuses bodies of a type that Confluent's registry does not take. No
// type at all is taken.
func consumes(req *http.Request) error {
	header := req.Header.Get("Content-Type")
	if header == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(header)
	switch kind {
	case contentType, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream":
		if err == nil {
			return nil
		}
	}
	return &problem{http.StatusUnsupportedMediaType, http.StatusUnsupportedMediaType, "HTTP 415 Unsupported Media Type"}
}

// registerBody is Confluent's RegisterSchemaRequest.
type registerBody struct {
	Schema     string             `json:"schema"`
	SchemaType string             `json:"schemaType"`
	References []schema.Reference `json:"references"`
	Metadata   *schema.Metadata   `json:"metadata"`
	RuleSet    *schema.RuleSet    `json:"ruleSet"`
	Version    int                `json:"version"`
	ID         int                `json:"id"`

	TagsToAdd     []schemaTags `json:"schemaTagsToAdd"`
	TagsToRemove  []schemaTags `json:"schemaTagsToRemove"`
	PropagateTags bool         `json:"propagateSchemaTags"`
}

// schemaRequest reads a schema to register, look up or compare.
func schemaRequest(req *http.Request) (registry.Request, error) {
	var body registerBody
	if err := decode(req, &body); err != nil {
		return registry.Request{}, err
	}
	// Other formats are those of the answer.
	if format := req.URL.Query().Get("format"); strings.EqualFold(format, "logical") {
		return registry.Request{}, &registry.Refused{Kind: registry.ErrFormat, Detail: format}
	}
	r, err := body.request()
	r.Normalize, r.Force = isSet(req, "normalize"), isSet(req, "force")
	return r, err
}

// request is the body as the registry takes it.
func (b *registerBody) request() (registry.Request, error) {
	add, err := tagged(b.TagsToAdd)
	if err != nil {
		return registry.Request{}, err
	}
	remove, err := tagged(b.TagsToRemove)
	return registry.Request{
		Type: schema.Type(strings.ToUpper(b.SchemaType)), Text: b.Schema,
		References: b.References, Metadata: b.Metadata, Rules: b.RuleSet, Version: b.Version, ID: b.ID,
		AddTags: add, RemoveTags: remove, PropagateTags: b.PropagateTags,
	}, err
}

// subject is the subject in a path, qualified by the path's context if it names
// none itself. Without a subject it is the context as a whole, for config and
// mode.
func subject(req *http.Request) string {
	return qualified(req, req.PathValue("subject"))
}

func qualified(req *http.Request, name string) string {
	if rest, ok := strings.CutPrefix(name, ":.:"); ok { // the default context by its name
		return rest
	}
	if strings.HasPrefix(name, ":.") {
		return name
	}
	return registry.Qualify(contextOf(req), name)
}

// target is the subject that a path's subject stands for: another one, if it
// has an alias.
func (a *api) target(req *http.Request) string { return a.reg.Alias(subject(req)) }

// prefixOr is the query's prefix of subjects; without one it is the path's
// context, and without that the default given.
func prefixOr(req *http.Request, none string) string {
	prefix := req.URL.Query().Get("subjectPrefix")
	if prefix == "" && contextOf(req) == registry.DefaultContext {
		return none
	}
	if strings.HasPrefix(prefix, registry.AnyContext) {
		return prefix
	}
	return qualified(req, prefix)
}

// about is the query's subject, which says in which context an id is meant.
func about(req *http.Request) string { return qualified(req, req.URL.Query().Get("subject")) }

// version is the version number in a path.
func version(req *http.Request) (int, error) {
	word := req.PathValue("version")
	if strings.EqualFold(word, "latest") || word == "-1" {
		return registry.Latest, nil
	}
	n, err := strconv.ParseInt(word, 10, 32)
	if err != nil || n < 1 {
		return 0, &problem{http.StatusUnprocessableEntity, 42202, "The specified version '" + word +
			"' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""}
	}
	return int(n), nil
}

// id is the schema id in a path. Another word is no path of ours, as for
// Confluent's registry.
func id(req *http.Request) (int, error) {
	n, err := strconv.ParseInt(req.PathValue("id"), 10, 32)
	if err != nil {
		return 0, notFound()
	}
	return int(n), nil
}

// isSet reads a query parameter that is on or off, by Java's rule.
func isSet(req *http.Request, name string) bool {
	return strings.EqualFold(req.URL.Query().Get(name), "true")
}

// which reads deleted and deletedOnly.
func which(req *http.Request) registry.Which {
	switch {
	case isSet(req, "deletedOnly"):
		return registry.DeletedOnly
	case isSet(req, "deleted"):
		return registry.All
	}
	return registry.Alive
}

// page cuts items by the query's offset and limit; a negative limit is none.
// most bounds the page if it is above zero. An empty page is [] and not null.
func page[T any](req *http.Request, items []T, most int) ([]T, error) {
	offset, limit := 0, -1
	q := req.URL.Query()
	for name, into := range map[string]*int{"offset": &offset, "limit": &limit} {
		if word := q.Get(name); word != "" {
			n, err := strconv.ParseInt(word, 10, 32)
			if err != nil {
				return nil, badRequest("%s is not a number", name)
			}
			*into = int(n)
		}
	}
	items = items[min(max(offset, 0), len(items)):]
	if most > 0 && (limit < 0 || limit > most) {
		limit = most
	}
	if limit >= 0 {
		items = items[:min(limit, len(items))]
	}
	if len(items) == 0 {
		return []T{}, nil
	}
	return items, nil
}
