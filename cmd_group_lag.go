package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// timesWait bounds how long is waited for the records at a group's offsets, whose
// times say how far it is behind in seconds. What is not there by then is not known.
const timesWait = 10 * time.Second

// groupView is a group as tarn group describe shows it.
type groupView struct {
	Group      string      `json:"group"`
	State      string      `json:"state"`
	Type       string      `json:"type"`
	Members    int         `json:"members"`
	Lag        int64       `json:"lag"`
	LagSeconds *float64    `json:"lag_seconds"` // the largest; null if it is not known
	Topics     []topicLag  `json:"topics"`
	Partitions []groupLine `json:"partitions"`
}

// topicLag is how far a group is behind in one topic.
type topicLag struct {
	Topic      string   `json:"topic"`
	Lag        int64    `json:"lag"`
	LagSeconds *float64 `json:"lag_seconds"`
}

// groupLine is a partition of a group.
type groupLine struct {
	Topic      string   `json:"topic"`
	Partition  int32    `json:"partition"`
	Offset     int64    `json:"offset"` // -1: none is committed
	End        int64    `json:"end"`
	Lag        int64    `json:"lag"`
	LagSeconds *float64 `json:"lag_seconds"`
	// StuckSeconds is how long the offset has not moved although there is lag, as
	// far as --watch has seen.
	StuckSeconds *float64 `json:"stuck_seconds,omitempty"`
	Member       string   `json:"member,omitempty"`
	Client       string   `json:"client,omitempty"`
	Host         string   `json:"host,omitempty"`
}

// add adds a partition.
func (v *groupView) add(l groupLine) {
	l.Lag = max(l.Lag, 0)
	v.Partitions = append(v.Partitions, l)
}

// measure works out how far the group is behind in seconds: the time of the last
// record of the log less that of the next one for the group.
func (v *groupView) measure(ctx context.Context, c *connect, adm *kadm.Client) error {
	next := map[string]map[int32]int64{}
	var topics []string
	for _, l := range v.Partitions {
		if l.Lag == 0 {
			continue
		}
		if next[l.Topic] == nil {
			next[l.Topic] = map[int32]int64{}
			topics = append(topics, l.Topic)
		}
		next[l.Topic][l.Partition] = max(l.Offset, 0)
	}
	var newest kadm.ListedOffsets
	times := map[string]map[int32]time.Time{}
	if len(topics) > 0 {
		var err error
		if newest, err = adm.ListMaxTimestampOffsets(ctx, topics...); err != nil {
			return fmt.Errorf("times of the last records: %w", err)
		}
		if times, err = c.recordTimes(ctx, next); err != nil {
			return fmt.Errorf("times of the next records: %w", err)
		}
	}
	for i := range v.Partitions {
		l := &v.Partitions[i]
		if l.Lag == 0 {
			l.LagSeconds = new(float64)
			continue
		}
		last, ok := newest.Lookup(l.Topic, l.Partition)
		at, found := times[l.Topic][l.Partition]
		if ok && found && last.Err == nil && last.Timestamp >= 0 {
			behind := max(time.UnixMilli(last.Timestamp).Sub(at).Seconds(), 0)
			l.LagSeconds = &behind
		}
	}
	v.total()
	return nil
}

// total sums the partitions up.
func (v *groupView) total() {
	v.Lag, v.LagSeconds, v.Topics = 0, nil, []topicLag{}
	at := map[string]int{}
	for _, l := range v.Partitions {
		i, ok := at[l.Topic]
		if !ok {
			i, at[l.Topic] = len(v.Topics), len(v.Topics)
			v.Topics = append(v.Topics, topicLag{Topic: l.Topic})
		}
		v.Lag += l.Lag
		v.Topics[i].Lag += l.Lag
		v.Topics[i].LagSeconds = longest(v.Topics[i].LagSeconds, l.LagSeconds)
		v.LagSeconds = longest(v.LagSeconds, l.LagSeconds)
	}
}

func longest(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// recordTimes reads the times of the first records from offsets on.
func (c *connect) recordTimes(ctx context.Context, from map[string]map[int32]int64) (map[string]map[int32]time.Time, error) {
	out := map[string]map[int32]time.Time{}
	at := map[string]map[int32]kgo.Offset{}
	left := 0
	for topic, all := range from {
		out[topic], at[topic] = map[int32]time.Time{}, map[int32]kgo.Offset{}
		for p, o := range all {
			at[topic][p] = kgo.NewOffset().At(o)
			left++
		}
	}
	var q quiet
	cl, err := c.kafka(ctx, append(q.options(), kgo.KeepControlRecords(), kgo.ConsumePartitions(at))...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	deadline := time.Now().Add(timesWait)
	for left > 0 && !q.over() && time.Now().Before(deadline) && ctx.Err() == nil {
		records, err := poll(ctx, cl, 0)
		if err != nil {
			return nil, err
		}
		q.polled(len(records))
		for _, r := range records {
			if _, known := out[r.Topic][r.Partition]; known {
				continue
			}
			out[r.Topic][r.Partition] = r.Timestamp
			left--
			cl.PauseFetchPartitions(map[string][]int32{r.Topic: {r.Partition}})
		}
	}
	return out, ctx.Err()
}

// seconds shows a number of seconds, - if it is not known.
func seconds(s *float64) string {
	if s == nil {
		return "-"
	}
	return strconv.FormatFloat(*s, 'f', 1, 64)
}

// write writes the view. watched says that it has been looked at before.
func (v *groupView) write(out io.Writer, form string, watched bool) error {
	if form == "json" {
		return writeJSON(out, v)
	}
	columns := []string{"TOPIC", "PARTITION", "OFFSET", "END", "LAG", "SECONDS"}
	if watched {
		columns = append(columns, "STUCK")
	}
	s := sheet{Columns: append(columns, "MEMBER", "CLIENT", "HOST")}
	for _, l := range v.Partitions {
		row := []any{l.Topic, l.Partition, l.Offset, l.End, l.Lag, seconds(l.LagSeconds)}
		if watched {
			row = append(row, seconds(l.StuckSeconds))
		}
		s.add(append(row, orDash(l.Member), orDash(l.Client), orDash(l.Host))...)
	}
	if form == "text" {
		members := strconv.Itoa(v.Members) + " members"
		if v.Type == "streams" {
			members = "streams" // who is a member only Kafka's own tool shows
		}
		behind := ""
		if v.Lag > 0 {
			behind = "  " + seconds(v.LagSeconds) + " s"
		}
		fmt.Fprintf(out, "%s  %s  %s  lag %d%s\n\n", v.Group, v.State, members, v.Lag, behind)
		if len(v.Topics) > 1 {
			t := sheet{Columns: []string{"TOPIC", "LAG", "SECONDS"}}
			for _, one := range v.Topics {
				t.add(one.Topic, one.Lag, seconds(one.LagSeconds))
			}
			if err := t.write(out, form); err != nil {
				return err
			}
			fmt.Fprintln(out)
		}
	}
	return s.write(out, form)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// stuck remembers since when offsets have not moved while there was lag.
type stuck struct {
	at    map[string]int64
	since map[string]time.Time
}

// look fills in how long the view's partitions are stuck.
func (s *stuck) look(v *groupView, now time.Time) {
	if s.at == nil {
		s.at, s.since = map[string]int64{}, map[string]time.Time{}
	}
	for i := range v.Partitions {
		l := &v.Partitions[i]
		key := l.Topic + "/" + strconv.Itoa(int(l.Partition))
		if at, ok := s.at[key]; !ok || at != l.Offset || l.Lag == 0 {
			s.at[key], s.since[key] = l.Offset, now
		}
		if l.Lag > 0 {
			long := now.Sub(s.since[key]).Seconds()
			l.StuckSeconds = &long
		}
	}
}

// watch shows the group again and again until ctx ends.
func (c *groupDescribeCmd) watch(ctx context.Context, adm *kadm.Client, std stdio) error {
	var s stuck
	tick := time.NewTicker(time.Duration(c.Watch))
	defer tick.Stop()
	for {
		v, err := c.view(ctx, adm)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if v == nil {
			return errors.New("--watch is not for share groups: they have no committed offsets")
		}
		s.look(v, time.Now())
		if isTerminal(std.out) && c.Output == "text" {
			fmt.Fprint(std.out, "\x1b[H\x1b[2J")
		}
		if err := v.write(std.out, c.Output, true); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
