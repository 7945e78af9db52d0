package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// maxSchemaRequest bounds a request with a schema text: what the registry takes, and
// room for escapes.
const maxSchemaRequest = 2*registry.MaxSchemaBytes + 1<<20

// schemaDiff answers what changes from one version of a subject to another.
func (n *node) schemaDiff(w http.ResponseWriter, r *http.Request) {
	from, err := versionNumber(r, "from")
	if err == nil {
		var to int
		if to, err = versionNumber(r, "to"); err == nil {
			answerReview(w)(n.registry.Diff(n.registry.Alias(r.URL.Query().Get("subject")), from, to))
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

// schemaCheck answers what a text would change as a subject's next version. The body
// is that of a registration.
func (n *node) schemaCheck(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Type       schema.Type        `json:"schemaType"`
		Text       string             `json:"schema"`
		References []schema.Reference `json:"references"`
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSchemaRequest))
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: "request: " + err.Error()})
		return
	}
	answerReview(w)(n.registry.Examine(n.registry.Alias(r.URL.Query().Get("subject")),
		registry.Request{Type: body.Type, Text: body.Text, References: body.References}))
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
