package catalog

import (
	"encoding/json"
	"net/http"
)

// listViews lists the views of a namespace. There are none where nobody offers
// them: engines that look for a name among views and tables ask both.
func (s *server) listViews(w http.ResponseWriter, r *http.Request) error {
	ns := namespaceOf(r)
	views, err := s.views(r.Context(), ns)
	if err != nil {
		return err
	}
	all := make([]Identifier, len(views))
	for i, v := range views {
		all[i] = append(namespaceOf(r), v.Name)
	}
	return s.replyNames(w, r, all)
}

// loadView answers a view's metadata: its columns, and its query in each dialect.
func (s *server) loadView(w http.ResponseWriter, r *http.Request) error {
	ns := namespaceOf(r)
	v, err := s.view(r.Context(), ns, r.PathValue("view"))
	if err != nil {
		return err
	}
	location, file, err := s.cat.viewMetadata(r.Context(), ns, v)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, struct {
		Location string          `json:"metadata-location"`
		Metadata json.RawMessage `json:"metadata"`
	}{location, file})
	return nil
}

func (s *server) viewExists(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.view(r.Context(), namespaceOf(r), r.PathValue("view")); err != nil {
		return err
	}
	return s.done(w)
}
