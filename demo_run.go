package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

const (
	// demoUsers are there before anybody orders: documents refer to so many.
	demoUsers = 100
	// demoTick is how often records are sent: often enough to look steady.
	demoTick = 100 * time.Millisecond
)

// produce sends records at the demo's rate until ctx ends.
func (d *demo) produce(ctx context.Context) error {
	random := rand.New(rand.NewPCG(d.cmd.Seed, 1))
	for range demoUsers {
		if err := d.send(ctx, d.streams[1]); err != nil {
			return err
		}
	}
	tick := time.NewTicker(demoTick)
	defer tick.Stop()
	var bad <-chan time.Time
	if d.cmd.BadEvery > 0 {
		every := time.NewTicker(d.cmd.BadEvery)
		defer every.Stop()
		bad = every.C
	}
	evolve := time.After(d.cmd.EvolveAfter)
	due := 0.0
	for {
		select {
		case <-ctx.Done():
			flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
			defer cancel()
			return d.client.Flush(flush)
		case <-tick.C:
			for due += float64(d.cmd.Rate) * demoTick.Seconds(); due >= 1; due-- {
				if err := d.send(ctx, d.choose(random.IntN(100))); err != nil {
					return err
				}
			}
		case <-bad:
			if err := d.misbehave(ctx, random.IntN(2) == 0); err != nil {
				return err
			}
		case <-evolve:
			if err := d.evolve(ctx); err != nil {
				return err
			}
		}
	}
}

// choose is the stream of a number below a hundred.
func (d *demo) choose(n int) *stream {
	for _, s := range d.streams {
		if n -= s.share; n < 0 {
			return s
		}
	}
	return d.streams[0]
}

func (d *demo) send(ctx context.Context, s *stream) error {
	r, err := d.record(ctx, s)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	d.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err == nil {
			d.sent.Add(1)
		}
	})
	return nil
}

// misbehave sends a record as a program with a defect would: an order cut short, or a
// click whose page is a number.
func (d *demo) misbehave(ctx context.Context, order bool) error {
	s := d.streams[2]
	if order {
		s = d.streams[0]
	}
	r, err := d.record(ctx, s)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if order {
		r.Value = r.Value[:len(r.Value)-5]
	} else {
		r.Value = append(r.Value[:5:5], `{"user_id":"user-000007","page":42,"action":"view","at":"just now"}`...)
	}
	switch err := d.rude.ProduceSync(ctx, r).FirstErr(); {
	case errors.Is(err, kerr.InvalidRecord):
		d.bad.Add(1)
	case err == nil:
		return fmt.Errorf("a record that does not fit was taken into %s: has somebody set tarn.value.schema.validation?", s.topic)
	case ctx.Err() == nil:
		return fmt.Errorf("send a record that does not fit to %s: %w", s.topic, err)
	}
	return nil
}

// evolve registers the second version of orders.
func (d *demo) evolve(ctx context.Context) error {
	s := d.streams[0]
	got, err := d.registry.CreateSchema(ctx, s.topic+"-value", sr.Schema{Schema: ordersV2, Type: sr.TypeAvro})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("register the second version of %s-value: %w", s.topic, err)
	}
	fmt.Fprintf(d.std.out, "%s-value version %d: orders have a coupon now, and their tables a column\n", s.topic, got.Version)
	return d.follow(ctx, s)
}

// bill is the slow group: it reads fewer orders than come, and catches up once a
// minute.
func (d *demo) bill(ctx context.Context) error {
	cl, err := d.cmd.kafka(ctx, kgo.ConsumerGroup(d.group()), kgo.ConsumeTopics(d.streams[0].topic), kgo.DisableAutoCommit(),
		kgo.ClientID("billing"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	slow := max(1, d.cmd.Rate*d.streams[0].share*6/1000) // 60 % of what comes
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		most := slow
		if n%60 == 0 {
			most = 100 * d.cmd.Rate
		}
		wait, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		got := cl.PollRecords(wait, most).Records()
		cancel()
		// Billing is no reason to end the demo: next time.
		_ = cl.CommitRecords(ctx, got...)
		if lags, err := adm.Lag(ctx, d.group()); err == nil {
			lags.Each(func(l kadm.DescribedGroupLag) { d.behind.Store(l.Lag.Total()) })
		}
	}
}

// clean deletes what demos have made, and nothing else.
func (c *demoCmd) clean(ctx context.Context, std stdio) error {
	reg, err := c.registry()
	if err != nil {
		return err
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	var failed []error
	for _, s := range c.streams() {
		ours, there, err := c.ours(ctx, reg, s.topic)
		switch {
		case err != nil:
			failed = append(failed, err)
		case !there:
		case !ours:
			fmt.Fprintf(std.out, "%s is not the demo's and stays\n", s.topic)
		default:
			if err := c.cleanTopic(ctx, adm, reg, s.topic); err != nil {
				failed = append(failed, fmt.Errorf("delete %s: %w", s.topic, err))
				continue
			}
			fmt.Fprintf(std.out, "%s deleted: topic, tables and schema\n", s.topic)
		}
	}
	group := c.Prefix + "billing"
	answer, err := adm.DeleteGroup(ctx, group)
	switch {
	case err == nil && answer.Err == nil:
		fmt.Fprintf(std.out, "%s deleted: group\n", group)
	case errors.Is(errors.Join(err, answer.Err), kerr.GroupIDNotFound):
	default:
		failed = append(failed, fmt.Errorf("delete group %s: %w", group, errors.Join(err, answer.Err)))
	}
	return errors.Join(failed...)
}

// cleanTopic deletes a topic, then its tables, and its schema last: by that the demo
// knows what is its own, so what fails can be done again.
func (c *demoCmd) cleanTopic(ctx context.Context, adm *kadm.Client, reg *sr.Client, topic string) error {
	if err := c.deleteWithTables(ctx, adm, topic); err != nil {
		return err
	}
	for _, how := range []sr.DeleteHow{sr.SoftDelete, sr.HardDelete} {
		if _, err := reg.DeleteSubject(ctx, topic+"-value", how); err != nil {
			return err
		}
	}
	return nil
}

// sinkGone waits until nobody writes the tables of a deleted topic any more.
func (c *connect) sinkGone(ctx context.Context, at string) error {
	tick := time.NewTicker(demoBeat / 10)
	defer tick.Stop()
	deadline := time.After(demoSilence)
	for {
		if err := c.call(ctx, http.MethodGet, at, nil, nil); err != nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("its tables are still written after %v: try again", demoSilence)
		}
	}
}

// dropTables drops the Iceberg tables of a topic, and deletes the files of the other
// formats where they lie on this machine.
func (c *connect) dropTables(ctx context.Context, st tableStatus) error {
	for _, table := range []string{st.Table, st.Table + "__dead_letters"} {
		err := c.call(ctx, http.MethodDelete, "/iceberg/v1/namespaces/default/tables/"+url.PathEscape(table)+"?purgeRequested=true", nil, nil)
		// What is not there was never made.
		if err != nil && !strings.Contains(err.Error(), "404") {
			return fmt.Errorf("drop table %s: %w", table, err)
		}
	}
	run, found, err := readRunFile(c.Data)
	if err != nil || !found || c.Brokers != "" {
		return err // another machine's files are not ours to delete
	}
	warehouse := strings.TrimSuffix(run.Warehouse, "/") + "/"
	root, ok := strings.CutPrefix(warehouse, "file://")
	if !ok {
		return nil // a bucket
	}
	for _, f := range st.Formats {
		// Tables lie in NAMESPACE/TABLE.
		below := strings.SplitN(strings.TrimPrefix(f.Location, warehouse), "/", 3)
		if !strings.HasPrefix(f.Location, warehouse) || len(below) < 2 || below[1] != st.Table {
			continue // not made
		}
		home := filepath.Join(filepath.FromSlash(root), below[0], below[1])
		for _, path := range []string{home, home + "__dead_letters"} {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}
