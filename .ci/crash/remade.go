package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/.ci/process"
)

const (
	remadeName       = "remade"
	remadePartitions = 2
	// maxGenerations bounds how often the topic is made: each leaves tables.
	maxGenerations = 300
)

// remade is a topic that is deleted and made again under its name while the broker
// is killed. Each generation has tables of its own. Every third finds those of the
// one before under the name that it asks for, must leave them alone, and gets
// another name then.
type remade struct {
	kafka    string
	schemaID int
	api      *process.API

	mu    sync.Mutex // held by run while it changes something, and by verify
	all   []*generation
	wrong []error
}

// generation is one life of the topic.
type generation struct {
	number  int
	table   string
	ledger  *ledger
	client  *kgo.Client
	deleted bool
	full    bool           // all that was acknowledged was flushed into its tables
	looks   int            // verifications since it was deleted
	rows    map[string]int // by format, at the last look
}

// run makes, fills and deletes the topic until ctx ends.
func (x *remade) run(ctx context.Context, l *load, rng *rand.Rand) {
	for ctx.Err() == nil {
		l.gate.while(func() {
			x.mu.Lock()
			defer x.mu.Unlock()
			g := x.current()
			if g == nil || len(x.all) < maxGenerations && rng.IntN(10) == 0 {
				var err error
				if g, err = x.remake(ctx, g, rng); err != nil {
					x.complain(ctx, err)
					return
				}
			}
			x.fill(ctx, l, g, rng)
		})
		pause(ctx, time.Duration(rng.IntN(150))*time.Millisecond)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if g := x.current(); g != nil {
		g.client.Close()
	}
}

// current is the generation that there is; nil before the first.
func (x *remade) current() *generation {
	if len(x.all) == 0 {
		return nil
	}
	return x.all[len(x.all)-1]
}

func (x *remade) complain(ctx context.Context, err error) {
	if ctx.Err() == nil && len(x.wrong) < maxComplaints {
		x.wrong = append(x.wrong, err)
	}
}

// fill produces some records and waits for their acknowledgements.
func (x *remade) fill(ctx context.Context, l *load, g *generation, rng *rand.Rand) {
	for range 1 + rng.IntN(40) {
		id := g.ledger.next(g.number)
		r := &kgo.Record{Topic: remadeName, Partition: rng.Int32N(remadePartitions), Value: encode(x.schemaID, id, padding(rng))}
		g.client.Produce(ctx, r, func(r *kgo.Record, err error) { l.answered(ctx, g.ledger, id, r, err) })
	}
	if err := g.client.Flush(ctx); err != nil {
		x.complain(ctx, err)
	}
}

// remake deletes the topic and makes it again.
func (x *remade) remake(ctx context.Context, old *generation, rng *rand.Rand) (*generation, error) {
	g := &generation{number: 1, ledger: newLedger(), rows: map[string]int{}}
	if old != nil {
		g.number = old.number + 1
	}
	g.table = fmt.Sprintf("%s_%d", remadeName, g.number)
	taken := g.number%3 == 0 // the table before has rows, then
	if old != nil {
		if taken || rng.IntN(3) == 0 {
			if err := x.patiently(ctx, func() error { return x.api.Flush(ctx, remadeName) }); err != nil {
				return nil, fmt.Errorf("flush generation %d: %w", old.number, err)
			}
			old.full = true
		}
		old.client.Close()
		if err := x.remove(ctx); err != nil {
			return nil, fmt.Errorf("delete generation %d: %w", old.number, err)
		}
		old.deleted = true
	}
	name := g.table
	if taken {
		name = old.table
	}
	if err := x.create(ctx, name); err != nil {
		return nil, fmt.Errorf("make generation %d: %w", g.number, err)
	}
	if taken {
		if err := x.refused(ctx, g.table); err != nil {
			return nil, fmt.Errorf("generation %d with the table of another: %w", g.number, err)
		}
	}
	var err error
	if g.client, err = producerClient(x.kafka); err != nil {
		return nil, err
	}
	x.all = append(x.all, g)
	return g, nil
}

// patiently tries through kills.
func (x *remade) patiently(ctx context.Context, f func() error) error {
	limited, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	for {
		err := f()
		if err == nil || limited.Err() != nil {
			return err
		}
		pause(limited, 50*time.Millisecond)
	}
}

// remove deletes the topic. A try that was cut off may have deleted it.
func (x *remade) remove(ctx context.Context) error {
	cl, err := client(x.kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	err = x.patiently(ctx, func() error {
		_, err := adm.DeleteTopic(ctx, remadeName)
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return x.patiently(ctx, func() error { // it stays deleted, whatever is killed
		topics, err := adm.ListTopics(ctx, remadeName)
		if err == nil && !errors.Is(topics[remadeName].Err, kerr.UnknownTopicOrPartition) {
			err = fmt.Errorf("it is still there: %w", topics[remadeName].Err)
		}
		return err
	})
}

// create makes the topic, whose log must be empty. A try that was cut off may have
// made it.
func (x *remade) create(ctx context.Context, table string) error {
	config := map[string]string{"tarn.table.name": table}
	maps.Copy(config, checked)
	err := x.patiently(ctx, func() error {
		err := createTopic(ctx, x.kafka, remadeName, remadePartitions, config)
		if errors.Is(err, kerr.TopicAlreadyExists) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	cl, err := client(x.kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	var ends kadm.ListedOffsets
	err = x.patiently(ctx, func() (err error) {
		if ends, err = kadm.NewClient(cl).ListEndOffsets(ctx, remadeName); err == nil {
			err = ends.Error()
		}
		return err
	})
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset != 0 {
			err = errors.Join(err, fmt.Errorf("the new log of partition %d ends at %d", o.Partition, o.Offset))
		}
	})
	return err
}

// refused wants the tables to be told apart from the log, and names others.
func (x *remade) refused(ctx context.Context, table string) error {
	err := x.patiently(ctx, func() error {
		status, err := x.api.Tables(ctx, remadeName)
		if err == nil && status.State != "log_replaced" {
			err = fmt.Errorf("the state is %s and not log_replaced: %s", status.State, status.Message)
		}
		return err
	})
	if err != nil {
		return err
	}
	return x.patiently(ctx, func() error {
		return alter(ctx, x.kafka, remadeName, map[string]string{"tarn.table.name": table})
	})
}

// verify checks the generation that there is as any topic, and that the tables of
// those before hold what they held, from their own log and none else.
func (x *remade) verify(ctx context.Context, api *process.API, warehouse string, check func(string, error)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	check("making the topic again", errors.Join(x.wrong...))
	for _, g := range x.all {
		if g.deleted && g.looks < 2 {
			check(fmt.Sprintf("the tables of generation %d", g.number), g.look(ctx, api, warehouse))
			g.looks++
		}
	}
	g := x.current()
	if g == nil || g.deleted {
		return // it was cut off, and that is told above
	}
	check("answers of the topic made again", errors.Join(g.ledger.complaints()...))
	log := make(copyLog, remadePartitions)
	err := readAll(ctx, x.kafka, remadeName, remadePartitions, log.add)
	if check("reading the topic made again", err); err != nil {
		return
	}
	check("the log made again", g.ledger.compare(log))
	check("flush of the topic made again", api.Flush(ctx, remadeName))
	report, err := api.Verify(ctx, remadeName)
	if err == nil && report.Verdict != "ok" {
		err = fmt.Errorf("the broker says %+v", report)
	}
	check("table verify of the topic made again", err)
	for _, format := range formats {
		rows, err := tableRows(ctx, api, warehouse, g.table, format, fromColumns)
		if err == nil {
			err = compareRows(rows, log.places())
		}
		check("the "+format+" table of the topic made again", err)
	}
}

// look checks the tables of a generation that is deleted.
func (g *generation) look(ctx context.Context, api *process.API, warehouse string) error {
	for _, format := range formats {
		rows, err := tableRows(ctx, api, warehouse, g.table, format, fromColumns)
		if err != nil && !g.full && g.rows[format] == 0 && strings.Contains(err.Error(), http.StatusText(http.StatusNotFound)) {
			continue // it was deleted before it had any
		}
		if err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
		log, err := dense(rows, remadePartitions)
		if err == nil {
			err = g.ledger.compareStart(log, g.full)
		}
		if err == nil && g.looks > 0 && len(rows) != g.rows[format] {
			err = fmt.Errorf("there are %d rows where %d were when the topic was deleted already", len(rows), g.rows[format])
		}
		if err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
		g.rows[format] = len(rows)
	}
	return nil
}

// compareStart is compare for the start of a log, as far as it is known.
func (l *ledger) compareStart(log copyLog, whole bool) error {
	if whole {
		return l.compare(log)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for part, ids := range log {
		for offset, id := range ids {
			sent := l.sent[id.producer()]
			if id.seq() >= int64(len(sent)) {
				return fmt.Errorf("partition %d offset %d holds %s, which was never sent here", part, offset, id)
			}
			if at := sent[id.seq()]; at != unknown && at != (place{int32(part), int64(offset)}) {
				return fmt.Errorf("partition %d offset %d holds %s, which was acknowledged at partition %d offset %d", part, offset, id, at.partition, at.offset)
			}
		}
	}
	return nil
}

// progress says how often the topic was made.
func (x *remade) progress() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	records := int64(0)
	for _, g := range x.all {
		records += g.ledger.acknowledged()
	}
	return fmt.Sprintf("%s %d in %d generations", remadeName, records, len(x.all))
}
