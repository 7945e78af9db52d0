package sink

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
)

// rebuildKey, in a progress, is the id of the last rebuild that the table has.
const rebuildKey = "rebuild"

// Limits of a rebuild.
const (
	// swapTries bounds how often the exchange is picked anew because somebody has
	// changed the table meanwhile.
	swapTries = 10
	// forgetAtOnce bounds the items that one write removes.
	forgetAtOnce = 500
)

// Errors of a rebuild; all are refused.
var (
	// ErrNoRebuild: the table has no commit yet, or its format has no way to exchange
	// all rows in one.
	ErrNoRebuild = errors.New("there is nothing to rebuild: the table has no commit yet")
	// ErrLogShort: the log no longer reaches back to where the table begins, was
	// compacted since, or the table has rows that others brought.
	ErrLogShort = errors.New("the log no longer has all that the table was made of: rows that only the table has would go; give --from-log-start if that is meant, or --abort to keep the table as it is")
	// ErrAborted: somebody gave the rebuild up meanwhile.
	ErrAborted = errors.New("the rebuild was aborted meanwhile; the table is as it was")
)

// RebuildInfo says how far a rebuild is.
type RebuildInfo struct {
	ID string `json:"id"`
	// At is the next offset that is to be read again, by partition.
	At map[int32]int64 `json:"at"`
	// Pieces were written, with Rows and DeadLetters; Behind offsets are left. Until
	// it is Done, Rows counts records: in a table of latest values a key has one row in
	// the end.
	Pieces      int   `json:"pieces"`
	Rows        int64 `json:"rows"`
	DeadLetters int64 `json:"dead_letters"`
	Behind      int64 `json:"behind"`
	Done        bool  `json:"done"`
	// Aborted: it was given up, and the table is as it was.
	Aborted bool `json:"aborted,omitempty"`
}

// rebuildHead is the item of a rebuild that is under way.
type rebuildHead struct {
	ID   string  `json:"id"`
	From offsets `json:"from"`
	// By is what made rows of records when it began, as rowsBy has it.
	By string `json:"by"`
}

// rowsBy is what makes rows of a topic's records, as a digest: what is written anew
// under other settings is begun again.
func (t Topic) rowsBy() (string, error) {
	text, err := json.Marshal([]any{t.Upsert, t.Unwrap, t.Generated, t.JSONExtra, t.KeyAs, t.ValueAs, t.ValueVersion, t.Key, t.Value, t.ValueByRecord})
	if err != nil {
		return "", fmt.Errorf("encode settings: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// rebuildPiece is the item of one piece of the log, written anew: its files are
// durable beside the table's own, and in no table yet.
type rebuildPiece struct {
	N       int               `json:"n"`
	To      offsets           `json:"to"`
	Files   []tables.DataFile `json:"files,omitempty"`
	Dead    *tables.DataFile  `json:"dead,omitempty"`
	Gaps    []tables.Range    `json:"gaps,omitempty"`
	Rows    int64             `json:"rows"` // of all pieces up to this one
	Letters int64             `json:"letters"`
	// Types are those of the columns in Files, by field id.
	Types map[int]string `json:"types,omitempty"`
	// Gone, in a table of latest values, holds the keys that lose their row here. It
	// becomes no part of the table.
	Gone *tables.DataFile `json:"gone,omitempty"`
	// Holes says that offsets have no record any more that had one: compaction.
	Holes bool `json:"holes,omitempty"`

	item tables.Item // as it is stored
}

// paths are the keys of all files of a piece.
func (p rebuildPiece) paths() []string {
	var out []string
	for _, f := range p.Files {
		out = append(out, f.Path)
	}
	for _, f := range []*tables.DataFile{p.Dead, p.Gone} {
		if f != nil {
			out = append(out, f.Path)
		}
	}
	return out
}

// rebuilding is what is stored of a rebuild, but for the earlier pieces.
type rebuilding struct {
	rebuildHead
	version int64        // of the head's item
	last    rebuildPiece // N is 0 and To is From where there is none
}

func (s *sink) rebuildPrefix(format string) string { return s.prefix() + "rebuild/" + format + "/" }

func (s *sink) pieceKey(format string, n int) string {
	return fmt.Sprintf("%spiece/%010d", s.rebuildPrefix(format), n)
}

// loadRebuild takes one stored item in; the last piece wins, for items come in
// order and the head before the pieces.
func (s *sink) loadRebuild(all map[string]*rebuilding, it tables.Item) error {
	format, kind, _ := strings.Cut(strings.TrimPrefix(it.Key, s.prefix()+"rebuild/"), "/")
	if kind == "head" {
		r := &rebuilding{version: it.Version}
		if err := json.Unmarshal(it.Value, &r.rebuildHead); err != nil {
			return err
		}
		r.last.To = r.From
		all[format] = r
		return nil
	}
	r := all[format]
	if r == nil {
		return nil // the head goes last
	}
	r.last = rebuildPiece{}
	return json.Unmarshal(it.Value, &r.last)
}

// Rebuild writes a topic's tables anew from the log, beside the rows that they
// have, and exchanges all rows in one commit, format by format; readers see the
// old rows until then, and the sink goes on. What is written is remembered piece
// by piece: cut off, it goes on where it was when it is asked for again, or from the
// beginning if settings that make rows of records have changed since. With
// fromLogStart a log that no longer reaches back to the table's beginning will
// do. Errors: ErrNoTable, ErrNoRebuild, ErrLogShort (refused), ErrAborted, ErrStopped,
// or what went wrong.
func (m *Manager) Rebuild(ctx context.Context, topic string, fromLogStart bool) (map[string]RebuildInfo, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := map[string]RebuildInfo{}
	for _, format := range s.topic.Formats {
		for !out[format].Done {
			err := m.settled(ctx, s, func(ctx context.Context) error {
				info, err := s.rebuildSome(ctx, format, out[format], fromLogStart)
				out[format] = info
				return err
			})
			if err != nil {
				return out, fmt.Errorf("rebuild %s table of topic %q: %w", format, topic, err)
			}
		}
	}
	return out, nil
}

// rebuildSome does the next piece of a rebuild, or exchanges the rows when all
// are written. sofar is what the step before has told, and the zero value in the
// first one.
func (s *sink) rebuildSome(ctx context.Context, format string, sofar RebuildInfo, fromLogStart bool) (RebuildInfo, error) {
	m := s.quiet(format)
	if m == nil || s.redrives[format] != nil {
		return sofar, errBusy
	}
	t, ok := m.table.(tables.Replacer)
	if !ok || m.at.TopicID == "" {
		return sofar, ErrNoRebuild
	}
	ctx, cancel := context.WithTimeout(ctx, s.commitTimeout())
	defer cancel()
	r := s.rebuilds[format]
	by, err := s.topic.rowsBy()
	switch {
	case err != nil:
		return sofar, err
	case r != nil && (sofar.ID == "" || sofar.ID == r.ID):
		if r.By != by { // its rows are of other settings: it is given up, and another one begins
			_, err := s.abortRebuild(ctx, format)
			return RebuildInfo{}, err
		}
	case sofar.ID != "" && m.at.Extra[rebuildKey] == sofar.ID: // somebody else asked for the rest
		sofar.Done = true
		return sofar, nil
	case sofar.ID != "":
		return sofar, ErrAborted
	default:
		return s.beginRebuild(ctx, m, fromLogStart)
	}
	info := r.info(m.at.Offsets)
	if offsets(m.at.Offsets).until(r.last.To) > 0 {
		return info, errBusy // the table was set back; it has to come as far again first
	}
	if info.Behind > 0 {
		return info, s.drawPiece(ctx, m, r, fromLogStart)
	}
	rows, err := s.exchange(ctx, m, t, r, fromLogStart)
	if err != nil {
		return info, err
	}
	info.Done, info.Rows = true, rows
	return info, s.finishRebuild(ctx, m)
}

// quiet is the member of a format, if everything stored is read, its table is well
// and nothing waits for it; else nil.
func (s *sink) quiet(format string) *member {
	i := slices.IndexFunc(s.members, func(m *member) bool { return m.name == format })
	if i < 0 || !s.loaded || s.draft != nil {
		return nil
	}
	m := s.members[i]
	if !m.known || m.err != nil || m.letters != nil || s.last(m) != nil {
		return nil
	}
	return m
}

func (r *rebuilding) info(end offsets) RebuildInfo {
	return RebuildInfo{ID: r.ID, At: r.last.To, Pieces: r.last.N, Rows: r.last.Rows, DeadLetters: r.last.Letters, Behind: r.last.To.until(end)}
}

// beginRebuild stores where a rebuild begins: where the table does.
func (s *sink) beginRebuild(ctx context.Context, m *member, fromLogStart bool) (RebuildInfo, error) {
	by, err := s.topic.rowsBy()
	if err != nil {
		return RebuildInfo{}, err
	}
	r := &rebuilding{rebuildHead: rebuildHead{ID: uuid.NewString(), From: offsets{}, By: by}}
	for part := range m.at.Offsets {
		if r.From[part], err = s.rebuildFrom(ctx, m, part, fromLogStart); err != nil {
			return RebuildInfo{}, err
		}
	}
	r.last.To = r.From
	value, err := json.Marshal(r.rebuildHead)
	if err != nil {
		return RebuildInfo{}, fmt.Errorf("encode: %w", err)
	}
	s.loaded = false
	if err := s.items.Put(ctx, tables.Item{Key: s.rebuildPrefix(m.name) + "head", Value: value}); err != nil {
		return RebuildInfo{}, fmt.Errorf("store rebuild: %w", err)
	}
	return r.info(m.at.Offsets), s.load(ctx)
}

// rebuildFrom is where a rebuild begins in a partition.
func (s *sink) rebuildFrom(ctx context.Context, m *member, part int32, fromLogStart bool) (int64, error) {
	log, err := s.log(ctx, part)
	if err != nil {
		return 0, err
	}
	begin := started(m.at, part)
	first := log.Start()
	switch {
	case first <= begin:
		return begin, nil
	case !fromLogStart:
		return 0, fmt.Errorf("partition %d begins at %d in the log and at %d in the table: %w", part, first, begin, ErrLogShort)
	}
	return min(first, m.at.Offsets[part]), nil
}

// drawPiece writes the next piece of the log anew, and remembers it.
func (s *sink) drawPiece(ctx context.Context, m *member, r *rebuilding, fromLogStart bool) error {
	from := maps.Clone(r.last.To)
	for part := range m.at.Offsets {
		if _, ok := from[part]; ok {
			continue
		}
		var err error // a partition that has come since
		if from[part], err = s.rebuildFrom(ctx, m, part, fromLogStart); err != nil {
			return err
		}
	}
	for {
		err := s.drawPieceOnce(ctx, m, r, from, fromLogStart)
		if !errors.Is(err, layout.ErrTooMany) {
			return err
		}
	}
}

func (s *sink) drawPieceOnce(ctx context.Context, m *member, r *rebuilding, from offsets, fromLogStart bool) error {
	c, err := s.newCut(from)
	if err != nil {
		return err
	}
	if err := c.read(ctx, m.at.Offsets); err != nil {
		return err
	}
	if len(c.gaps) > 0 && !fromLogStart { // the log is held for a rebuild, but not against everything
		g := c.gaps[0]
		return fmt.Errorf("partition %d offsets %d to %d were deleted before they were written anew: %w", g.Partition, g.From, g.To-1, ErrLogShort)
	}
	letters := c.letters()
	rows, gone, err := c.content(ctx)
	if err != nil {
		return err
	}
	split, err := s.split(c, rows)
	if err != nil {
		return err
	}
	physical, err := m.table.Physical(c.schema)
	if err != nil {
		return err
	}
	e, to := s.newEntry(c.from, c.to, c.schema), []target{{m, m.table, physical}}
	boxes := s.boxes(ctx, []*member{m}, c)
	if letters > 0 && len(boxes) == 0 {
		return m.err
	}
	dead, err := s.placeDead(ctx, e, c, to, boxes)
	if err != nil {
		return err
	}
	keys, err := s.placeGone(ctx, e, c, to, gone)
	if err != nil {
		return err // a letters' file that nothing names is swept
	}
	files, err := s.placeParts(ctx, e, to, split, c.ranges())
	if err != nil {
		return err
	}
	next := rebuildPiece{
		N: r.last.N + 1, To: c.to, Files: files[m], Gaps: c.gaps, Types: typesOf(c.schema), Gone: keys[m], Holes: c.holes,
		Rows: r.last.Rows + c.rows - letters, Letters: r.last.Letters + letters,
	}
	if d := dead[m]; d != nil {
		next.Dead = &d.File
	}
	return s.savePiece(ctx, m, r, next, c.schema)
}

// savePiece stores a piece, and the head anew: of two sinks, one that has not seen
// the other give the rebuild up is refused.
func (s *sink) savePiece(ctx context.Context, m *member, r *rebuilding, p rebuildPiece, sch *tables.Schema) error {
	value, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	head, err := json.Marshal(r.rebuildHead)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	puts := []tables.Item{
		{Key: s.rebuildPrefix(m.name) + "head", Value: head, Version: r.version},
		{Key: s.pieceKey(m.name, p.N), Value: value},
	}
	if !sch.Equal(s.schema) {
		text, err := json.Marshal(sch)
		if err != nil {
			return fmt.Errorf("encode table schema: %w", err)
		}
		puts = append(puts, tables.Item{Key: s.schemaKey(), Value: text, Version: s.schemaVersion})
	}
	s.loaded = false
	if err := s.items.Put(ctx, puts...); err != nil {
		return fmt.Errorf("store a piece of a rebuild: %w", err)
	}
	return s.load(ctx)
}

// rebuilt reads all pieces of a rebuild.
func (s *sink) rebuilt(ctx context.Context, format string) (out []rebuildPiece, items []tables.Item, err error) {
	for it, err := range s.items.Scan(ctx, s.rebuildPrefix(format)) {
		if err != nil {
			return nil, nil, fmt.Errorf("read rebuild: %w", err)
		}
		items = append(items, it)
		if strings.HasSuffix(it.Key, "/head") {
			continue
		}
		p := rebuildPiece{item: it}
		if err := json.Unmarshal(it.Value, &p); err != nil {
			return nil, nil, fmt.Errorf("stored item %s: %w", it.Key, err)
		}
		out = append(out, p)
	}
	return out, items, nil
}

// exchange puts the new rows in the place of all that the table has, in one
// commit, and counts them. It has come exactly as far as the table: nothing is
// pending.
func (s *sink) exchange(ctx context.Context, m *member, t tables.Replacer, r *rebuilding, fromLogStart bool) (rows int64, err error) {
	all, _, err := s.rebuilt(ctx, m.name)
	if err != nil {
		return 0, err
	}
	switch {
	case len(s.topic.Upsert) > 0:
		err = s.settle(ctx, m, t, all, fromLogStart)
	case !fromLogStart:
		err = s.lossless(ctx, m, t, all)
	}
	if err != nil {
		return 0, err
	}
	next := s.advance(m.at, nil)
	next.Extra[rebuildKey] = r.ID
	for part, off := range r.From {
		if off > started(m.at, part) {
			next.Extra[startKey+strconv.Itoa(int(part))] = strconv.FormatInt(off, 10)
		}
	}
	if next.Extra[recordsKey] != "" {
		next.Extra[recordsKey] = strconv.FormatInt(r.last.Rows+r.last.Letters, 10)
	}
	c := tables.Commit{ID: r.ID, Expect: m.at, Progress: next}
	for _, p := range all {
		c.Add = append(c.Add, p.Files...)
		addGaps(&c.Progress, p.Gaps)
	}
	for _, f := range c.Add {
		rows += f.Rows
	}
	c.Summary = map[string]string{"tarn.rebuild": r.ID, "tarn.rows": strconv.FormatInt(rows, 10)}
	c.Remove = &tables.Removal{Renewed: renewed(all, s.schema)}
	if !s.schema.Equal(m.table.Schema()) {
		c.Schema = s.schema
	}
	return rows, s.replaceAll(ctx, m, t, c)
}

// typesOf are the types of a schema's columns, nested ones too, by field id.
func typesOf(s *tables.Schema) map[int]string {
	out := map[int]string{}
	s.MapLeaves(func(f arrow.Field) arrow.Field {
		if id, ok := tables.FieldID(f); ok {
			out[id] = f.Type.String()
		}
		return f
	})
	return out
}

// renewed reports whether the files of all pieces have their columns in the types of
// the schema: it may have widened while they were written.
func renewed(all []rebuildPiece, s *tables.Schema) bool {
	now := typesOf(s)
	for _, p := range all {
		if len(p.Files) > 0 && p.Types == nil {
			return false // written by a release that did not note them
		}
		for id, typ := range p.Types {
			if len(p.Files) > 0 && now[id] != typ {
				return false
			}
		}
	}
	return true
}

// replaceAll commits c and takes all files out that the table has.
func (s *sink) replaceAll(ctx context.Context, m *member, t tables.Replacer, c tables.Commit) error {
	var err error
	for range swapTries {
		var now tables.Files
		if now, err = t.Files(ctx); err != nil {
			return err
		}
		c.Remove = &tables.Removal{State: now.State, Renewed: c.Remove != nil && c.Remove.Renewed}
		for _, f := range now.Live {
			c.Remove.Files = append(c.Remove.Files, f.Key)
		}
		if err = t.Commit(ctx, c); !errors.Is(err, tables.ErrMoved) {
			break
		}
	}
	m.known = false
	if err == nil {
		return nil
	}
	if p, perr := t.Progress(ctx); perr == nil && p.Extra[rebuildKey] == c.Progress.Extra[rebuildKey] {
		return nil
	}
	return fmt.Errorf("exchange rows: %w", err)
}

// finishRebuilds brings rebuilds to their end whose rows are exchanged and whose
// dead letters may not be. No commit may come before that.
func (s *sink) finishRebuilds(ctx context.Context) error {
	for _, m := range s.members {
		if s.rebuilds[m.name] == nil || m.table == nil || !s.mayTry(m) {
			continue
		}
		ctx := s.heeding(ctx, m.name)
		p, err := s.mainProgress(ctx, m.table)
		if err == nil && p.Extra[rebuildKey] == s.rebuilds[m.name].ID {
			err = s.finishRebuild(ctx, m)
		}
		if err != nil {
			s.fail(m, fmt.Errorf("rebuild: %w", err), true)
		}
		if !s.loaded {
			if err := s.load(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// finishRebuild exchanges the dead letters, and forgets the rebuild.
func (s *sink) finishRebuild(ctx context.Context, m *member) error {
	r := s.rebuilds[m.name]
	if r == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	all, items, err := s.rebuilt(ctx, m.name)
	if err != nil {
		return err
	}
	dead, err := s.openDead(ctx, m, false)
	if err != nil {
		return err
	}
	if t, ok := dead.(tables.Replacer); ok {
		p, err := s.progress(ctx, dead)
		if err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
		if p.Extra[rebuildKey] != r.ID {
			next := s.advance(p, nil)
			for part, off := range r.last.To {
				next.Offsets[part] = max(next.Offsets[part], off)
			}
			next.Extra[rebuildKey] = r.ID
			delete(next.Extra, modeKey) // letters are all kept
			c := tables.Commit{ID: r.ID, Expect: p, Progress: next, Summary: map[string]string{"tarn.rebuild": r.ID}}
			for _, piece := range all {
				if piece.Dead != nil {
					c.Add = append(c.Add, *piece.Dead)
				}
			}
			if err := s.replaceAll(ctx, m, t, c); err != nil {
				return fmt.Errorf("dead letters: %w", err)
			}
		}
	}
	if err := s.forgetRebuild(ctx, m, items); err != nil {
		return err
	}
	var keys []string // a crash before they are removed leaves them to the sweep
	for _, p := range all {
		if p.Gone != nil {
			keys = append(keys, p.Gone.Path)
		}
	}
	if len(keys) > 0 {
		s.remove(ctx, keys)
	}
	return nil
}

// forgetRebuild removes what is stored of a rebuild, the head last: until then it
// is found, and found done.
func (s *sink) forgetRebuild(ctx context.Context, m *member, items []tables.Item) error {
	m.known, m.looked, s.loaded = false, false, false
	slices.Reverse(items)
	for some := range slices.Chunk(items, forgetAtOnce) {
		puts := make([]tables.Item, len(some))
		for i, it := range some {
			puts[i] = tables.Item{Key: it.Key, Version: it.Version, Delete: true}
		}
		if err := s.items.Put(ctx, puts...); err != nil {
			return fmt.Errorf("forget rebuild: %w", err)
		}
	}
	return nil
}

// rebuildUnderWay reports whether rows of a format are exchanged and its dead
// letters may not be.
func (s *sink) rebuildUnderWay(ctx context.Context, format string, p tables.Progress) (bool, error) {
	it, err := s.items.Get(ctx, s.rebuildPrefix(format)+"head")
	if err != nil || it.Version == 0 {
		return false, err
	}
	var head rebuildHead
	if err := json.Unmarshal(it.Value, &head); err != nil {
		return false, fmt.Errorf("stored item %s: %w", it.Key, err)
	}
	return p.Extra[rebuildKey] == head.ID, nil
}

// neededBy lowers what the log is needed from to where rebuilds are. One of a
// format that the topic has no more holds nothing.
func (s *sink) neededBy(least offsets) {
	for _, m := range s.members {
		r := s.rebuilds[m.name]
		if r == nil {
			continue
		}
		for part, have := range least {
			least[part] = min(have, r.last.To[part]) // 0 in a partition that has come since
		}
	}
}

// rebuildInfos are the rebuilds under way, by format.
func (s *sink) rebuildInfos() map[string]RebuildInfo {
	out := map[string]RebuildInfo{}
	for _, m := range s.members {
		if r := s.rebuilds[m.name]; r != nil {
			info := r.info(m.at.Offsets)
			info.At = maps.Clone(info.At)
			out[m.name] = info
		}
	}
	return out
}
