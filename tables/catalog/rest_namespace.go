package catalog

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxPage is how many names a page holds at most and by default.
const maxPage = 1000

func (s *server) listNamespaces(w http.ResponseWriter, r *http.Request) error {
	var parent Identifier
	if p := r.URL.Query().Get("parent"); p != "" {
		parent = strings.Split(p, separator)
	}
	all, err := s.cat.ListNamespaces(r.Context(), parent)
	if err != nil {
		return err
	}
	page, next, err := paginate(r, all, func(i Identifier) string { return i[len(i)-1] })
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, map[string]any{"namespaces": page, "next-page-token": next})
	return nil
}

// paginate cuts a page out of a list in order of name. As the API demands,
// without pageToken all goes out at once. Tokens hold the last name given, so
// that names that come and go between pages disturb nothing.
func paginate(r *http.Request, all []Identifier, name func(Identifier) string) ([]Identifier, *string, error) {
	q := r.URL.Query()
	if !q.Has("pageToken") {
		return all, nil, nil
	}
	size := maxPage
	if text := q.Get("pageSize"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, nil, fmt.Errorf("%w: pageSize %q", ErrInvalid, text)
		}
		size = min(n, maxPage)
	}
	after, err := base64.RawURLEncoding.DecodeString(q.Get("pageToken"))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: pageToken: %w", ErrInvalid, err)
	}
	if len(after) > 0 {
		i, found := slices.BinarySearchFunc(all, string(after), func(i Identifier, after string) int {
			return strings.Compare(name(i), after)
		})
		if found {
			i++
		}
		all = all[i:]
	}
	if len(all) <= size {
		return all, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(name(all[size-1])))
	return all[:size], &next, nil
}

type namespaceBody struct {
	Namespace  Identifier        `json:"namespace"`
	Properties map[string]string `json:"properties"`
}

func (s *server) createNamespace(w http.ResponseWriter, r *http.Request) error {
	var body namespaceBody
	if err := decode(r.Body, &body); err != nil {
		return err
	}
	body.Properties = notNil(body.Properties)
	if err := s.cat.CreateNamespace(r.Context(), body.Namespace, body.Properties); err != nil {
		return err
	}
	s.reply(w, http.StatusOK, body)
	return nil
}

func (s *server) loadNamespace(w http.ResponseWriter, r *http.Request) error {
	ns := namespaceOf(r)
	props, err := s.cat.LoadNamespaceProperties(r.Context(), ns)
	if err != nil {
		return err
	}
	// Trino makes tables only where it knows the directory of a namespace.
	if props["location"] == "" {
		props["location"] = s.cat.store.URL(s.cat.home(ns))
	}
	s.reply(w, http.StatusOK, namespaceBody{ns, props})
	return nil
}

func (s *server) namespaceExists(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.cat.namespace(r.Context(), namespaceOf(r)); err != nil {
		return err
	}
	return s.done(w)
}

func (s *server) dropNamespace(w http.ResponseWriter, r *http.Request) error {
	if err := s.cat.DropNamespace(r.Context(), namespaceOf(r)); err != nil {
		return err
	}
	return s.done(w)
}

func (s *server) updateProperties(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Removals []string          `json:"removals"`
		Updates  map[string]string `json:"updates"`
	}
	if err := decode(r.Body, &body); err != nil {
		return err
	}
	sum, err := s.cat.UpdateNamespaceProperties(r.Context(), namespaceOf(r), body.Removals, body.Updates)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, sum)
	return nil
}
