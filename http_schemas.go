package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink/wiring"
)

// maxSchemaRequest bounds a request with a schema text: what the registry takes, and
// room for escapes.
const maxSchemaRequest = 2*registry.MaxSchemaBytes + 1<<20

// dryRunPages are the registry's routes below it, which change nothing here: they answer
// how things would be, or are refused as the real ones would. It is a path, and no
// parameter, since a broker that does not know it is to change nothing either.
const dryRunPages = "/api/dry-run/"

// dryRun serves the routes that change subjects, levels and modes.
func (n *node) dryRun() http.Handler {
	return http.StripPrefix(strings.TrimSuffix(dryRunPages, "/"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first {
		case "subjects", "config", "mode":
			n.schemaREST.ServeHTTP(w, r.WithContext(registry.DryRun(r.Context())))
		default:
			answer(w, http.StatusNotFound, apiError{Code: 404, Message: "no such route: " + r.Method + " " + dryRunPages + strings.TrimPrefix(r.URL.Path, "/")})
		}
	}))
}

// schemaDiff answers what changes from one version of a subject to another.
func (n *node) schemaDiff(w http.ResponseWriter, r *http.Request) {
	subject := n.registry.Alias(r.URL.Query().Get("subject"))
	if !n.readable(w, r, subject) {
		return
	}
	from, err := versionNumber(r, "from")
	if err == nil {
		var to int
		if to, err = versionNumber(r, "to"); err == nil {
			answerReview(w)(n.warned(n.registry.Diff(subject, from, to)))
			return
		}
	}
	answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: err.Error()})
}

// versionNumber reads a parameter that names a version; none means the latest.
func versionNumber(r *http.Request, name string) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" || text == "latest" || text == "-1" {
		return registry.Latest, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%s=%q is no version: a number from 1, or latest", name, text)
	}
	return n, nil
}

// schemaText is a schema that is asked about, under the names of a registration.
type schemaText struct {
	Type       schema.Type        `json:"schemaType"`
	Text       string             `json:"schema"`
	References []schema.Reference `json:"references,omitempty"`
}

// schemaCheck answers what a text would change as a subject's next version. The body
// is that of a registration.
func (n *node) schemaCheck(w http.ResponseWriter, r *http.Request) {
	subject := n.registry.Alias(r.URL.Query().Get("subject"))
	if !n.readable(w, r, subject) {
		return
	}
	var body schemaText
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSchemaRequest))
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: "request: " + err.Error()})
		return
	}
	answerReview(w)(n.warned(n.registry.Examine(subject,
		registry.Request{Type: body.Type, Text: body.Text, References: body.References})))
}

// warned adds to a review what it means for readers of the tables that there are: a
// Delta table whose columns widen is one that some readers refuse.
func (n *node) warned(r registry.Review, err error) (registry.Review, error) {
	var widened []string
	for _, c := range r.Changes {
		for _, e := range c.Table {
			if e.Kind == schema.ColumnWidened {
				widened = append(widened, e.Column)
			}
		}
	}
	if err != nil || n.broker == nil || len(widened) == 0 {
		return r, err
	}
	for _, t := range n.broker.Topics().View().All() {
		if !slices.Contains(t.Config.TableFormats, "delta") {
			continue
		}
		for _, part := range []string{"key", "value"} {
			if n.registry.Alias(schemaOfTopic(n.registry, t, part).subject) == r.Subject {
				r.Warnings = append(r.Warnings, fmt.Sprintf("once %s widens, the Delta table of topic %s needs readers with the feature typeWidening; "+
					"those that lack it (deltalake and Trino, for example) refuse it until tarn table rebuild %s has written it anew", strings.Join(widened, ", "), t.Name, t.Name))
			}
		}
	}
	return r, nil
}

// describedSchema is a subject's version with its rules.
type describedSchema struct {
	registry.Description
	Rules []validate.DescribedRule `json:"rules"`
}

// withRules adds the rules of a version's schema, and what they took.
func (n *node) withRules(d registry.Description) describedSchema {
	out := describedSchema{d, []validate.DescribedRule{}}
	v, err := n.registry.Version(d.Subject, d.Version, false)
	if err != nil || n.validator == nil {
		return out // it was deleted a moment ago
	}
	if s, err := n.registry.Schema(v.Context, v.ID); err == nil {
		out.Rules = n.validator.RulesOf(s, v.ID, v.Rules, v.Metadata)
	}
	return out
}

// schemaDescribe answers what a subject's version means, or for a topic's name the
// latest ones of its keys and values. A subject goes before a topic of its name.
func (n *node) schemaDescribe(w http.ResponseWriter, r *http.Request) {
	number, err := versionNumber(r, "version")
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: err.Error()})
		return
	}
	var list []describedSchema
	message := r.URL.Query().Get("message")
	for _, of := range n.schemasOf(r.URL.Query().Get("name")) {
		if !n.readable(w, r, of.subject) {
			return
		}
		d, err := n.registry.Describe(of.subject, number, cmp.Or(message, of.message))
		if err != nil {
			answerReview(w)(nil, err)
			return
		}
		list = append(list, n.withRules(d))
	}
	answer(w, http.StatusOK, list)
}

// namedSchema is a subject, and the Protobuf message that is meant; "" is its first.
type namedSchema struct{ subject, message string }

// schemasOf are the subject that a name is, or those of the topic of that name; if
// there is neither, the name itself. A topic that has the subject of its own name
// says which message is meant.
func (n *node) schemasOf(name string) []namedSchema {
	subject := n.registry.Alias(name)
	_, is := n.registry.Latest(subject)
	var list []namedSchema
	own := false
	for _, part := range []string{"key", "value"} {
		of := n.schemaOf(name, part)
		if of.subject == "" {
			continue
		}
		of.subject = n.registry.Alias(of.subject)
		if _, ok := n.registry.Latest(of.subject); ok {
			list = append(list, of)
			own = own || of.subject == subject
		}
	}
	if is && !own || len(list) == 0 {
		return []namedSchema{{subject: subject}}
	}
	return list
}

// schemaOf is where the schema of a topic's keys or values is, as its configs say
// if there is such a topic; the subject is "" if only records say.
func (n *node) schemaOf(name, part string) namedSchema {
	if n.broker != nil {
		if t := n.broker.Topics().View().ByName(name); t != nil {
			return schemaOfTopic(n.registry, t, part)
		}
	}
	return namedSchema{subject: n.registry.SubjectOf(name, part)}
}

func schemaOfTopic(reg *registry.Registry, t *topic.Topic, part string) namedSchema {
	use := &t.Config.Value
	if part == "key" {
		use = &t.Config.Key
	}
	rules := wiring.PartRules(use)
	subject, _ := validate.Expected(reg, t.Name, t.Config.SchemaContext, part, &rules)
	return namedSchema{subject, use.Message}
}

// answerReview answers with what the registry says, or why it cannot.
func answerReview(w http.ResponseWriter) func(v any, err error) {
	return func(v any, err error) {
		broken, isBroken := errors.AsType[*schema.ParseError](err)
		_, refused := errors.AsType[*registry.Refused](err)
		switch {
		case err == nil:
			answer(w, http.StatusOK, v)
		case isBroken:
			answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: "Invalid schema, details: " + broken.Error()})
		case errors.Is(err, registry.ErrSubjectNotFound), errors.Is(err, registry.ErrVersionNotFound), errors.Is(err, registry.ErrNoMessage):
			answer(w, http.StatusNotFound, apiError{Code: 40401, Message: err.Error()})
		case refused:
			answer(w, http.StatusUnprocessableEntity, apiError{Code: 42205, Message: err.Error()})
		default:
			answer(w, http.StatusInternalServerError, apiError{Code: 50001, Message: err.Error()})
		}
	}
}
