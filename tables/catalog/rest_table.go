package catalog

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/apache/iceberg-go"
	icecat "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// identifier is a table's name on the wire.
type identifier struct {
	Namespace table.Identifier `json:"namespace"`
	Name      string           `json:"name"`
}

func (i identifier) ident() table.Identifier { return append(slices.Clone(i.Namespace), i.Name) }

func (s *server) listTables(w http.ResponseWriter, r *http.Request) error {
	var all []table.Identifier
	for ident, err := range s.cat.ListTables(r.Context(), namespaceOf(r)) {
		if err != nil {
			return err
		}
		all = append(all, ident)
	}
	slices.SortFunc(all, slices.Compare)
	page, next, err := paginate(r, all, icecat.TableNameFromIdent)
	if err != nil {
		return err
	}
	out := make([]identifier, len(page))
	for i, ident := range page {
		out[i] = identifier{icecat.NamespaceFromIdent(ident), icecat.TableNameFromIdent(ident)}
	}
	s.reply(w, http.StatusOK, map[string]any{"identifiers": out, "next-page-token": next})
	return nil
}

type createBody struct {
	Name        string                 `json:"name"`
	Location    string                 `json:"location"`
	Schema      *iceberg.Schema        `json:"schema"`
	Spec        *iceberg.PartitionSpec `json:"partition-spec"`
	Order       *table.SortOrder       `json:"write-order"`
	StageCreate bool                   `json:"stage-create"`
	Properties  iceberg.Properties     `json:"properties"`
}

func (s *server) createTable(w http.ResponseWriter, r *http.Request) error {
	var body createBody
	if err := decode(r.Body, &body); err != nil {
		return err
	}
	if body.Schema == nil {
		return fmt.Errorf("%w: no schema", ErrInvalid)
	}
	opts := []icecat.CreateTableOpt{
		icecat.WithProperties(body.Properties), icecat.WithLocation(body.Location), icecat.WithPartitionSpec(body.Spec),
	}
	if body.Order != nil {
		opts = append(opts, icecat.WithSortOrder(*body.Order))
	}
	ident := append(namespaceOf(r), body.Name)
	if err := s.guard(ident, nil); err != nil {
		return err
	}
	create := s.cat.CreateTable
	if body.StageCreate {
		create = s.cat.StageTable
	}
	t, err := create(r.Context(), ident, body.Schema, opts...)
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

func (s *server) replyTable(w http.ResponseWriter, r *http.Request, t *table.Table) error {
	answer := tableAnswer{Config: s.opts.TableConfig}
	mode := r.URL.Query().Get("snapshots")
	if at := t.MetadataLocation(); at != "" {
		tag := etag(at, mode)
		w.Header().Set("ETag", tag)
		if r.Method == http.MethodGet && matches(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		answer.Location = &at
	}
	var err error
	if answer.Metadata, err = json.Marshal(t.Metadata()); err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	switch mode {
	case "", "all":
	case "refs":
		if answer.Metadata, err = onlyRefs(answer.Metadata, t.Metadata()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: snapshots=%s", ErrInvalid, mode)
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

// onlyRefs drops the snapshots that no branch or tag points at.
func onlyRefs(data []byte, meta table.Metadata) ([]byte, error) {
	used := make(map[int64]bool)
	for _, ref := range meta.Refs() {
		used[ref.SnapshotID] = true
	}
	kept := []table.Snapshot{}
	for _, snap := range meta.Snapshots() {
		if used[snap.SnapshotID] {
			kept = append(kept, snap)
		}
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	list, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	object["snapshots"] = list
	return json.Marshal(object)
}

func (s *server) tableExists(w http.ResponseWriter, r *http.Request) error {
	ok, err := s.cat.CheckTableExists(r.Context(), tableOf(r))
	if err != nil {
		return err
	}
	if !ok {
		return icecat.ErrNoSuchTable
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
