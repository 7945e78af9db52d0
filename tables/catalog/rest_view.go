package catalog

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ErrNoSuchView is refused: there are no views in this catalog.
var ErrNoSuchView = errors.New("view does not exist")

// listViews answers that a namespace has no views: engines that look for a name
// among views and tables ask both.
func (s *server) listViews(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.cat.namespace(r.Context(), namespaceOf(r)); err != nil {
		return err
	}
	s.reply(w, http.StatusOK, map[string]any{"identifiers": []identifier{}, "next-page-token": nil})
	return nil
}

// loadView answers that there is no such view, also where there is no such
// namespace: Java's client takes both for the same.
func (s *server) loadView(_ http.ResponseWriter, r *http.Request) error {
	return fmt.Errorf("%w: %s.%s", ErrNoSuchView, strings.Join(namespaceOf(r), "."), r.PathValue("view"))
}
