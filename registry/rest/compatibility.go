package rest

import (
	"errors"
	"net/http"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// verdict is Confluent's CompatibilityCheckResponse. Messages are left out
// unless the request is verbose.
type verdict struct {
	Compatible bool     `json:"is_compatible"`
	Messages   []string `json:"messages,omitzero"`
}

func (a *api) compareWithVersion(req *http.Request) (any, error) {
	n, err := version(req)
	if err != nil {
		return nil, err
	}
	return a.compare(req, n)
}

func (a *api) compareWithAll(req *http.Request) (any, error) { return a.compare(req, 0) }

// compare answers whether the schema could be registered as far as
// compatibility goes. A verbose request hears of a broken schema in the
// messages.
func (a *api) compare(req *http.Request, number int) (any, error) {
	r, err := schemaRequest(req)
	if err != nil {
		return nil, err
	}
	verbose := isSet(req, "verbose")
	err = a.reg.Compatible(a.target(req), r, number)
	w := verdict{Compatible: err == nil}
	if verbose {
		w.Messages = []string{}
	}
	bad, incompatible := errors.AsType[*registry.Incompatible](err)
	broken, isBroken := errors.AsType[*schema.ParseError](err)
	switch {
	case err == nil:
	case incompatible && verbose:
		w.Messages = bad.Messages()
	case incompatible:
	case isBroken && verbose:
		w.Messages = []string{"Invalid schema, details: " + broken.Error()}
	default:
		return nil, err
	}
	return w, nil
}
