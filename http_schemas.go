package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/schema"
)

// maxSchemaRequest bounds a request with a schema text: what the registry takes, and
// room for escapes.
const maxSchemaRequest = 2*registry.MaxSchemaBytes + 1<<20

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
			answerReview(w)(n.registry.Diff(subject, from, to))
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
	answerReview(w)(n.registry.Examine(subject,
		registry.Request{Type: body.Type, Text: body.Text, References: body.References}))
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
	for _, subject := range n.subjectsOf(r.URL.Query().Get("name")) {
		if !n.readable(w, r, subject) {
			return
		}
		d, err := n.registry.Describe(subject, number)
		if err != nil {
			answerReview(w)(nil, err)
			return
		}
		list = append(list, n.withRules(d))
	}
	answer(w, http.StatusOK, list)
}

// subjectsOf are the subject that a name is, or those of the topic of that name; if
// there is neither, the name itself.
func (n *node) subjectsOf(name string) []string {
	subject := n.registry.Alias(name)
	if _, ok := n.registry.Latest(subject); ok {
		return []string{subject}
	}
	var list []string
	for _, part := range []string{"key", "value"} {
		subject := n.registry.Alias(n.subjectOf(name, part))
		if _, ok := n.registry.Latest(subject); ok {
			list = append(list, subject)
		}
	}
	if len(list) == 0 {
		return []string{subject}
	}
	return list
}

// subjectOf is the subject of a topic's keys or values, as its configs say if
// there is such a topic.
func (n *node) subjectOf(name, part string) string {
	if n.broker != nil {
		if t := n.broker.Topics().View().ByName(name); t != nil {
			given := t.Config.Value.Subject
			if part == "key" {
				given = t.Config.Key.Subject
			}
			return validate.SubjectOf(n.registry, name, t.Config.SchemaContext, part, given)
		}
	}
	return n.registry.SubjectOf(name, part)
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
		case errors.Is(err, registry.ErrSubjectNotFound), errors.Is(err, registry.ErrVersionNotFound):
			answer(w, http.StatusNotFound, apiError{Code: 40401, Message: err.Error()})
		case refused:
			answer(w, http.StatusUnprocessableEntity, apiError{Code: 42205, Message: err.Error()})
		default:
			answer(w, http.StatusInternalServerError, apiError{Code: 50001, Message: err.Error()})
		}
	}
}
