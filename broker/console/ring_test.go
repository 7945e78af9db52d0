package console

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func everything(string) bool { return true }

func numbers(l []*float32) []string {
	out := make([]string, len(l))
	for i, v := range l {
		if out[i] = "-"; v != nil {
			out[i] = fmt.Sprint(*v)
		}
	}
	return out
}

func TestRing(t *testing.T) {
	r := NewRing()
	begin := time.Unix(1_800_000_000, 0)
	for i := range 10 {
		if i != 4 {
			r.Add(begin.Add(time.Duration(i)*time.Second), map[string]float64{"a": float64(i)})
		}
	}
	r.Add(begin, map[string]float64{"a": 99}) // from before: left out
	now := begin.Add(10 * time.Second)
	got := r.Since(now, 8*time.Second, everything)
	if want := []string{"3", "-", "5", "6", "7", "8", "9", "-"}; got.Step != 1 || got.From != now.Unix()-7 || !slices.Equal(numbers(got.Series["a"]), want) {
		t.Errorf("seconds: %+v, want %v", numbers(got.Series["a"]), want)
	}
	if got := r.Since(now, time.Minute, func(name string) bool { return name == "b" }); len(got.Series) != 0 {
		t.Errorf("others: %v", got.Series)
	}
	rough := r.Since(now, 24*time.Hour, everything)
	line := rough.Series["a"]
	if len(line) != roughPoints || rough.Step != 15 || line[len(line)-1] == nil {
		t.Fatalf("a day: %d points, step %d", len(line), rough.Step)
	}
	if got := *line[len(line)-1]; got != 41.0/9 {
		t.Errorf("mean of 15 s: %v", got)
	}
}

// TestRingGoesRound wants nothing of an hour ago after an hour.
func TestRingGoesRound(t *testing.T) {
	r := NewRing()
	begin := time.Unix(1_800_000_000, 0)
	r.Add(begin, map[string]float64{"a": 1})
	r.Add(begin.Add(finePoints*time.Second), map[string]float64{"a": 2})
	got := r.Since(begin.Add(finePoints*time.Second), time.Hour, everything).Series["a"]
	if len(got) != finePoints || got[0] != nil || *got[len(got)-1] != 2 {
		t.Errorf("%d points, first %v", len(got), got[0])
	}
	for _, v := range got[:len(got)-1] {
		if v != nil {
			t.Fatal("a number of the round before")
		}
	}
}

func TestRingIsBounded(t *testing.T) {
	r := NewRing()
	at := time.Unix(1_800_000_000, 0)
	for i := range MaxSeries {
		r.Add(at, map[string]float64{fmt.Sprint("s", i): 1})
	}
	r.Add(at, map[string]float64{"new": 1})
	if names := r.Names(); len(names) != MaxSeries || slices.Contains(names, "new") {
		t.Errorf("%d series while all speak", len(names))
	}
	later := at.Add(time.Minute)
	for i := range MaxSeries - 1 {
		r.Add(later, map[string]float64{fmt.Sprint("s", i): 1})
	}
	r.Add(later, map[string]float64{"new": 1})
	if names := r.Names(); len(names) != MaxSeries || !slices.Contains(names, "new") || slices.Contains(names, fmt.Sprint("s", MaxSeries-1)) {
		t.Errorf("the one that is silent stays: %d", len(names))
	}
}
