package catalog

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

// identifier is a table's name on the wire.
type identifier struct {
	Namespace Identifier `json:"namespace"`
	Name      string     `json:"name"`
}

func (i identifier) ident() Identifier { return append(slices.Clone(i.Namespace), i.Name) }

func (s *server) listTables(w http.ResponseWriter, r *http.Request) error {
	var all []Identifier
	for ident, err := range s.cat.ListTables(r.Context(), namespaceOf(r)) {
		if err != nil {
			return err
		}
		all = append(all, ident)
	}
	slices.SortFunc(all, slices.Compare)
	return s.replyNames(w, r, all)
}

// replyNames answers a page of tables or views, which come in order.
func (s *server) replyNames(w http.ResponseWriter, r *http.Request, all []Identifier) error {
	page, next, err := paginate(r, all, nameOfTable)
	if err != nil {
		return err
	}
	out := make([]identifier, len(page))
	for i, ident := range page {
		out[i] = identifier{namespaceOfTable(ident), nameOfTable(ident)}
	}
	s.reply(w, http.StatusOK, map[string]any{"identifiers": out, "next-page-token": next})
	return nil
}

func (s *server) createTable(w http.ResponseWriter, r *http.Request) error {
	var body createBody
	if err := decode(r.Body, &body); err != nil {
		return err
	}
	if body.Schema == nil {
		return fmt.Errorf("%w: no schema", ErrInvalid)
	}
	ident := append(namespaceOf(r), body.Name)
	if err := s.guard(ident, nil); err != nil {
		return err
	}
	create := s.cat.CreateTable
	if body.StageCreate {
		create = s.cat.StageTable
	}
	t, err := create(r.Context(), ident, body.Schema, NewTable{body.Location, body.Spec, body.Order, body.Properties})
	if err != nil {
		return err
	}
	return s.replyTable(w, r, t)
}

func (s *server) registerTable(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Name      string `json:"name"`
		Location  string `json:"metadata-location"`
		Overwrite bool   `json:"overwrite"`
	}
	if err := decode(r.Body, &body); err != nil {
		return err
	}
	ident := append(namespaceOf(r), body.Name)
	if err := s.guardDrop(ident); body.Overwrite && err != nil {
		return err
	}
	t, err := s.cat.RegisterTable(r.Context(), ident, body.Location, body.Overwrite)
	if err != nil {
		return err
	}
	return s.replyTable(w, r, t)
}

func (s *server) loadTable(w http.ResponseWriter, r *http.Request) error {
	t, err := s.cat.LoadTable(r.Context(), tableOf(r))
	if err != nil {
		return err
	}
	return s.replyTable(w, r, t)
}

// tableAnswer is a LoadTableResult, a CommitTableResponse or an
// UnregisterTableResult. The location is null while a table is only staged.
type tableAnswer struct {
	Location *string           `json:"metadata-location"`
	Metadata json.RawMessage   `json:"metadata"`
	Config   map[string]string `json:"config,omitempty"`
}

func (s *server) replyTable(w http.ResponseWriter, r *http.Request, t *Table) error {
	answer := tableAnswer{Config: s.opts.TableConfig}
	mode := r.URL.Query().Get("snapshots")
	if at := t.MetadataLocation; at != "" {
		tag := etag(at, mode)
		w.Header().Set("ETag", tag)
		if r.Method == http.MethodGet && matches(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		answer.Location = &at
	}
	encode := t.Metadata.MarshalJSON
	switch mode {
	case "", "all":
	case "refs":
		encode = t.Metadata.OnlyRefs
	default:
		return fmt.Errorf("%w: snapshots=%s", ErrInvalid, mode)
	}
	var err error
	if answer.Metadata, err = encode(); err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	if answer.Location == nil {
		noteBody(r.Context(), answer) // there is nothing yet that it could be read from again
	}
	s.reply(w, http.StatusOK, answer)
	return nil
}

// etag names a version of a table's metadata in one of its representations.
func etag(location, mode string) string {
	name := strings.TrimSuffix(path.Base(location), ".metadata.json")
	if mode == "refs" {
		name += ".refs"
	}
	return `"` + name + `"`
}

// matches is RFC 9110 §13.1.2, weak comparison.
func matches(header, tag string) bool {
	for h := range strings.SplitSeq(header, ",") {
		h = strings.TrimPrefix(strings.TrimSpace(h), "W/")
		if h == tag || h == "*" {
			return true
		}
	}
	return false
}

func (s *server) tableExists(w http.ResponseWriter, r *http.Request) error {
	ok, err := s.cat.CheckTableExists(r.Context(), tableOf(r))
	if err != nil {
		return err
	}
	if !ok {
		return ErrNoSuchTable
	}
	return s.done(w)
}

func (s *server) dropTable(w http.ResponseWriter, r *http.Request) error {
	ident := tableOf(r)
	if err := s.guardDrop(ident); err != nil {
		return err
	}
	drop := s.cat.DropTable
	if strings.EqualFold(r.URL.Query().Get("purgeRequested"), "true") {
		drop = s.cat.PurgeTable
	}
	if err := drop(r.Context(), ident); err != nil {
		return err
	}
	return s.done(w)
}

func (s *server) unregisterTable(w http.ResponseWriter, r *http.Request) error {
	ident := tableOf(r)
	if err := s.guardDrop(ident); err != nil {
		return err
	}
	l, err := s.cat.unlist(r.Context(), ident)
	if err != nil {
		return err
	}
	return s.replyTable(w, r, s.cat.table(ident, l.meta, l.ptr.Metadata))
}

func (s *server) renameTable(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Source      identifier `json:"source"`
		Destination identifier `json:"destination"`
	}
	if err := decode(r.Body, &body); err != nil {
		return err
	}
	if err := s.guardDrop(body.Source.ident()); err != nil {
		return err
	}
	if _, err := s.cat.RenameTable(r.Context(), body.Source.ident(), body.Destination.ident()); err != nil {
		return err
	}
	return s.done(w)
}

// reportMetrics takes scan and commit reports and keeps none of them.
func (s *server) reportMetrics(w http.ResponseWriter, r *http.Request) error {
	var body json.RawMessage
	if err := decode(r.Body, &body); err != nil {
		return err
	}
	return s.done(w)
}
