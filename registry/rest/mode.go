package rest

import (
	"net/http"

	"github.com/tarn-io/tarn/registry"
)

// modeBody is both request and answer.
type modeBody struct {
	Mode registry.Mode `json:"mode"`
}

func (a *api) getMode(req *http.Request) (any, error) {
	name := subject(req)
	m, err := a.reg.Mode(name)
	if err != nil && isSet(req, "defaultToGlobal") {
		return modeBody{a.reg.ModeInForce(name)}, nil
	}
	return modeBody{m}, err
}

func (a *api) putMode(req *http.Request) (any, error) {
	var body modeBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	m, err := registry.ParseMode(string(body.Mode))
	if err != nil {
		return nil, err
	}
	if err := a.reg.SetMode(req.Context(), subject(req), m, isSet(req, "force")); err != nil {
		return nil, err
	}
	return body, nil
}

// deleteMode answers with what was set.
func (a *api) deleteMode(req *http.Request) (any, error) {
	old, err := a.reg.ClearMode(req.Context(), subject(req), isSet(req, "recursive"))
	if err != nil {
		return nil, err
	}
	return modeBody{old}, nil
}
