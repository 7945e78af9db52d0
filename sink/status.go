package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// State says what a sink is doing, in a word that scripts may rely on.
type State string

// States. All but Running say in Status.Message what is wrong and what to do.
const (
	Running          State = "running"
	WaitingForSchema State = "waiting_for_schema"
	// LogReplaced: the table was written from another log, one restored from a
	// backup or a topic made again under the old name.
	LogReplaced State = "log_replaced"
	// NameTaken: where the table would be is one that Tarn has not made.
	NameTaken State = "name_taken"
	// TableAhead: the table holds offsets that the log does not have.
	TableAhead State = "table_ahead"
	// RolledBack: somebody set the table back to an earlier state.
	RolledBack State = "rolled_back"
	// Diverged: the table stands where no commit of ours leads on from.
	Diverged State = "diverged"
	// LogTrimmed: the table stands before what was deleted from the log behind
	// the tables.
	LogTrimmed State = "log_trimmed"
	// ModeChanged: the table was written in another tarn.table.mode, or by another
	// tarn.table.key.
	ModeChanged State = "mode_changed"
	// BadKey: tarn.table.key names what cannot be the table's key.
	BadKey State = "bad_key"
	// Stalled: the last attempt failed; it is repeated.
	Stalled State = "stalled"
)

// advice says for each state what resumes it.
var advice = map[State]string{
	NameTaken:   "give that table another name or place, or drop it, then tarn table flush goes on; or set tarn.table.name to another table",
	LogReplaced: "after tarn restore, restore again with --new-tables and start with an empty --warehouse to have tables written anew, or with --same-log and the old --warehouse if nobody has written to the log since; else, to go on with this log, move the old table and its dead letters away (drop them in the catalog, or move their folders), and restart; or set tarn.table.name to another table",
	TableAhead:  "the log is older than the table: restore a newer log; or run tarn restore with --new-tables and start with an empty --warehouse; or move the table and its dead letters away and restart",
	RolledBack:  "roll the table forward again and it goes on; or move it and its dead letters away and restart to write it anew from the log",
	LogTrimmed:  "restore the table as it was before (or roll it forward); or accept the hole: set tarn.table.log=keep and it goes on with what the log has, writing the gap down; or give tarn.table.start where a new table is to begin",
	ModeChanged: "set tarn.table.mode and tarn.table.key back; or move the old table and its dead letters away (drop them in the catalog, or move their folders), and restart, to write it anew from the log; or set tarn.table.name to another table",
	BadKey:      "set tarn.table.key to columns of the table, or register a schema that has them",
	Diverged:    "another writer may be at work on this table: stop it; or move the table and its dead letters away and restart to write it anew from the log",
}

// Status is what a person wants to know of a topic's tables.
type Status struct {
	Topic string `json:"topic"`
	Table string `json:"table"`
	// State is that of the sink, or of the format that is worst off.
	State   State  `json:"state"`
	Message string `json:"message,omitempty"`
	// Partition and Sort are what the topic asks for, see tarn.table.partition.
	Partition string `json:"partition,omitempty"`
	Sort      string `json:"sort,omitempty"`
	// Behind is how many offsets the tables are behind the log, PendingBytes
	// about how many bytes of records these are: as many as a record had lately.
	Behind       int64 `json:"behind"`
	PendingBytes int64 `json:"pending_bytes"`
	Pace
	// Schema is the newest version of the value's subject; nil: there is none.
	Schema  *SchemaInfo    `json:"schema,omitempty"`
	Formats []FormatStatus `json:"formats"`
}

// SchemaInfo names a version of a subject.
type SchemaInfo struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
	ID      int    `json:"id"`
	// Refused is why the tables cannot take the columns of this version, whose records
	// are dead letters for it; "": they can. Fix says what helps.
	Refused string `json:"refused,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// FormatStatus is one format's table.
type FormatStatus struct {
	tables.Status
	// State and Message are those of this format alone.
	State       State           `json:"state"`
	Message     string          `json:"message,omitempty"`
	Offsets     map[int32]int64 `json:"offsets"`
	DeadLetters int64           `json:"dead_letters"`
	// Untranslated records wait to be put into files, Uncommitted ones are in
	// files that wait for the table.
	Untranslated int64 `json:"untranslated"`
	Uncommitted  int64 `json:"uncommitted"`
	// LastCommit and LastError are of this process; nil: none yet.
	LastCommit *CommitInfo `json:"last_commit,omitempty"`
	LastError  *ErrorInfo  `json:"last_error,omitempty"`
	// Unknown is true where the table does not answer: rows, files, bytes and dead
	// letters are 0 then, whatever they are.
	Unknown bool `json:"unknown,omitempty"`
	// Notice is what a person should know though nothing is wrong; "": nothing.
	Notice string `json:"notice,omitempty"`
	// Rebuild is one that is under way, or was cut off; nil: none.
	Rebuild *RebuildInfo `json:"rebuild,omitempty"`
	// Kept is what maintenance has done since this process began.
	Kept Kept `json:"kept"`
}

// condition is a state with what is to be said about it.
type condition struct {
	state   State
	message string
}

// conditionOf is what an error means; the zero error is Running.
func conditionOf(err error) condition {
	if err == nil {
		return condition{state: Running}
	}
	c := condition{Stalled, err.Error()}
	var stop *stopError
	if errors.As(err, &stop) {
		c.state = stop.state
		if a := advice[c.state]; a != "" {
			c.message += "; " + a
		}
	}
	return c
}

// statusBoard is the part of a sink that others read.
type statusBoard struct {
	mu      sync.Mutex
	all     condition            // guarded by mu
	formats map[string]condition // guarded by mu; replaced, never changed
	behind  int64                // guarded by mu
	rows    int64                // guarded by mu: committed by this process, dead letters among them
	table   *tables.Schema       // guarded by mu: what the table looks like; nil: there is none
	verdict verdict              // guarded by mu
}

func (b *statusBoard) set(all condition, formats map[string]condition) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed = b.all != all
	b.all, b.formats = all, formats
	return changed
}

func (b *statusBoard) setBehind(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.behind = n
}

// trouble shows what goes wrong with some formats while a step is still at it, and
// reports whether that is news.
func (b *statusBoard) trouble(formats []string, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	tried := condition{Stalled, "it is being tried again: " + err.Error()}
	next := maps.Clone(b.formats)
	for _, name := range formats {
		if c, ok := next[name]; ok && c.state == Running {
			next[name] = tried
		}
	}
	b.formats = next
	if b.all.state != Running && b.all.state != WaitingForSchema {
		return false
	}
	b.all = tried
	return true
}

// heeding has failed attempts shown that a store or catalog repeats while something
// is done for some formats: without, they would be seen when it has lost its patience.
func (s *sink) heeding(ctx context.Context, formats ...string) context.Context {
	return blob.WithTrouble(ctx, func(err error) {
		for _, name := range formats {
			s.gauge.failed(name, errorInfo(s.now(), err))
		}
		if s.status.trouble(formats, err) {
			s.lg.Warn("a table's store or catalog does not answer; it is tried again", "formats", formats, "error", err)
		}
	})
}

func (b *statusBoard) addRows(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows += n
}

func (b *statusBoard) committed() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rows
}

func (b *statusBoard) get() (all condition, formats map[string]condition, behind int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all, b.formats, b.behind
}

// shown is the condition of one format: where the topic as a whole does not go on and
// no format is to blame, none of them does.
func shown(all condition, formats map[string]condition, name string) condition {
	for _, c := range formats {
		if c.state != Running {
			all = condition{state: Running}
		}
	}
	if c, ok := formats[name]; ok && (c.state != Running || all.state == Running) {
		return c
	}
	return all // or not looked at yet
}

// report shows how the last step went, and returns the state: the sink's own
// error, else that of the format that is worst off.
func (s *sink) report(err error) State {
	formats := map[string]condition{}
	all := conditionOf(err)
	deleted := errors.Is(err, commitlog.ErrGone)
	for _, m := range s.members {
		deleted = deleted || errors.Is(m.err, commitlog.ErrGone)
		c := conditionOf(m.err)
		formats[m.name] = c
		if err == nil && (all.state == Running || all.state == Stalled && c.state != Running && c.state != Stalled) {
			all = c
		}
	}
	if !s.status.set(all, formats) {
		return all.state
	}
	switch {
	case all.state == Running:
		s.lg.Info("sink goes on")
	case deleted:
		s.lg.Info("sink ends: its topic is being deleted", "state", all.state, "reason", all.message)
	case all.state == WaitingForSchema:
		s.lg.Info("sink waits", "state", all.state, "reason", all.message)
	case all.state == Stalled:
		s.lg.Warn("sink is stalled; it is tried again", "reason", all.message)
	default:
		s.lg.Error("sink does not go on", "state", all.state, "reason", all.message)
	}
	return all.state
}

// Status describes one topic's tables. It waits ten seconds at most for tables that
// do not answer, and says which did not. Errors: ErrNoTable, ErrStopped.
func (m *Manager) Status(ctx context.Context, topic string) (Status, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return Status{}, err
	}
	return s.describe(ctx, &patience{allAnswers}), nil
}

// Statuses describes all tables, by topic name, and waits as Status does.
func (m *Manager) Statuses(ctx context.Context) []Status {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.sinks))
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b *running) int { return strings.Compare(a.topic.Name, b.topic.Name) })
	out := make([]Status, len(all))
	wait := &patience{allAnswers}
	for i, r := range all {
		out[i] = r.describe(ctx, wait)
	}
	return out
}

// openTables are the tables that a sink has opened, for reading by others.
type openTables struct {
	mu  sync.Mutex
	all map[[2]string]tables.Table // guarded by mu, by format and table
}

func (o *openTables) put(format, name string, t tables.Table) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = map[[2]string]tables.Table{}
	}
	o.all[[2]string{format, name}] = t
}

func (o *openTables) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = nil
}

func (o *openTables) get(format, name string) tables.Table {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all[[2]string{format, name}]
}

// reopen returns a table for reading. One that the sink has not opened is
// opened here; one that is not there is an error and is not made.
func (s *sink) reopen(ctx context.Context, format, name string) (tables.Table, error) {
	if t := s.opened.get(format, name); t != nil {
		return t, nil
	}
	f, ok := s.formats[format]
	if !ok {
		return nil, fmt.Errorf("table format %q is not there", format)
	}
	t, err := f.Open(ctx, tables.Spec{Namespace: s.namespace, Name: name})
	if err != nil {
		return nil, fmt.Errorf("open %s table %s: %w", format, name, err)
	}
	return t, nil
}

// logged is how many offsets the log holds below stable.
func (s *sink) logged(ctx context.Context, stable offsets) (n int64) {
	for p, end := range stable {
		if log, err := s.log(ctx, p); err == nil {
			n += end - log.Start()
		}
	}
	return n
}

// typeWidening is the feature that a Delta table needs once a column has widened.
const typeWidening = "typeWidening"

// manyFiles is how many files a table may have before somebody is told that readers
// open every one of them.
const manyFiles = 1000

// notice says which readers refuse a table or are slow on it, and what to do about it.
func (s *sink) notice(st tables.Status) string {
	if st.Format == "parquet" && s.topic.Compact != CompactAll && st.Files >= manyFiles && st.Bytes/st.Files < s.topic.CompactBytes/2 {
		return fmt.Sprintf("%d small files, which readers open one by one: tarn table compact %s merges them, and tarn.table.compact=all does so always (a reader by glob sees fewer rows while files change places)", st.Files, s.topic.Name)
	}
	if !slices.Contains(st.Features, typeWidening) {
		return ""
	}
	return "columns have widened: readers need Delta's feature typeWidening, and those that lack it (deltalake and Trino, for example) refuse the table; tarn table rebuild " + s.topic.Name + " writes it anew, without"
}

// describe puts a status together from what the tables say, where they answer.
func (s *sink) describe(ctx context.Context, wait *patience) Status {
	out := Status{
		Topic: s.topic.Name, Table: s.topic.Table, Formats: []FormatStatus{},
		Partition: s.topic.Layout.PartitionText(), Sort: s.topic.Layout.SortText(),
	}
	all, formats, behind := s.status.get()
	out.State, out.Message, out.Behind = all.state, all.message, behind
	stable, err := s.stable(ctx)
	if err == nil {
		pace, size := s.gauge.rhythm(s.now(), stable)
		out.Pace = pace
		if seen, _, _ := s.gauge.look(); seen != nil {
			out.Behind = seen.until(stable)
		} else if all.state != Running {
			out.Behind = s.logged(ctx, stable) // where the tables are is not known
		}
		out.PendingBytes = out.Behind * cmp.Or(size, guessedRecord)
	}
	out.ConfiguredMs = s.topic.CommitInterval.Milliseconds()
	out.Schema = s.judgeNewest()
	for _, name := range s.topic.Formats {
		c := shown(all, formats, name)
		fs := FormatStatus{Status: tables.Status{Format: name}, State: c.state, Message: c.message, Kept: s.upkeep.get(name)}
		g := s.gauge.format(name)
		fs.LastCommit, fs.LastError, fs.Rebuild = g.commit, g.err, g.anew
		fs.Untranslated, fs.Uncommitted = g.drawn.until(stable), g.visible.until(g.drawn)
		if !s.hear(ctx, wait, &fs) {
			fs.Unknown = true
			fs.Notice = "the table does not answer: its rows, files and dead letters are not known"
		}
		out.Formats = append(out.Formats, fs)
	}
	return out
}

// hear has a format's tables say how they are. False: they do not answer.
func (s *sink) hear(ctx context.Context, wait *patience, fs *FormatStatus) bool {
	name := fs.Format
	var st tables.Status
	var p tables.Progress
	var known bool
	main := wait.ask(ctx, &s.unanswered, func(ctx context.Context) error {
		t, err := s.reopen(ctx, name, s.topic.Table)
		if err != nil {
			return err
		}
		if st, err = t.Status(ctx); err != nil {
			return err
		}
		p, err = t.Progress(ctx)
		known = err == nil
		return nil
	})
	if main == nil {
		fs.Status, fs.Notice = st, s.notice(st)
		if known {
			fs.Offsets = p.Offsets
		}
	}
	var letters int64
	dead := wait.ask(ctx, &s.unanswered, func(ctx context.Context) error {
		t, err := s.reopen(ctx, name, s.topic.Table+deadSuffix)
		if err != nil {
			return err
		}
		st, err := t.Status(ctx)
		letters = st.Rows
		return err
	})
	if dead == nil {
		fs.DeadLetters = letters
	}
	return !errors.Is(main, errNoAnswer) && !errors.Is(dead, errNoAnswer)
}
