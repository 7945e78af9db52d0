package parquet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// loadTries bounds how often a load starts again because entries were trimmed
// under it: each new try begins at a newer snapshot.
const loadTries = 5

// state is a table as of one log entry.
type state struct {
	number   int64 // of the last entry
	commit   string
	timeMs   int64
	progress tables.Progress
	schema   *tables.Schema
	comment  string
	files    []liveFile // appended to, never changed: views of it stay valid
	names    map[string]bool
	// gone are the files that entries since the newest snapshot have taken out,
	// and the time of the entry: they must not be in the glob.
	gone  map[string]int64
	rows  int64
	bytes int64
}

// name names the state for tables.Commit.Remove.
func (s *state) name() string { return strconv.FormatInt(s.number, 10) }

func (s *state) apply(e *entry) error {
	files := e.Add
	switch {
	case e.Snapshot != nil:
		files, s.gone = e.Snapshot.Files, nil
		s.clear()
	case len(e.Remove) > 0:
		for _, name := range e.Remove {
			if !s.names[name] {
				return fmt.Errorf("log entry %d removes %s, which is not there: %w", e.Number, name, tables.ErrBroken)
			}
		}
		files = e.after(s.files)
		s.clear()
	}
	for _, name := range e.Remove {
		if s.gone == nil {
			s.gone = make(map[string]int64)
		}
		s.gone[name] = e.TimeMs
	}
	if err := s.add(files, e.Number); err != nil {
		return err
	}
	if e.Schema != nil {
		s.schema = e.Schema
	}
	if e.Comment != "" {
		s.comment = e.Comment
	}
	s.number, s.commit, s.timeMs, s.progress = e.Number, e.Commit, e.TimeMs, e.Progress
	return nil
}

// clear takes all files out of the state; views of them stay valid.
func (s *state) clear() { s.files, s.names, s.rows, s.bytes = nil, make(map[string]bool), 0, 0 }

// after lists the live files after the entry. What takes the place of others
// stands where the first of those stood, so that rows keep about their order.
func (e *entry) after(files []liveFile) []liveFile {
	gone := make(map[string]bool, len(e.Remove))
	for _, name := range e.Remove {
		gone[name] = true
	}
	out, put := make([]liveFile, 0, len(files)+len(e.Add)), false
	for _, f := range files {
		if !gone[f.Name] {
			out = append(out, f)
		} else if !put {
			out, put = append(out, e.Add...), true
		}
	}
	if !put {
		out = append(out, e.Add...)
	}
	return out
}

func (s *state) add(files []liveFile, number int64) error {
	for _, f := range files {
		if s.names[f.Name] {
			return fmt.Errorf("log entry %d adds %s a second time: %w", number, f.Name, tables.ErrBroken)
		}
		s.names[f.Name] = true
		s.rows += f.Rows
		s.bytes += f.Size
	}
	s.files = append(s.files, files...)
	return nil
}

// log is a table's manifest log: entries numbered from 0 without gaps, each put
// only if absent, so that writers take turns. Entries below the newest snapshot
// are trimmed, lowest first.
type log struct {
	store  blob.Store
	prefix string
}

// load reads the newest snapshot entry and all after it; nil if there is no
// log.
func (l log) load(ctx context.Context) (*state, error) {
	var err error
	for range loadTries {
		var s *state
		if s, err = l.tryLoad(ctx); !errors.Is(err, blob.ErrNotFound) {
			return s, err
		}
	}
	return nil, fmt.Errorf("log has a gap: %w: %w", tables.ErrBroken, err)
}

func (l log) tryLoad(ctx context.Context) (*state, error) {
	last := int64(-1)
	for info, err := range l.store.List(ctx, l.prefix+"0") {
		if err != nil {
			return nil, fmt.Errorf("list log: %w", err)
		}
		if n, ok := entryNumber(info.Key, l.prefix); ok {
			last = n
		}
	}
	if last < 0 {
		return nil, nil
	}
	var tail []*entry
	for n := last; ; n-- {
		e, err := l.get(ctx, n)
		if err != nil {
			return nil, err
		}
		tail = append(tail, e)
		if e.Snapshot != nil {
			break
		}
		if n == 0 {
			return nil, fmt.Errorf("log begins without a snapshot: %w", tables.ErrBroken)
		}
	}
	s := &state{}
	for i := len(tail) - 1; i >= 0; i-- {
		if err := s.apply(tail[i]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// get reads one entry; blob.ErrNotFound if there is none.
func (l log) get(ctx context.Context, number int64) (*entry, error) {
	data, err := l.store.Get(ctx, entryKey(l.prefix, number))
	if err != nil {
		return nil, fmt.Errorf("read log entry %d: %w", number, err)
	}
	return decodeEntry(data, number)
}

// has reports whether an entry is there, without reading it.
func (l log) has(ctx context.Context, number int64) (bool, error) {
	f, err := l.store.Open(ctx, entryKey(l.prefix, number))
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for log entry %d: %w", number, err)
	}
	return true, f.Close()
}

// put writes e at its number: the commit point. blob.ErrExists if it is taken.
func (l log) put(ctx context.Context, e *entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode log entry %d: %w", e.Number, err)
	}
	err = l.store.PutIfAbsent(ctx, entryKey(l.prefix, e.Number), data)
	if err != nil {
		return fmt.Errorf("write log entry %d: %w", e.Number, err)
	}
	return nil
}

func isExists(err error) bool { return errors.Is(err, blob.ErrExists) }

// catchUp returns the state after all entries that follow s: s itself if none
// do. The next number alone does not tell: a writer that slept through a trim
// finds it free. So s's own entry must still be there.
func (l log) catchUp(ctx context.Context, s *state) (*state, error) {
	more, err := l.has(ctx, s.number+1)
	if err != nil {
		return nil, err
	}
	here, err := l.has(ctx, s.number)
	if err != nil {
		return nil, err
	}
	if here && !more {
		return s, nil
	}
	// Somebody else writes here, or an answer was lost: read the log as a
	// newcomer would.
	return l.reload(ctx)
}

func (l log) reload(ctx context.Context) (*state, error) {
	s, err := l.load(ctx)
	if err == nil && s == nil {
		err = fmt.Errorf("the table's log is gone: %w", tables.ErrForeign)
	}
	return s, err
}

// trim removes entries below the snapshot, lowest first: that an entry is there
// then proves that all above it are.
func (l log) trim(ctx context.Context, snapshot, oldest int64) error {
	for info, err := range l.store.List(ctx, l.prefix+"0") {
		if err != nil {
			return fmt.Errorf("list log: %w", err)
		}
		n, ok := entryNumber(info.Key, l.prefix)
		if !ok {
			continue
		}
		if n >= snapshot || info.ModifiedMs > oldest {
			return nil
		}
		if err := l.store.Delete(ctx, info.Key); err != nil {
			return fmt.Errorf("trim log: %w", err)
		}
	}
	return nil
}
