package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/.ci/process"
)

// expected is what a topic's tables should hold, by the log.
type expected struct {
	rows    map[place]identity
	keys    map[place]string // of rows, in tables of latest values
	past    map[place]bool   // rows that may be gone, for their time is over
	letters map[place]identity
}

// read reads a topic's log and works out what the tables should hold.
func (k *kindLoad) read(ctx context.Context, kafka string) (copyLog, expected, error) {
	log := make(copyLog, k.partitions)
	want := expected{map[place]identity{}, map[place]string{}, map[place]bool{}, map[place]identity{}}
	latest := map[string]place{}
	err := readAll(ctx, kafka, k.name, k.partitions, func(r *kgo.Record) error {
		id, err := identityOf(r)
		if err == nil {
			err = log.place(r, id)
		}
		if err != nil {
			return err
		}
		at := place{r.Partition, r.Offset}
		want.past[at] = k.expires != nil && k.expires(r)
		switch {
		case k.lettered != nil && k.lettered(r):
			want.letters[at] = id
		case k.key == nil:
			want.rows[at] = id
		default:
			key := k.key(r)
			if before, ok := latest[key]; ok {
				delete(want.rows, before)
			}
			if delete(latest, key); !k.deletes(r) {
				latest[key], want.rows[at], want.keys[at] = at, id, key
			}
		}
		return nil
	})
	return log, want, err
}

// deletes reports whether a record takes its key's row away.
func (k *kind) deletes(r *kgo.Record) bool {
	if k.gone != nil {
		return k.gone(r)
	}
	return r.Value == nil
}

func identityOf(r *kgo.Record) (identity, error) {
	for _, h := range r.Headers {
		if h.Key == idHeader {
			return parseIdentity(h.Value)
		}
	}
	return 0, fmt.Errorf("partition %d offset %d has no header %s", r.Partition, r.Offset, idHeader)
}

// verify checks logs and tables of all kinds. Their producers are held up, and
// everything they sent is acknowledged.
func (v *variety) verify(ctx context.Context, api *process.API, warehouse string, check func(string, error)) {
	for _, k := range v.kinds {
		k.verify(ctx, v.kafka, api, warehouse, func(what string, err error) { check(what+" of "+k.name, err) })
	}
}

func (k *kindLoad) verify(ctx context.Context, kafka string, api *process.API, warehouse string, check func(string, error)) {
	check("answers", errors.Join(k.ledger.complaints()...))
	if k.compacts {
		check("the end of the log", k.fence(ctx, kafka))
	}
	check("flush", api.Flush(ctx, k.name))
	k.tend(ctx, kafka, api, check)
	report, err := api.Verify(ctx, k.name)
	if err == nil && (report.Verdict != "ok" || len(report.Formats) != len(k.formats)) {
		err = fmt.Errorf("the broker says %+v", report)
	}
	check("table verify", err)
	if k.compacts {
		k.verifyCompacted(ctx, kafka, api, warehouse, check)
		return
	}
	var want expected
	if !k.trims {
		log, w, err := k.read(ctx, kafka)
		if check("reading the log", err); err != nil {
			return
		}
		check("the log", k.ledger.compare(log))
		want = w
	}
	for _, format := range k.formats {
		rows, err := k.rows(ctx, api, warehouse, format, "")
		if err == nil {
			if k.trims {
				err = k.compareAcknowledged(rows)
			} else {
				err = want.compare(rows, k.column)
			}
		}
		check("the "+format+" table", err)
		if k.mends == nil && (k.lettered == nil || len(want.letters) == 0) {
			continue
		}
		letters, err := k.rows(ctx, api, warehouse, format, lettersSuffix)
		if err == nil {
			err = compareRows(letters, want.letters)
		}
		check("the dead letters in "+format, err)
	}
	if k.mends != nil { // so that there are letters again
		check("a config that makes dead letters", alter(ctx, kafka, k.name, k.changes[0]))
	}
}

// tend has the broker finish what kills may have cut off, or do what a kind is about,
// with nobody in the way.
func (k *kindLoad) tend(ctx context.Context, kafka string, api *process.API, check func(string, error)) {
	ask := func(verb string, out any) error {
		return api.Call(ctx, http.MethodPost, "/api/tables/"+k.name+"/"+verb, nil, out)
	}
	k.turns++
	odd := k.turns%2 == 1
	if k.mends != nil {
		check("a config that makes no dead letters", alter(ctx, kafka, k.name, k.mends))
		if odd {
			check("redrive", k.redrive(ctx, ask))
		}
	}
	if k.rebuilt && (k.mends == nil) == odd {
		check("rebuild", ask("rebuild", nil))
	}
	if k.expires != nil {
		check("compact", ask("compact", nil)) // which takes out rows past their time
	}
}

// redrive redrives until no letter is left: the topic's configs come to the sink a
// moment after they are set.
func (k *kindLoad) redrive(ctx context.Context, ask func(string, any) error) error {
	limit := time.Now().Add(readyLimit)
	for {
		var done map[string]struct {
			Letters, Rows, Left int64
		}
		if err := ask("redrive", &done); err != nil {
			return err
		}
		left := int64(0)
		for _, d := range done {
			left += d.Left
		}
		switch {
		case left == 0:
			return nil
		case time.Now().After(limit):
			return fmt.Errorf("letters are left that no record should be: %+v", done)
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// compare holds the rows of a table against the log: each there once, under its key,
// and those past their time gone where a whole file is.
func (e expected) compare(rows []row, column string) error {
	want, fresh := map[place]identity{}, map[string]bool{}
	for at, id := range e.rows {
		if !e.past[at] {
			want[at] = id
		}
	}
	for _, r := range rows {
		at := place{r.partition, r.offset}
		if id, ok := e.rows[at]; ok {
			want[at] = id
		}
		if column != "" && r.key != e.keys[at] {
			return fmt.Errorf("%s holds partition %d offset %d with the key %q, by the log it is %q", r.file, at.partition, at.offset, r.key, e.keys[at])
		}
		fresh[r.file] = fresh[r.file] || !e.past[at]
	}
	for file, ok := range fresh {
		if !ok {
			return fmt.Errorf("%s is there, and all its rows are past their time", file)
		}
	}
	return compareRows(rows, want)
}

// lettersSuffix is what the name of a table of dead letters adds.
const lettersSuffix = "__dead_letters"

func (k *kindLoad) rows(ctx context.Context, api *process.API, warehouse, format, suffix string) ([]row, error) {
	from := fromColumns
	switch {
	case suffix != "", k.compacts:
		from = fromHeaders
	case k.bare:
		from = fromValue
	}
	if suffix == "" {
		from.key = k.column
	}
	return tableRows(ctx, api, warehouse, k.name+suffix, format, from)
}

// compareAcknowledged holds a table against what was acknowledged, for a log that
// is not there any more: the rows must make up a log as one could have read it.
func (k *kindLoad) compareAcknowledged(rows []row) error {
	log, err := dense(rows, k.partitions)
	if err != nil {
		return err
	}
	return k.ledger.compare(log)
}

// dense makes a log of the rows of a table that has a row for each record.
func dense(rows []row, partitions int32) (copyLog, error) {
	slices.SortFunc(rows, func(a, b row) int { return int(a.offset - b.offset) })
	log := make(copyLog, partitions)
	for _, r := range rows {
		if want := int64(len(log[r.partition])); r.offset != want {
			return nil, fmt.Errorf("the table has partition %d offset %d where %d is due", r.partition, r.offset, want)
		}
		log[r.partition] = append(log[r.partition], r.id)
	}
	return log, nil
}
