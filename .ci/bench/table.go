package main

import (
	"fmt"
	"slices"
)

// table collects samples by name and prints their medians.
type table struct {
	lines   []line
	pending []*samples
}

// line is one figure.
type line struct {
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Baseline float64 `json:"baseline,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
	// Against says what the baseline is.
	Against string `json:"against,omitempty"`
}

// samples are the runs of one figure.
type samples struct {
	name, unit, against string
	values, baselines   []float64
}

// add notes one run of a figure with its baseline; 0 is no baseline.
func (t *table) add(name, unit string, value, baseline float64, against string) {
	i := slices.IndexFunc(t.pending, func(s *samples) bool { return s.name == name })
	if i < 0 {
		i = len(t.pending)
		t.pending = append(t.pending, &samples{name: name, unit: unit, against: against})
	}
	s := t.pending[i]
	s.values = append(s.values, value)
	if baseline > 0 {
		s.baselines = append(s.baselines, baseline)
	}
}

func (t *table) header() {
	fmt.Printf("%-46s %12s %-10s %12s %8s  %s\n", "name", "value", "unit", "baseline", "ratio", "baseline is")
}

// flush prints the figures added since the last time.
func (t *table) flush() {
	for _, s := range t.pending {
		l := line{Name: s.name, Unit: s.unit, Against: s.against, Value: median(s.values), Baseline: median(s.baselines)}
		baseline, ratio := "-", "-"
		if l.Baseline > 0 {
			l.Ratio = l.Value / l.Baseline
			baseline, ratio = number(l.Baseline), fmt.Sprintf("%.2f", l.Ratio)
		}
		fmt.Printf("%-46s %12s %-10s %12s %8s  %s\n", l.Name, number(l.Value), l.Unit, baseline, ratio, l.Against)
		t.lines = append(t.lines, l)
	}
	t.pending = nil
}

// number prints three digits or more.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Names of the figures that have a bar.
const (
	nameBulk = "produce, 1 producer"
	nameIdle = "memory idle"
	nameZero = "start to ready, empty"
	nameFull = "start to ready, with data"
	// nameTables is with tables of a million rows.
	nameTables = "memory idle, restarted with tables"
	nameTest   = "brokertest.New"
	// nameFirstPaint is by a browser and a broker that have just started.
	nameFirstPaint = "console first paint, all just started"
	namePaint      = "console first paint, nothing in the cache"
)

// alarms says which figures mean that something is wrong.
func (t *table) alarms() []string {
	var out []string
	for _, l := range t.lines {
		switch {
		case l.Name == nameBulk && l.Value < 100:
			out = append(out, fmt.Sprintf("durable produce is %.0f MB/s, under 100", l.Value))
		case (l.Name == nameIdle || l.Name == nameTables) && l.Value > 60:
			out = append(out, fmt.Sprintf("%s takes %.0f MB, over 60", l.Name, l.Value))
		case (l.Name == nameFirstPaint || l.Name == namePaint) && l.Value > 600:
			out = append(out, fmt.Sprintf("%s takes %.0f ms, over 600", l.Name, l.Value))
		case l.Name == nameTest && l.Value > 15:
			out = append(out, fmt.Sprintf("%s takes %.1f ms, over 15", l.Name, l.Value))
		case (l.Name == nameZero || l.Name == nameFull) && l.Value > 300:
			out = append(out, fmt.Sprintf("%s takes %.0f ms, over 300", l.Name, l.Value))
		}
	}
	return out
}
