package sink

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/meter"
)

// Measure is one format's table in figures, from memory: nothing is asked of
// tables or stores.
type Measure struct {
	Topic, Table, Format string
	State                State
	// Untranslated records wait to be put into files, Uncommitted ones are in
	// files that wait for the table.
	Untranslated, Uncommitted int64
	// Pace is the topic's.
	Pace
	Tally
	// Took is how long commits took, in seconds.
	Took meter.Snapshot
	Kept Kept
	// Files and Bytes are the table's at the last look of maintenance, dead letters
	// not among them; Looked says that there was one.
	Files, Bytes int64
	Looked       bool
}

// Measures describes all tables, by topic and format. Safe for concurrent use.
func (m *Manager) Measures(ctx context.Context) []Measure {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.sinks))
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b *running) int { return strings.Compare(a.topic.Name, b.topic.Name) })
	var out []Measure
	for _, r := range all {
		stable, err := r.stable(ctx)
		if err != nil {
			continue // about to go
		}
		whole, states, _ := r.status.get()
		pace, _ := r.gauge.rhythm(r.now(), stable)
		for _, name := range r.topic.Formats {
			g := r.gauge.format(name)
			files := r.upkeep.filesOf(name)
			out = append(out, Measure{
				Topic: r.topic.Name, Table: r.topic.Table, Format: name, State: shown(whole, states, name).state,
				Untranslated: g.drawn.until(stable), Uncommitted: g.visible.until(g.drawn),
				Pace: pace, Tally: g.tally, Took: g.took, Kept: r.upkeep.get(name),
				Files: files.count, Bytes: files.bytes, Looked: files.looked,
			})
		}
	}
	return out
}
