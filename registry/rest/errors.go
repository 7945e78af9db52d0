package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// problem is an error as it is answered: {"error_code": ..., "message": ...}.
type problem struct {
	status  int
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

// Error is the message.
func (p *problem) Error() string { return p.Message }

func notFound() error {
	return &problem{http.StatusNotFound, http.StatusNotFound, "HTTP 404 Not Found"}
}

func badRequest(format string, args ...any) error {
	return &problem{http.StatusBadRequest, http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func notPermitted(format string, args ...any) error {
	return &problem{http.StatusUnprocessableEntity, 42205, fmt.Sprintf(format, args...)}
}

// unsupported answers a route whose feature this registry does not have.
func unsupported(what string) handle {
	return func(*http.Request) (any, error) {
		return nil, notPermitted("%s are not offered by this registry", what)
	}
}

// codes is Confluent's code of each kind of refusal, and its text, with
// places for the subject and the version. Clients and tools match on the
// texts, also on the missing space.
func codes() []code {
	return []code{
		{registry.ErrSubjectNotFound, 40401, "Subject '{subject}' not found."},
		{registry.ErrVersionNotFound, 40402, "Version {version} not found."},
		{registry.ErrSubjectDeleted, 40404, "Subject '{subject}' was soft deleted.Set permanent=true to delete permanently"},
		{registry.ErrSubjectNotDeleted, 40405, "Subject '{subject}' was not deleted first before being permanently deleted"},
		{registry.ErrVersionDeleted, 40406, "Subject '{subject}' Version {version} was soft deleted.Set permanent=true to delete permanently"},
		{registry.ErrVersionNotDeleted, 40407, "Subject '{subject}' Version {version} was not deleted first before being permanently deleted"},
		{registry.ErrNoLevel, 40408, "Subject '{subject}' does not have subject-level compatibility configured"},
		{registry.ErrNoMode, 40409, "Subject '{subject}' does not have subject-level mode configured"},
		{registry.ErrBadLevel, 42203, "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"},
		{registry.ErrBadMode, 42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT, and FORWARD"},
		{registry.ErrReadOnly, 42205, "Subject {subject} is in read-only mode"},
		{registry.ErrNotImport, 42205, "Subject {subject} is not in import mode"},
		{registry.ErrNotReadWrite, 42205, "Subject {subject} is not in read-write mode"},
		{registry.ErrNotEmpty, 42205, "Cannot import since found existing subjects"},
		{registry.ErrOtherID, 42207, "Overwrite new schema with id {id} is not permitted."},
		{registry.ErrBadRules, 42210, "Invalid ruleset: {detail}"},
		{registry.ErrContextNotEmpty, 42211, "The specified context '{detail}' is not empty."},
		{registry.ErrBadContext, 42208, "The specified context '{detail}' is not a valid context."},
		{registry.ErrAssociation, 42212, "Invalid association: {detail}"},
		{registry.ErrNoAssociation, 40410, "No association found for resource '{detail}'"},
		{registry.ErrTooManyAssociations, 40902, "Too many associations: {detail}"},
		{registry.ErrAssociationExists, 40903, "An association of type '{detail}' already exists for the resource"},
		{registry.ErrSubjectAssociated, 40904, "An association already exists for subject '{subject}'"},
		{registry.ErrSubjectOwned, 40905, "A strong association already exists for subject '{subject}'"},
		{registry.ErrNoActiveVersion, 40907, "No active version exists for subject '{subject}'"},
		{registry.ErrFrozen, 40908, "The association of type '{detail}' with subject '{subject}' is frozen"},
		{registry.ErrReferenced, 42206, "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject={subject},version={version}}."},
		{registry.ErrBadSubject, 42208, "The specified subject '{subject}' is not a valid subject."},
	}
}

type code struct {
	kind   error
	number int // its first three digits are the HTTP status
	text   string
}

// refusal is the answer to a refusal of the registry; nil for other errors.
func refusal(err error) *problem {
	if bad, ok := errors.AsType[*schema.ParseError](err); ok {
		return &problem{http.StatusUnprocessableEntity, 42201, "Invalid schema, details: " + bad.Error()}
	}
	if bad, ok := errors.AsType[*registry.Incompatible](err); ok {
		return &problem{http.StatusConflict, 40901, fmt.Sprintf(
			"Schema being registered is incompatible with an earlier schema for subject \"%s\", details: %s",
			bad.Subject, "["+strings.Join(bad.Messages(), ", ")+"]")}
	}
	r, ok := errors.AsType[*registry.Refused](err)
	if !ok {
		return nil
	}
	if p := answerTo(r, codes(), "{subject}", r.Subject, "{version}", strconv.Itoa(r.Version), "{id}", strconv.Itoa(r.ID), "{detail}", r.Detail); p != nil {
		if errors.Is(r, registry.ErrReadOnly) && r.Subject == "" {
			p.Message = "The registry is in read-only mode"
		}
		if errors.Is(r, registry.ErrBadSubject) && r.Detail != "" {
			p.Message += " (" + r.Detail + ")"
		}
		return p
	}
	switch {
	case errors.Is(r, registry.ErrSchemaNotFound):
		return schemaNotFound(r)
	case errors.Is(r, registry.ErrTooLarge):
		return &problem{http.StatusUnprocessableEntity, 42209, "Schema is too large: " + r.Detail}
	}
	return &problem{http.StatusUnprocessableEntity, 42205, r.Error()}
}

// answerTo finds a refusal's kind among codes and fills in the text's places, given
// in pairs; nil if it is none of them.
func answerTo(refused error, codes []code, places ...string) *problem {
	for _, c := range codes {
		if errors.Is(refused, c.kind) {
			return &problem{c.number / 100, c.number, strings.NewReplacer(places...).Replace(c.text)}
		}
	}
	return nil
}

func schemaNotFound(r *registry.Refused) *problem {
	what := r.Detail
	if r.ID != 0 {
		what = strconv.Itoa(r.ID)
	}
	if what == "" {
		return &problem{http.StatusNotFound, 40403, "Schema not found"}
	}
	return &problem{http.StatusNotFound, 40403, fmt.Sprintf("Schema %s not found", what)}
}
