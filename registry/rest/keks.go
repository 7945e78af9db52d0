package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/dek"
)

// keys is the DEK registry, or a refusal where none is offered.
func (a *api) keys() (*dek.Store, error) {
	if a.opts.Keys == nil {
		return nil, notPermitted("The DEK registry is not offered by this registry")
	}
	return a.opts.Keys, nil
}

// kekName is the key's name in a path.
func kekName(req *http.Request) (string, error) {
	name := req.PathValue("name")
	return name, dek.CheckName(name)
}

// listKEKs lists keys; in the path of a context, or with prefixes, those that
// have keys of such subjects.
func (a *api) listKEKs(req *http.Request) (any, error) {
	keys, err := a.keys()
	if err != nil {
		return nil, err
	}
	prefixes := slices.Clone(req.URL.Query()["subjectPrefix"])
	if len(prefixes) == 0 && contextOf(req) != registry.DefaultContext {
		prefixes = []string{""}
	}
	for i, p := range prefixes {
		if rest, ok := strings.CutPrefix(p, registry.AnyContext); ok {
			prefixes[i] = rest
		} else {
			prefixes[i] = qualified(req, p)
		}
	}
	return page(req, keys.KEKs(prefixes, isSet(req, "deleted")), 0)
}

func (a *api) createKEK(req *http.Request) (any, error) {
	keys, err := a.keys()
	if err != nil {
		return nil, err
	}
	var k dek.KEK
	if err := decode(req, &k); err != nil {
		return nil, err
	}
	return orNil(keys.CreateKEK(req.Context(), k, isSet(req, "testSharing")))
}

// orNil leaves out a value that comes with an error.
func orNil[T any](value T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return value, nil
}

func (a *api) getKEK(req *http.Request) (any, error) {
	keys, err := a.keys()
	if err != nil {
		return nil, err
	}
	name, err := kekName(req)
	if err != nil {
		return nil, err
	}
	return orNil(keys.KEK(name, isSet(req, "deleted")))
}

// updateKEKBody is Confluent's UpdateKekRequest: what is left out stays, null
// takes back.
type updateKEKBody struct {
	KMSProps map[string]string `json:"kmsProps"`
	Doc      *string           `json:"doc"`
	Shared   *bool             `json:"shared"`
}

func (a *api) updateKEK(req *http.Request) (any, error) {
	keys, err := a.keys()
	if err != nil {
		return nil, err
	}
	name, err := kekName(req)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := decode(req, &fields); err != nil {
		return nil, err
	}
	var body updateKEKBody
	for field, into := range map[string]any{"kmsProps": &body.KMSProps, "doc": &body.Doc, "shared": &body.Shared} {
		if raw, ok := fields[field]; ok && json.Unmarshal(raw, into) != nil {
			return nil, badRequest("field %q is of another type", field)
		}
	}
	return orNil(keys.UpdateKEK(req.Context(), name, func(k *dek.KEK) {
		if _, ok := fields["kmsProps"]; ok {
			k.KMSProps = body.KMSProps
		}
		if _, ok := fields["doc"]; ok {
			k.Doc = body.Doc
		}
		if body.Shared != nil {
			k.Shared = *body.Shared
		}
	}, isSet(req, "testSharing")))
}

func (a *api) deleteKEK(req *http.Request) (any, error) {
	keys, err := a.keys()
	if err != nil {
		return nil, err
	}
	name, err := kekName(req)
	if err != nil {
		return nil, err
	}
	return nothing{}, keys.DeleteKEK(req.Context(), name, isSet(req, "permanent"))
}

func (a *api) testKEK(req *http.Request) (any, error) {
	keys, err := a.keys()
	if err != nil {
		return nil, err
	}
	name, err := kekName(req)
	if err != nil {
		return nil, err
	}
	k, err := keys.KEK(name, false)
	if err == nil {
		err = keys.TestKEK(k)
	}
	return orNil(k, err)
}

func (a *api) undeleteKEK(req *http.Request) (any, error) {
	keys, err := a.keys()
	if err != nil {
		return nil, err
	}
	name, err := kekName(req)
	if err != nil {
		return nil, err
	}
	return nothing{}, keys.UndeleteKEK(req.Context(), name)
}

// keyRefusal is the answer to a refusal of the DEK registry; nil for other
// errors. Codes and texts are Confluent's.
func keyRefusal(err error) *problem {
	r, ok := errors.AsType[*dek.Refused](err)
	if !ok {
		return nil
	}
	return answerTo(r, keyCodes(), "{about}", r.About, "{most}", strconv.Itoa(dek.MaxKeys))
}

// keyCodes is codes of the DEK registry.
func keyCodes() []code {
	return []code{
		{dek.ErrNotFound, 40470, "Key '{about}' not found"},
		{dek.ErrNotDeleted, 40471, "Key '{about}' was not deleted first before being permanently deleted"},
		{dek.ErrDeleted, 40472, "Key '{about}' must be undeleted first"},
		{dek.ErrExists, 40971, "Key '{about}' already exists; use a different value"},
		{dek.ErrTooMany, 40972, "A maximum of {most} keys already exist"},
		{dek.ErrInvalid, 42271, "Invalid or missing value for field '{about}' of key"},
		{dek.ErrReferenced, 42272, "One or more references exist to the key '{about}'"},
		{dek.ErrGeneration, 50070, "{about}"},
	}
}
