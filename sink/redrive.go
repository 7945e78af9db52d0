package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/parquet"
)

// ErrLatest is refused: letters are older than the rows of a table of latest
// values, and would take their place.
var ErrLatest = errors.New("a table of latest values takes no letters in, since they are older than the rows of their keys: tarn table rebuild makes rows of those that are valid by now, each in its turn")

// errGivenUp says that a step of a redrive was forgotten before its rows were
// committed: its letters are where they were.
var errGivenUp = errors.New("the letters stay, redrive them again")

// redriveKey, in a table's progress, is the id of the last step of a redrive
// whose rows the table has.
const redriveKey = "redrive"

// maxFlushesBefore bounds how often pending commits are brought in before a step
// of a redrive, while records keep coming.
const maxFlushesBefore = 20

// Redriven says what a redrive has done to one format's tables.
type Redriven struct {
	// Letters were looked at, Rows of them became rows, Left are letters still.
	Letters int64 `json:"letters"`
	Rows    int64 `json:"rows"`
	Left    int64 `json:"left"`
}

// redriving is one step of a redrive: the letters of one file. It is stored with
// its files written, before anything is committed; then the rows are committed to
// the table, with the step's id in its progress, and then the letters are taken
// out of their table. Whoever finds it goes on where the tables say it stopped.
type redriving struct {
	ID string `json:"id"`
	// Expect is what the table must hold for the rows to go in, Progress what it
	// holds then.
	Expect   tables.Progress   `json:"expect"`
	Progress tables.Progress   `json:"progress"`
	Schema   *tables.Schema    `json:"schema"`
	Files    []tables.DataFile `json:"files"` // of rows
	// Letters is the key of the file whose letters became rows; Rest has those
	// of it that did not, nil for none.
	Letters string           `json:"letters"`
	Rest    *tables.DataFile `json:"rest,omitempty"`
	// Redriven are the offsets that became rows.
	Redriven []tables.Range `json:"redriven"`

	version int64
}

func (s *sink) redriveKeyOf(format string) string { return s.prefix() + "redrive/" + format }

// Redrive decodes the dead letters of a topic's tables once more, with the
// schemas that are registered now, and brings those that have become valid into
// the tables, each exactly once: a file of letters at a time. The others stay
// where they are. Errors: ErrNoTable, ErrStopped, or what went wrong; what was
// done by then is done.
func (m *Manager) Redrive(ctx context.Context, topic string) (map[string]Redriven, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return nil, err
	}
	if len(s.topic.Upsert) > 0 {
		return nil, fmt.Errorf("redrive tables of topic %q: %w", topic, ErrLatest)
	}
	if err := s.upkeep.enter(ctx); err != nil {
		return nil, err
	}
	defer s.upkeep.leave()
	out := map[string]Redriven{}
	for _, format := range s.topic.Formats {
		done, err := m.redriveFormat(ctx, s, format)
		if out[format] = done; err != nil {
			return out, fmt.Errorf("redrive %s table of topic %q: %w", format, topic, err)
		}
	}
	return out, nil
}

func (m *Manager) redriveFormat(ctx context.Context, s *sink, format string) (Redriven, error) {
	var out Redriven
	dead, err := s.maintained(ctx, format, s.topic.Table+deadSuffix, false)
	if err != nil || dead == nil {
		return out, err
	}
	live, err := dead.Live(ctx)
	if err != nil {
		return out, err
	}
	for _, f := range live {
		out.Letters += f.Rows
		for {
			var rows int64
			var rest string
			err := m.settled(ctx, s, func(ctx context.Context) (err error) {
				rows, rest, err = s.redriveFile(ctx, format, f)
				return err
			})
			if err != nil {
				return out, err
			}
			out.Rows += rows
			if rest == "" {
				break
			}
			if f, err = named(ctx, dead, rest); err != nil {
				return out, err
			}
		}
	}
	out.Left = out.Letters - out.Rows
	return out, nil
}

// named finds a live file by its name.
func named(ctx context.Context, dead tables.Maintainer, name string) (tables.LiveFile, error) {
	live, err := dead.Live(ctx)
	if err != nil {
		return tables.LiveFile{}, err
	}
	i := slices.IndexFunc(live, func(f tables.LiveFile) bool { return path.Base(f.Key) == name })
	if i < 0 {
		return tables.LiveFile{}, fmt.Errorf("%s is not live: %w", name, tables.ErrConflict)
	}
	return live[i], nil
}

// settled has the sink do something while no commit is pending.
func (m *Manager) settled(ctx context.Context, s *sink, do func(ctx context.Context) error) error {
	for range maxFlushesBefore {
		err := s.ask(ctx, do)
		if !errors.Is(err, errBusy) {
			return err
		}
		if _, err := s.flush(ctx); err != nil {
			return err
		}
	}
	return errBusy
}

// redriveFile redrives the letters of one file. If it was too much at a time, rest
// is the name of the file in which the others are now.
func (s *sink) redriveFile(ctx context.Context, format string, f tables.LiveFile) (rows int64, rest string, err error) {
	i := slices.IndexFunc(s.members, func(m *member) bool { return m.name == format })
	if i < 0 || !s.loaded || s.draft != nil || !s.members[i].known || s.members[i].err != nil || s.last(s.members[i]) != nil || s.redrives[format] != nil {
		return 0, "", errBusy
	}
	m := s.members[i]
	if m.at.TopicID == "" {
		return 0, "", nil // the table has nothing yet: its letters are in front of it
	}
	dead, err := s.openDead(ctx, m, false)
	if err != nil || dead == nil {
		return 0, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	// A step that was thought to have failed may have taken the letters out since
	// the file was listed; the file itself stays for its readers.
	if t, ok := dead.(tables.Maintainer); ok {
		if _, err := named(ctx, t, path.Base(f.Key)); err != nil {
			if errors.Is(err, tables.ErrConflict) {
				return 0, "", nil
			}
			return 0, "", err
		}
	}
	step, full, err := s.drawRedrive(ctx, m, dead, f)
	for errors.Is(err, layout.ErrTooMany) { // a smaller one is made, see draw
		step, full, err = s.drawRedrive(ctx, m, dead, f)
	}
	if err != nil || step == nil {
		return 0, "", err
	}
	if err := s.saveRedrive(ctx, m, step); err != nil {
		return 0, "", err
	}
	if full && step.Rest != nil {
		rest = path.Base(step.Rest.Path)
	}
	return step.rows(), rest, s.finishRedrive(ctx, m)
}

// drawRedrive decodes the letters of a file and writes what becomes of them; nil
// if none became a row.
func (s *sink) drawRedrive(ctx context.Context, m *member, dead tables.Table, f tables.LiveFile) (*redriving, bool, error) {
	at := offsets(maps.Clone(m.at.Offsets))
	c, err := s.newCut(at)
	if err != nil {
		return nil, false, err
	}
	valid, full, err := c.readLetters(ctx, f, at)
	if err != nil || len(valid) == 0 {
		return nil, false, err
	}
	rows, err := c.batches()
	if err != nil {
		return nil, false, err
	}
	step := &redriving{ID: uuid.NewString(), Expect: m.at, Progress: s.advance(m.at, nil), Schema: c.schema, Letters: f.Key, Redriven: c.redriven}
	step.Progress.Extra[redriveKey] = step.ID
	physical, err := m.table.Physical(c.schema)
	if err != nil {
		return nil, false, err
	}
	split, err := s.split(c, rows)
	if err != nil {
		return nil, false, err
	}
	e := s.newEntry(nil, nil, c.schema)
	e.ID = step.ID // names its files
	files, err := s.placeParts(ctx, e, []target{{m, m.table, physical}}, split, spans(c.redriven))
	if err != nil {
		return nil, false, err
	}
	step.Files = files[m]
	if physical, err = dead.Physical(dead.Schema()); err == nil {
		step.Rest, err = maintenance.Without(ctx, s.store, physical, f, valid, dead.DataPath("letters-"+step.ID+".parquet"))
	}
	if err != nil {
		s.removeFiles(ctx, files)
		return nil, false, err
	}
	return step, full, nil
}

// rows is how many letters become rows.
func (r *redriving) rows() (n int64) {
	for _, f := range r.Files {
		n += f.Rows
	}
	return n
}

// readLetters decodes the letters of a file that lie below at. It returns the
// positions of those that are rows now; full says that it was enough before the
// file was at its end.
func (c *cut) readLetters(ctx context.Context, f tables.LiveFile, at offsets) (valid []int64, full bool, err error) {
	file, err := c.s.store.Open(ctx, f.Key)
	if err != nil {
		return nil, false, fmt.Errorf("open %s: %w", f.Key, err)
	}
	defer file.Close()
	row := int64(-1)
	for b, err := range parquet.ReadWhole(ctx, file, readBytes) {
		if err != nil {
			return nil, false, fmt.Errorf("read %s: %w", f.Key, err)
		}
		l, err := lettersOf(b)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", f.Key, err)
		}
		for i := range int(b.NumRows()) {
			row++
			partition, r, err := l.record(i)
			if err != nil {
				return nil, false, fmt.Errorf("%s row %d: %w", f.Key, row, err)
			}
			if end, ok := at[partition]; !ok || r.Offset >= end {
				continue // its range is yet to be committed
			}
			switch _, err := c.addRow(partition, r); {
			case errors.Is(err, errEnough):
				return valid, true, nil
			case err != nil:
				continue // as dead as before
			}
			valid, c.rows = append(valid, row), c.rows+1
			c.bytes += int64(len(r.Key) + len(r.Value) + recordOverhead)
			c.redriven = addOffset(c.redriven, partition, r.Offset)
			if c.full() {
				return valid, true, nil
			}
		}
	}
	return valid, false, nil
}

// addOffset adds an offset to ranges, to the last one if it follows on.
func addOffset(all []tables.Range, partition int32, off int64) []tables.Range {
	if n := len(all); n > 0 && all[n-1].Partition == partition && all[n-1].To == off {
		all[n-1].To++
		return all
	}
	return append(all, tables.Range{Partition: partition, From: off, To: off + 1})
}

// spans are what ranges lie in, one for each partition.
func spans(all []tables.Range) []tables.Range {
	by := map[int32]tables.Range{}
	for _, r := range all {
		if have, ok := by[r.Partition]; ok {
			r.From, r.To = min(r.From, have.From), max(r.To, have.To)
		}
		by[r.Partition] = r
	}
	var out []tables.Range
	for _, p := range slices.Sorted(maps.Keys(by)) {
		out = append(out, by[p])
	}
	return out
}

// letters are the columns of a batch of dead letters that make up their records.
type letters struct {
	partition *array.Int32
	offset    *array.Int64
	timestamp *array.Timestamp
	key       *array.Binary
	value     *array.Binary
	headers   *array.List
	b         *record.Builder
	rd        record.Reader
}

func lettersOf(b arrow.RecordBatch) (*letters, error) {
	l := &letters{b: record.NewBuilder(record.Options{})}
	ok := true
	for name, set := range map[string]func(arrow.Array) bool{
		"kafka_partition": func(a arrow.Array) (is bool) { l.partition, is = a.(*array.Int32); return is },
		"kafka_offset":    func(a arrow.Array) (is bool) { l.offset, is = a.(*array.Int64); return is },
		"kafka_timestamp": func(a arrow.Array) (is bool) { l.timestamp, is = a.(*array.Timestamp); return is },
		"kafka_key":       func(a arrow.Array) (is bool) { l.key, is = a.(*array.Binary); return is },
		"kafka_value":     func(a arrow.Array) (is bool) { l.value, is = a.(*array.Binary); return is },
		"kafka_headers":   func(a arrow.Array) (is bool) { l.headers, is = a.(*array.List); return is },
	} {
		at := b.Schema().FieldIndices(name)
		ok = ok && len(at) == 1 && set(b.Column(at[0]))
	}
	if !ok {
		return nil, fmt.Errorf("columns %s are not those of dead letters: %w", b.Schema(), tables.ErrSchema)
	}
	return l, nil
}

// record makes a row the record again that it was.
func (l *letters) record(i int) (int32, *record.Record, error) {
	var headers []record.RecordHeader
	if h, ok := l.headers.ListValues().(*array.Struct); ok && !l.headers.IsNull(i) {
		keys, isKey := h.Field(0).(*array.String)
		values, isValue := h.Field(1).(*array.Binary)
		from, to := l.headers.ValueOffsets(i)
		for j := int(from); j < int(to) && isKey && isValue; j++ {
			headers = append(headers, record.RecordHeader{Key: keys.Value(j), Value: bytesAt(values, j)})
		}
	}
	l.b.Reset(record.Options{})
	l.b.Append(int64(l.timestamp.Value(i))/1000, bytesAt(l.key, i), bytesAt(l.value, i), headers...)
	raw, err := l.b.Bytes()
	if err != nil {
		return 0, nil, err
	}
	if err := l.rd.Reset(raw, math.MaxInt32); err != nil {
		return 0, nil, err
	}
	if !l.rd.Next() {
		return 0, nil, l.rd.Err()
	}
	r := l.rd.Record()
	r.Offset = l.offset.Value(i)
	return l.partition.Value(i), r, nil
}

func bytesAt(a *array.Binary, i int) []byte {
	if a.IsNull(i) {
		return nil
	}
	return a.Value(i)
}

// saveRedrive stores a step. Where the outcome is not known it is read back: a
// step that is there is finished, one that is not leaves files that nothing names.
func (s *sink) saveRedrive(ctx context.Context, m *member, step *redriving) error {
	value, err := json.Marshal(step)
	if err != nil {
		return fmt.Errorf("encode redrive: %w", err)
	}
	s.loaded = false
	puts := []tables.Item{{Key: s.redriveKeyOf(m.name), Value: value}}
	if !step.Schema.Equal(s.schema) {
		text, err := json.Marshal(step.Schema)
		if err != nil {
			return fmt.Errorf("encode table schema: %w", err)
		}
		puts = append(puts, tables.Item{Key: s.schemaKey(), Value: text, Version: s.schemaVersion})
	}
	if err := s.items.Put(ctx, puts...); err != nil {
		return fmt.Errorf("store redrive: %w", err)
	}
	return s.load(ctx)
}

// finishRedrives brings the steps that are stored to their end, where they can
// be. A format that fails does not hold up the others, and takes no commits until
// its step is done: they expect what it leaves.
func (s *sink) finishRedrives(ctx context.Context) error {
	for _, m := range s.members {
		if s.redrives[m.name] == nil || m.table == nil || !s.mayTry(m) {
			continue
		}
		switch err := s.finishRedrive(ctx, m); {
		case errors.Is(err, errGivenUp):
			s.lg.Warn("a redrive was given up", "format", m.name, "error", err)
		case err != nil:
			s.fail(m, fmt.Errorf("redrive: %w", err), true)
		}
		if !s.loaded {
			if err := s.load(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// finishRedrive commits a stored step: rows first, then the letters go. What the
// tables hold decides what is left to do. A step that cannot be committed any more,
// since the table is another or its files were taken for left-overs while nobody ran,
// is forgotten: errGivenUp.
func (s *sink) finishRedrive(ctx context.Context, m *member) error {
	step := s.redrives[m.name]
	if step == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	p, err := s.mainProgress(ctx, m.table)
	if err != nil {
		return err
	}
	if p.Extra[redriveKey] != step.ID {
		if !p.Equal(step.Expect) {
			return s.giveUp(ctx, m, step, errors.New("the table is not what it was"))
		}
		c := tables.Commit{ID: step.ID, Expect: step.Expect, Progress: step.Progress, Add: step.Files,
			Summary: map[string]string{"tarn.rows": fmt.Sprint(step.rows()), "tarn.redrive": step.ID}}
		if !step.Schema.Equal(m.table.Schema()) {
			c.Schema = step.Schema
		}
		if err := m.table.Commit(ctx, c); err != nil {
			p, perr := s.mainProgress(ctx, m.table)
			switch {
			case perr == nil && p.Extra[redriveKey] == step.ID: // it was committed
			case perr == nil && errors.Is(err, tables.ErrFile):
				return s.giveUp(ctx, m, step, err)
			default:
				return fmt.Errorf("commit rows: %w", err)
			}
		}
	}
	m.known = false
	dead, err := s.openDead(ctx, m, false)
	if err != nil {
		return err
	}
	if t, ok := dead.(tables.Maintainer); ok {
		if err := s.takeLetters(ctx, t, step); err != nil {
			return fmt.Errorf("take letters out of their table: %w", err)
		}
	}
	return s.forgetRedrive(ctx, m, step)
}

// giveUp forgets a step whose rows are not in the table.
func (s *sink) giveUp(ctx context.Context, m *member, step *redriving, why error) error {
	if err := s.forgetRedrive(ctx, m, step); err != nil {
		return err
	}
	return fmt.Errorf("commit rows: %w: %w", why, errGivenUp)
}

// takeLetters takes a step's letters out of their table. Where somebody has
// rewritten their file meanwhile they are looked for.
func (s *sink) takeLetters(ctx context.Context, t tables.Maintainer, step *redriving) error {
	live, err := t.Live(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(live, func(f tables.LiveFile) bool { return f.Key == step.Letters }) {
		r := tables.Replacement{ID: step.ID, Remove: []string{step.Letters}, Drop: true, Summary: map[string]string{"tarn.redrive": step.ID}}
		if step.Rest != nil {
			r.Add = []tables.DataFile{*step.Rest}
		}
		err := t.Replace(ctx, r)
		// ErrFile: what is to stay was taken for a left-over while nobody ran; it
		// is made again.
		if !errors.Is(err, tables.ErrConflict) && !errors.Is(err, tables.ErrFile) {
			return err
		}
		if live, err = t.Live(ctx); err != nil {
			return err
		}
	}
	return s.seekLetters(ctx, t, live, step)
}

// seekLetters takes a step's letters out of whatever files they are in. Mostly
// they are in none: an earlier try has taken them out.
func (s *sink) seekLetters(ctx context.Context, t tables.Maintainer, live []tables.LiveFile, step *redriving) error {
	done := map[int32]*offsetSet{}
	for _, r := range step.Redriven {
		for off := r.From; off < r.To; off++ {
			if err := addTo(done, tables.RowID{Partition: r.Partition, Offset: off}); err != nil {
				return err
			}
		}
	}
	for i, f := range live {
		found, err := s.rowsIn(ctx, f.Key, done)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue
		}
		physical, err := t.Physical(t.Schema())
		if err != nil {
			return err
		}
		id := uuid.NewString()
		rest, err := maintenance.Without(ctx, s.store, physical, f, found, t.DataPath(fmt.Sprintf("letters-%s-%d.parquet", id, i)))
		if err != nil {
			return err
		}
		r := tables.Replacement{ID: id, Remove: []string{f.Key}, Drop: true, Summary: map[string]string{"tarn.redrive": step.ID}}
		if rest != nil {
			r.Add = []tables.DataFile{*rest}
		}
		if err := t.Replace(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// rowsIn are the positions of a file's rows that are in sets.
func (s *sink) rowsIn(ctx context.Context, key string, sets map[int32]*offsetSet) (found []int64, err error) {
	file, err := s.store.Open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	defer file.Close()
	row := int64(0)
	for id, err := range parquet.ReadRowIDs(ctx, file) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		if set := sets[id.Partition]; set != nil && set.has(id.Offset) {
			found = append(found, row)
		}
		row++
	}
	return found, nil
}

func (s *sink) forgetRedrive(ctx context.Context, m *member, step *redriving) error {
	m.known, s.loaded = false, false
	if err := s.items.Put(ctx, tables.Item{Key: s.redriveKeyOf(m.name), Version: step.version, Delete: true}); err != nil && !errors.Is(err, tables.ErrItemConflict) {
		return fmt.Errorf("forget redrive: %w", err)
	}
	return nil
}

// redriveUnderWay reports whether a step of a redrive is stored for a format: its
// tables are nobody else's until it is done.
func (s *sink) redriveUnderWay(ctx context.Context, format string) (bool, error) {
	it, err := s.items.Get(ctx, s.redriveKeyOf(format))
	return it.Version != 0, err
}
