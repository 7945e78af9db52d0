package rest

import (
	"errors"
	"net/http"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// contentType is what answers are to who asks for no other.
const contentType = "application/vnd.schemaregistry.v1+json"

// nothing is an answer without a body: 204.
type nothing struct{}

// text is an answer that is not JSON of ours: a schema as it is stored.
type text string

// serve runs one handler and writes its answer.
func (a *api) serve(h handle) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.Body = http.MaxBytesReader(w, req.Body, a.opts.MaxBodyBytes)
		answer, err := h(req)
		status := http.StatusOK
		if err != nil {
			p := a.problem(req, err)
			status, answer = p.status, p
		}
		if _, empty := answer.(nothing); empty {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", answerType(req))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if _, many := answer.(several); many {
			status = http.StatusMultiStatus
		}
		send(w, req, status, encoded(answer))
	})
}

// problem turns an error into its answer. What is no refusal has failed: the
// log hears of it.
func (a *api) problem(req *http.Request, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if p := refusal(err); p != nil {
		return p
	}
	if p := keyRefusal(err); p != nil {
		return p
	}
	a.opts.Log.Error("a registry request failed", "method", req.Method, "path", req.URL.Path, "request", req.Header.Get(requestID), "error", err)
	return &problem{http.StatusInternalServerError, 50001, "Error in the backend data store: " + err.Error()}
}

// versionAnswer is a schema with or without the version it stands in: what
// Confluent's classes Schema, SchemaString and RegisterSchemaResponse are.
type versionAnswer struct {
	Subject    string             `json:"subject,omitempty"`
	Version    int                `json:"version,omitempty"`
	ID         int                `json:"id,omitempty"`
	GUID       string             `json:"guid"`
	SchemaType schema.Type        `json:"schemaType,omitempty"` // left out for Avro
	References []schema.Reference `json:"references,omitempty"`
	Metadata   *schema.Metadata   `json:"metadata,omitempty"`
	RuleSet    *schema.RuleSet    `json:"ruleSet,omitempty"`
	Schema     string             `json:"schema"`
	CreatedMs  int64              `json:"ts,omitempty"`
	Deleted    bool               `json:"deleted,omitempty"`
	MaxID      int                `json:"maxId,omitempty"`
	Tags       []schemaTags       `json:"schemaTags,omitempty"`
}

// answer writes v with its text in the format that the request asks for.
func (a *api) answer(v registry.Version, format string) (versionAnswer, error) {
	body, err := a.reg.Format(v, format)
	if err != nil {
		return versionAnswer{}, err
	}
	w := versionAnswer{
		Subject: v.Subject, Version: v.Version, ID: v.ID, GUID: v.GUID, SchemaType: v.Type,
		References: v.References, Metadata: v.Metadata, RuleSet: v.Rules, Schema: body,
		CreatedMs: v.CreatedMs, Deleted: v.Deleted,
	}
	if v.Type == schema.Avro {
		w.SchemaType = ""
	}
	return w, nil
}
