package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// sink copies one topic into its tables. Fields below run are owned by its
// goroutine.
type sink struct {
	topic       Topic
	logs        *commitlog.Logs
	registry    *registry.Registry
	formats     map[string]tables.Format
	store       blob.Store
	items       tables.Items
	incarnation string
	namespace   string
	lg          *slog.Logger
	now         func() time.Time

	flushes chan *flush   // requests
	status  *statusBoard  // what others may see
	done    chan struct{} // closed when run has ended
	opened  openTables    // what others may read

	loaded        bool
	tables        map[string]tables.Table
	deadTables    map[string]tables.Table
	schema        *tables.Schema // of the newest entry; nil until it is known
	schemaVersion int64          // of its item; 0: not stored
	keySchema     bool           // the key's subject has a schema
	pending       []*entry
	seq           int64
	waiting       []*flush  // flushes not answered yet
	behindSince   time.Time // when the backlog was first seen; zero: none
	recordBytes   int64     // mean size of a record in the last cut
	latest        offsets   // where new tables begin if asked to begin at the end
}

// flush asks for everything below target to be committed.
type flush struct {
	target offsets // set by the sink at its first look
	begun  int64   // rows committed before
	answer chan flushAnswer
}

type flushAnswer struct {
	flushed Flushed
	err     error
}

// run goes on until ctx ends. Errors are shown in the status and tried again.
func (s *sink) run(ctx context.Context) {
	defer close(s.done)
	defer s.refuseFlushes(errors.New("the sink has stopped"))
	w := commitlog.NewWaiter()
	defer s.watch(ctx, w)()
	retry := firstRetry
	for ctx.Err() == nil {
		changed := s.registry.Changed()
		err := s.step(ctx)
		if ctx.Err() != nil {
			return
		}
		s.report(ctx, err)
		s.answerFlushes(ctx, err)
		pause := s.pause(ctx)
		if err != nil {
			pause, retry = retry, min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		s.wait(ctx, w, changed, pause)
	}
}

// watch wakes w when any partition advances, and returns its end.
func (s *sink) watch(ctx context.Context, w *commitlog.Waiter) (end func()) {
	var logs []*commitlog.Log
	for p := range s.topic.Partitions {
		if log, err := s.log(ctx, p); err == nil {
			log.Watch(w)
			logs = append(logs, log)
		}
	}
	return func() {
		for _, log := range logs {
			log.Unwatch(w)
		}
	}
}

// wait sleeps until there may be something to do. While a backlog waits for its
// time appends do not wake the sink: only its size is looked at now and then.
func (s *sink) wait(ctx context.Context, w *commitlog.Waiter, registered <-chan struct{}, pause time.Duration) {
	var timer <-chan time.Time
	if pause >= 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		timer = t.C
	}
	appended := w.C
	if pause >= 0 {
		appended = nil
	}
	if len(s.tables) > 0 {
		registered = nil // a new version matters when a record uses it
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case <-appended:
	case <-registered:
	case f := <-s.flushes:
		s.waiting = append(s.waiting, f)
	}
	for { // take all that came together
		select {
		case f := <-s.flushes:
			s.waiting = append(s.waiting, f)
		default:
			return
		}
	}
}

// pause is how long the sink may sleep: negative for until something happens.
func (s *sink) pause(ctx context.Context) time.Duration {
	if s.behindSince.IsZero() {
		return -1
	}
	left := s.behindSince.Add(s.topic.CommitInterval).Sub(s.now())
	return max(0, min(left, checkEvery))
}

// step does all there is to do now: open tables, finish what is pending, and
// cut as long as a cut is due.
func (s *sink) step(ctx context.Context) error {
	if err := s.aim(ctx); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	failed := s.finish(ctx)
	for ctx.Err() == nil {
		var stop *stopError
		if errors.As(failed, &stop) || len(s.pending) >= maxPending {
			return failed
		}
		due, err := s.due(ctx)
		if err != nil || !due {
			return errors.Join(failed, err)
		}
		if err := s.cut(ctx); err != nil {
			return errors.Join(failed, err)
		}
		failed = s.finish(ctx)
		if failed != nil && len(s.waiting) > 0 {
			return failed // a flush is answered with the error, not kept waiting
		}
	}
	return failed
}

// errNoSchema says that the tables cannot be made yet.
var errNoSchema = errors.New("no schema is registered")

// open loads what is stored and opens the tables, once. New tables need to
// know their columns: until the subject has a schema there are none.
func (s *sink) open(ctx context.Context) error {
	if !s.loaded {
		if err := s.load(ctx); err != nil {
			return err
		}
		s.loaded = true
	}
	if len(s.tables) > 0 {
		return nil
	}
	first, err := s.firstSchema()
	if err != nil {
		return err
	}
	if s.schema == nil {
		s.schema = first
	}
	opened := map[string]tables.Table{}
	for _, name := range s.topic.Formats {
		f, ok := s.formats[name]
		if !ok {
			return fmt.Errorf("table format %q is not there", name)
		}
		t, err := f.Open(ctx, tables.Spec{
			Namespace: s.namespace, Name: s.topic.Table, Schema: s.schema,
			Comment: fmt.Sprintf("Kafka topic %s, written by Tarn", s.topic.Name),
		})
		if err != nil {
			return fmt.Errorf("open %s table %s: %w", name, s.topic.Table, err)
		}
		opened[name] = t
	}
	s.tables = opened
	for name, t := range opened {
		s.opened.put(name, s.topic.Table, t)
	}
	return nil
}

// firstSchema makes the table's schema of the newest registered versions.
func (s *sink) firstSchema() (*tables.Schema, error) {
	value, err := s.latestDecoder(s.topic.ValueSubject)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, &stopError{WaitingForSchema, fmt.Errorf("%w for subject %s: register one, the tables are made then", errNoSchema, s.topic.ValueSubject)}
	}
	key, err := s.latestDecoder(s.topic.KeySubject)
	if err != nil {
		return nil, err
	}
	s.keySchema = key != nil
	sch, err := tables.NewSchema(tableColumns(key, value, s.topic.JSONExtra))
	if err != nil {
		return nil, fmt.Errorf("schema of %s has no table form: %w", s.topic.ValueSubject, err)
	}
	return sch, nil
}

// latestDecoder is the decoder of a subject's newest version, nil if it has
// none.
func (s *sink) latestDecoder(subject string) (schema.Decoder, error) {
	v, ok := s.registry.Latest(subject)
	if !ok {
		return nil, nil
	}
	sch, err := s.registry.Schema(v.ID)
	if err != nil {
		return nil, fmt.Errorf("schema of %s version %d: %w", subject, v.Version, err)
	}
	d, err := sch.Decoder(nil)
	if err != nil {
		return nil, fmt.Errorf("schema of %s version %d has no table form: %w", subject, v.Version, err)
	}
	return d, nil
}

// deadTable opens a format's table of dead letters.
func (s *sink) deadTable(ctx context.Context, format string) (tables.Table, error) {
	if t, ok := s.deadTables[format]; ok {
		return t, nil
	}
	sch, err := tables.NewSchema(deadColumns())
	if err != nil {
		return nil, fmt.Errorf("dead letter columns: %w", err)
	}
	t, err := s.formats[format].Open(ctx, tables.Spec{
		Namespace: s.namespace, Name: s.topic.Table + deadSuffix, Schema: sch,
		Comment: fmt.Sprintf("Records of Kafka topic %s that could not become rows, written by Tarn", s.topic.Name),
	})
	if err != nil {
		return nil, fmt.Errorf("open %s table of dead letters: %w", format, err)
	}
	s.deadTables[format] = t
	s.opened.put(format, s.topic.Table+deadSuffix, t)
	return t, nil
}

// cut reads, encodes and stores the next piece of the log as a pending entry.
func (s *sink) cut(ctx context.Context) error {
	lane, err := s.lane(ctx)
	if err != nil {
		return err
	}
	c := s.newCut(lane.from)
	if err := c.read(ctx, lane.limit); err != nil {
		return err
	}
	if c.rows == 0 && maps.Equal(c.from, c.to) {
		s.behindSince = time.Time{}
		return nil
	}
	e := &entry{
		Seq: s.seq + 1, ID: uuid.NewString(), From: c.from, To: c.to, Schema: c.schema,
		Formats: map[string]entryFormat{}, MadeMs: s.now().UnixMilli(),
	}
	main, dead, err := s.placeAll(ctx, c, lane.tables, e)
	if err != nil {
		return err
	}
	for name := range lane.tables {
		expect := lane.progress[name]
		e.Formats[name] = entryFormat{
			Expect: expect, Progress: s.advance(expect, c.to, c.gaps), File: main[name], DeadFile: dead[name],
		}
	}
	if err := s.save(ctx, e); err != nil {
		return err
	}
	if c.rows > 0 {
		s.recordBytes = max(1, c.bytes/c.rows)
	}
	s.behindSince = time.Time{}
	return nil
}

// placeAll writes the data files of a cut.
func (s *sink) placeAll(ctx context.Context, c *cut, to map[string]tables.Table, e *entry) (main, dead map[string]*tables.DataFile, err error) {
	rows, err := c.batches()
	if err != nil {
		return nil, nil, err
	}
	for _, b := range rows {
		e.Rows += b.NumRows()
	}
	if len(rows) > 0 {
		if main, err = s.place(ctx, c.schema, rows, to, s.fileName("data", c.from), c.ranges()); err != nil {
			return nil, nil, err
		}
	}
	if c.dead == nil || c.dead.Len() == 0 {
		return main, nil, nil
	}
	e.Dead = int64(c.dead.Len())
	deadTo := map[string]tables.Table{}
	for name := range to {
		if deadTo[name], err = s.deadTable(ctx, name); err != nil {
			return nil, nil, err
		}
	}
	sch := deadTo[slices.Sorted(maps.Keys(deadTo))[0]].Schema()
	b, err := tables.Project(c.dead.Batch(), sch)
	if err != nil {
		return nil, nil, fmt.Errorf("fit dead letters to their table: %w", err)
	}
	dead, err = s.place(ctx, sch, batchList(b), deadTo, s.fileName("dead", c.from), c.ranges())
	return main, dead, err
}
