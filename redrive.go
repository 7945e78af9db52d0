package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/sink/wiring"
)

// Limits of a redrive.
const (
	// redriveRead is how much of a dead-letter topic is looked at in one step:
	// each step is one commit.
	redriveRead = 256 << 10
	// redriveUnpacked bounds one decompressed batch, as the sink's reads do.
	redriveUnpacked = 128 << 20
	// redriveStep is how many dead letters one request looks at if nobody asks
	// for another number, and maxRedriveStep the most: an answer takes seconds,
	// and who stops in between loses nothing.
	redriveStep    = 10_000
	maxRedriveStep = 1_000_000
	// maxRedriven bounds the ranges of dead letters that are remembered as done,
	// for each partition: they lie in one item.
	maxRedriven = 20_000
)

// errRedrive refuses a redrive.
var errRedrive = errors.New("nothing to redrive")

// redriveAsk is how far a redrive goes.
type redriveAsk struct {
	dry   bool
	limit int64  // dead letters to look at; the batch with the last one is finished
	from  cursor // where to begin
}

// cursor is a place in a dead-letter topic, written as partition/offset.
type cursor struct {
	partition int32
	offset    int64
}

func (c cursor) String() string { return fmt.Sprintf("%d/%d", c.partition, c.offset) }

func parseCursor(text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	p, o, _ := strings.Cut(text, "/")
	partition, err := strconv.ParseInt(p, 10, 32)
	offset, offErr := strconv.ParseInt(o, 10, 64)
	if err != nil || offErr != nil || partition < 0 || offset < 0 {
		return cursor{}, fmt.Errorf("place %q is not PARTITION/OFFSET", text)
	}
	return cursor{int32(partition), offset}, nil
}

// redriven is what became of a topic's dead letters.
type redriven struct {
	Topic   string `json:"topic"`
	From    string `json:"from"`
	Looked  int64  `json:"looked"`        // dead letters of the topic that were looked at
	Passed  int64  `json:"passed"`        // fit now; produced again unless it was a dry run
	Invalid int64  `json:"still_invalid"` // stay where they are
	Earlier int64  `json:"earlier"`       // were produced again by an earlier run
	DryRun  bool   `json:"dry_run"`
	// Reason is why the last one that does not fit does not.
	Reason string `json:"reason,omitempty"`
	// Next is where to go on; "" if the end was reached.
	Next string `json:"next,omitempty"`
}

// done are the dead letters of a partition that were produced again: ranges of
// offsets, inclusive, ascending, with a gap between each two.
type done struct {
	Ranges [][2]int64 `json:"ranges"`
}

func (d *done) has(offset int64) bool {
	for _, r := range d.Ranges {
		if offset <= r[1] {
			return offset >= r[0]
		}
	}
	return false
}

// add appends an offset above all others, or one within a gap.
func (d *done) add(offset int64) {
	at := len(d.Ranges)
	for at > 0 && d.Ranges[at-1][0] > offset {
		at--
	}
	d.Ranges = append(d.Ranges, [2]int64{})
	copy(d.Ranges[at+1:], d.Ranges[at:])
	d.Ranges[at] = [2]int64{offset, offset}
	for at+1 < len(d.Ranges) && d.Ranges[at][1]+1 >= d.Ranges[at+1][0] {
		d.Ranges[at][1] = max(d.Ranges[at][1], d.Ranges[at+1][1])
		d.Ranges = append(d.Ranges[:at+1], d.Ranges[at+2:]...)
	}
	if at > 0 && d.Ranges[at-1][1]+1 >= d.Ranges[at][0] {
		d.Ranges[at-1][1] = max(d.Ranges[at-1][1], d.Ranges[at][1])
		d.Ranges = append(d.Ranges[:at], d.Ranges[at+1:]...)
	}
}

// forget drops what lies below a log's start.
func (d *done) forget(start int64) {
	for len(d.Ranges) > 0 && d.Ranges[0][1] < start {
		d.Ranges = d.Ranges[1:]
	}
}

// redrive holds the dead letters of a topic against its schema as it is now and
// produces those that fit to the partition they were meant for. What is produced
// and that it was are one commit, so a crash or a second run brings none twice.
// Records that still do not fit stay, for the next time. It stops when it has
// looked at as many as were asked for and says where to go on. Its errors wrap
// errRedrive where there is nothing to do, and commitlog.ErrConflict where
// another redrive runs.
func (n *node) redrive(ctx context.Context, name string, ask redriveAsk) (redriven, error) {
	v := n.broker.Topics().View()
	to := v.ByName(name)
	if to == nil {
		return redriven{}, fmt.Errorf("%w: no topic %q", errRedrive, name)
	}
	from := to.Config.DeadLetterTopic
	if from == "" {
		from = name + topic.DeadLetterSuffix
	}
	letters := v.ByName(from)
	if letters == nil || letters.ID == to.ID {
		return redriven{}, fmt.Errorf("%w: topic %q has no dead letters (topic %q)", errRedrive, name, from)
	}
	r := &redriver{node: n, to: to, from: letters, ask: ask, out: redriven{Topic: name, From: from, DryRun: ask.dry}}
	for p := ask.from.partition; p < letters.Partitions && r.out.Next == ""; p++ {
		if err := r.partition(ctx, storage.TP{Topic: letters.ID, Partition: p}); err != nil {
			return r.out, fmt.Errorf("partition %d of %q: %w", p, from, err)
		}
	}
	return r.out, nil
}

// redriveAPI redrives a topic's dead letters, as many as ?limit= says, from
// ?from= on.
func (n *node) redriveAPI(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	ask := redriveAsk{dry: q.Get("dry_run") == "true", limit: redriveStep}
	from, err := parseCursor(q.Get("from"))
	if word := q.Get("limit"); err == nil && word != "" {
		if ask.limit, err = strconv.ParseInt(word, 10, 64); err != nil || ask.limit < 1 || ask.limit > maxRedriveStep {
			err = fmt.Errorf("limit %q is not a number from 1 to %d", word, maxRedriveStep)
		}
	}
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: err.Error()})
		return
	}
	ask.from = from
	reply(w)(n.redrive(r.Context(), r.PathValue("topic"), ask))
}

// redriver is one redrive.
type redriver struct {
	*node
	to, from *topic.Topic
	ask      redriveAsk
	out      redriven
}

// partition goes through one partition of the dead-letter topic, up to where it
// ends now.
func (r *redriver) partition(ctx context.Context, tp storage.TP) error {
	log, err := r.broker.Logs().Log(ctx, tp)
	if err != nil {
		return err
	}
	key := fmt.Sprintf("redrive/%x/%x/%d", r.to.ID, tp.Topic, tp.Partition)
	it, err := r.engine.Get(ctx, key)
	if err != nil {
		return err
	}
	it.Key = key
	var d done
	if len(it.Value) > 0 {
		if err := json.Unmarshal(it.Value, &d); err != nil {
			return fmt.Errorf("stored item %s: %w", key, err)
		}
	}
	at, end := log.Bounds()
	d.forget(at)
	if tp.Partition == r.ask.from.partition {
		at = max(at, r.ask.from.offset)
	}
	for at < end {
		if r.out.Looked >= r.ask.limit {
			r.out.Next = cursor{tp.Partition, at}.String()
			return nil
		}
		b, err := log.Read(ctx, at, redriveRead, end)
		if err != nil || len(b) == 0 {
			return err
		}
		for h, one := range storage.Batches(b) {
			if h.LastOffset() < at {
				continue
			}
			if !h.Control() {
				if err := r.batch(ctx, one, &d, &it); err != nil {
					return err
				}
			}
			if at = h.LastOffset() + 1; r.out.Looked >= r.ask.limit {
				break
			}
		}
	}
	return nil
}

// batch judges the dead letters of one batch: one entry for each partition that
// they were meant for.
func (r *redriver) batch(ctx context.Context, b []byte, d *done, it *storage.Item) error {
	var rd record.Reader
	if err := rd.Reset(b, redriveUnpacked); err != nil {
		return err
	}
	by := map[int32]*letters{}
	var order []*letters
	for rd.Next() {
		rec := rd.Record()
		p, ours := r.home(rec)
		switch {
		case !ours:
			continue
		case d.has(rec.Offset):
			r.out.Looked++
			r.out.Earlier++
			continue
		}
		l := by[p]
		if l == nil {
			l = &letters{partition: p, batch: record.NewBuilder(record.Options{})}
			by[p] = l
			order = append(order, l)
		}
		l.add(rec)
		r.out.Looked++
	}
	if err := rd.Err(); err != nil {
		return err
	}
	for _, l := range order {
		if err := r.produce(ctx, l, d, it); err != nil {
			return err
		}
	}
	return nil
}

// home is the partition that a dead letter was meant for; ours is false for
// those of another topic.
func (r *redriver) home(rec *record.Record) (partition int32, ours bool) {
	if name, ok := rec.HeaderLast("tarn.invalid.topic"); !ok || string(name) != r.to.Name {
		return 0, false
	}
	word, _ := rec.HeaderLast("tarn.invalid.partition")
	p, err := strconv.ParseInt(string(word), 10, 32)
	return int32(p), err == nil && p >= 0 && int32(p) < r.to.Partitions
}

// letters are dead letters of one batch for one partition, as they came.
type letters struct {
	partition int32
	batch     *record.Builder
	offsets   []int64
}

func (l *letters) add(rec *record.Record) {
	var headers []record.RecordHeader
	for key, value := range rec.Headers() {
		if !strings.HasPrefix(string(key), "tarn.invalid.") {
			headers = append(headers, record.RecordHeader{Key: string(key), Value: value})
		}
	}
	l.batch.Append(rec.Timestamp, rec.Key, rec.Value, headers...)
	l.offsets = append(l.offsets, rec.Offset)
}

// produce checks letters and commits those that fit, together with what says so.
func (r *redriver) produce(ctx context.Context, l *letters, d *done, it *storage.Item) error {
	raw, err := l.batch.Bytes()
	if err != nil {
		return err
	}
	var rd record.Reader
	if err := rd.Reset(raw, math.MaxInt32); err != nil {
		return err
	}
	bad, err := r.validator.Check(wiring.Rules(r.to, len(l.offsets)), &rd, validate.Origin{ClientID: "tarn topic redrive"})
	if err != nil {
		return err
	}
	if n := len(bad); n > 0 {
		r.out.Invalid += int64(n)
		r.out.Reason = bad[n-1].Message()
	}
	passed := int64(len(l.offsets) - len(bad))
	if r.out.Passed += passed; r.out.DryRun || passed == 0 {
		return nil
	}
	good := record.NewBuilder(record.Options{})
	rd.Rewind()
	for i := int32(0); rd.Next(); i++ {
		if len(bad) > 0 && bad[0].Index == i {
			bad = bad[1:]
			continue
		}
		one := *rd.Record()
		one.OffsetDelta = int32(good.Len())
		good.AppendRecord(&one)
		d.add(l.offsets[i])
	}
	if err := rd.Err(); err != nil {
		return err
	}
	return r.commit(ctx, l.partition, good, d, it)
}

func (r *redriver) commit(ctx context.Context, partition int32, good *record.Builder, d *done, it *storage.Item) error {
	if len(d.Ranges) > maxRedriven {
		return fmt.Errorf("%w: more than %d ranges of dead letters were produced again; consume or delete the rest", errRedrive, maxRedriven)
	}
	raw, err := good.Bytes()
	if err != nil {
		return err
	}
	h, err := record.ParseHeader(raw)
	if err != nil {
		return err
	}
	value, err := json.Marshal(d)
	if err != nil {
		return err
	}
	items := []storage.Item{{Key: it.Key, Value: value, Version: it.Version}}
	wait, err := r.broker.Logs().Append(ctx, commitlog.Entry{
		Batches: []commitlog.Batch{{
			TP:    storage.TP{Topic: r.to.ID, Partition: partition},
			Bytes: raw, Header: h, Stamp: r.to.Config.LogAppendTime,
		}},
		Items: items,
	})
	if err != nil {
		return err
	}
	if _, err := wait(ctx); err != nil {
		return err
	}
	it.Version = items[0].Version
	return nil
}
