package sink

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/tables"
)

// verdict is whether a table takes a version of its topic's schema.
type verdict struct {
	of    SchemaInfo     // the zero one: of none
	table *tables.Schema // as it was held against the version
	why   string         // the version is refused for this; "": it is not
}

// look notes what the table looks like by now.
func (b *statusBoard) look(table *tables.Schema) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.table = table
}

// judgeNewest names the newest version, and says whether the table takes it: records
// of one that it refuses become dead letters one by one, whose number alone does not
// say that the version is at fault. May be called concurrently.
func (s *sink) judgeNewest() *SchemaInfo {
	info := s.newestVersion()
	if info == nil || s.topic.ValueVersion > 0 || s.topic.ValueByRecord {
		return info
	}
	s.status.mu.Lock()
	was, now := s.status.verdict, verdict{of: *info, table: s.status.table}
	s.status.mu.Unlock()
	if now.of == was.of && now.table == was.table {
		now = was
	} else {
		if err := s.takesNewest(now.table); err != nil {
			now.why = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		s.status.mu.Lock()
		s.status.verdict = now
		s.status.mu.Unlock()
		if now.why != "" && now.of != was.of {
			s.lg.Warn("the tables cannot take the newest version of the schema: its records become dead letters",
				"subject", info.Subject, "version", info.Version, "reason", now.why)
		}
	}
	if now.why != "" {
		info.Refused = now.why
		info.Fix = fmt.Sprintf("register a version of %s that the table takes (tarn schema check says what one does to it); with tarn.table.value.version set to that one, or to an older one, records of this version are read by it where they fit; then tarn table redrive brings their dead letters in", info.Subject)
	}
	return info
}

// takesNewest says why a table cannot have the columns of the newest version; one that
// is yet to be made waits for a schema that it can.
func (s *sink) takesNewest(table *tables.Schema) error {
	if table == nil {
		return nil
	}
	newest, err := s.newestColumns()
	if newest == nil || err != nil {
		return err
	}
	known := s.knownColumns()
	_, effects := schema.Absorb(table.Arrow, newest, known...)
	var refused []error
	for _, e := range schema.Refused(effects) {
		refused = append(refused, errors.New(strings.TrimPrefix(e.Text, "cannot absorb: ")))
	}
	if err := errors.Join(refused...); err != nil {
		return err
	}
	_, _, err = table.Merge(schema.Keep(table.Arrow, newest, known...))
	return err
}
