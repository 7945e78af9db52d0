package rest

import (
	"net/http"

	"github.com/tarn-io/tarn/registry/dek"
)

// dekBody is Confluent's CreateDekRequest.
type dekBody struct {
	Subject   string `json:"subject"`
	Version   int    `json:"version"`
	Algorithm string `json:"algorithm"`
	Encrypted string `json:"encryptedKeyMaterial"`
	Deleted   bool   `json:"deleted"`
}

// keyPath is what a path and its query say of a DEK.
type keyPath struct {
	store        *dek.Store
	kek, subject string // subject is "" if the path has none
	version      int    // 0 if the path has none
	algorithm    dek.Algorithm
}

func (a *api) keyPath(req *http.Request) (p keyPath, err error) {
	if p.store, err = a.keys(); err != nil {
		return p, err
	}
	if p.kek, err = kekName(req); err != nil {
		return p, err
	}
	if p.algorithm, err = dek.ParseAlgorithm(req.URL.Query().Get("algorithm")); err != nil {
		return p, err
	}
	if req.PathValue("version") != "" {
		if p.version, err = version(req); err != nil {
			return p, err
		}
	}
	if req.PathValue("subject") != "" {
		p.subject = a.reg.AliasForDEKs(subject(req))
		err = dek.CheckSubject(p.subject)
	}
	return p, err
}

func (a *api) listDEKSubjects(req *http.Request) (any, error) {
	p, err := a.keyPath(req)
	if err != nil {
		return nil, err
	}
	list, err := p.store.Subjects(p.kek, isSet(req, "deleted"))
	if err != nil {
		return nil, err
	}
	return page(req, visible(a, req, list, func(name string) string { return name }), 0)
}

func (a *api) createDEK(req *http.Request) (any, error) {
	p, err := a.keyPath(req)
	if err != nil {
		return nil, err
	}
	var body dekBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	if p.subject == "" { // the older route
		p.subject = a.reg.AliasForDEKs(qualified(req, body.Subject))
	}
	algorithm, err := dek.ParseAlgorithm(body.Algorithm)
	if err != nil {
		return nil, err
	}
	return orNil(p.store.CreateDEK(req.Context(), dek.DEK{
		KEK: p.kek, Subject: p.subject, Version: body.Version, Algorithm: algorithm, Encrypted: body.Encrypted, Deleted: body.Deleted,
	}, isSet(req, "rewrap")))
}

// getDEK answers the version of the path, and without one the first.
func (a *api) getDEK(req *http.Request) (any, error) {
	p, err := a.keyPath(req)
	if err != nil {
		return nil, err
	}
	if p.version == 0 {
		p.version = 1
	}
	return orNil(p.store.DEK(p.kek, p.subject, p.version, p.algorithm, isSet(req, "deleted")))
}

func (a *api) listDEKVersions(req *http.Request) (any, error) {
	p, err := a.keyPath(req)
	if err != nil {
		return nil, err
	}
	list, err := p.store.Versions(p.kek, p.subject, p.algorithm, isSet(req, "deleted"))
	if err != nil {
		return nil, err
	}
	return page(req, list, 0)
}

func (a *api) deleteDEK(req *http.Request) (any, error) {
	p, err := a.keyPath(req)
	if err != nil {
		return nil, err
	}
	return nothing{}, p.store.DeleteDEKs(req.Context(), p.kek, p.subject, p.version, p.algorithm, isSet(req, "permanent"))
}

func (a *api) undeleteDEK(req *http.Request) (any, error) {
	p, err := a.keyPath(req)
	if err != nil {
		return nil, err
	}
	return nothing{}, p.store.UndeleteDEKs(req.Context(), p.kek, p.subject, p.version, p.algorithm)
}
