package main

import (
	"testing"
	"time"
)

// TestStuck watches offsets that move, stand still, and have nothing to read.
func TestStuck(t *testing.T) {
	var s stuck
	start := time.Unix(1000, 0)
	for _, tt := range []struct {
		at          int // seconds
		offset, lag int64
		want        string
	}{
		{0, 5, 3, "0.0"}, {2, 5, 4, "2.0"}, {4, 6, 4, "0.0"}, {9, 6, 9, "5.0"}, {10, 15, 0, "-"}, {20, 15, 0, "-"}, {21, 15, 1, "1.0"}, {25, 15, 2, "5.0"},
	} {
		v := &groupView{}
		v.add(groupLine{Topic: "t", Offset: tt.offset, Lag: tt.lag})
		s.look(v, start.Add(time.Duration(tt.at)*time.Second))
		if got := seconds(v.Partitions[0].StuckSeconds); got != tt.want {
			t.Errorf("at %d s: got %s, want %s", tt.at, got, tt.want)
		}
	}
}

// TestGroupTotal sums partitions up by topic.
func TestGroupTotal(t *testing.T) {
	one, two := 1.5, 2.5
	v := &groupView{}
	v.add(groupLine{Topic: "a", Lag: 3, LagSeconds: &one})
	v.add(groupLine{Topic: "b", Lag: 1})
	v.add(groupLine{Topic: "a", Partition: 1, Lag: 4, LagSeconds: &two})
	v.add(groupLine{Topic: "a", Partition: 2, Lag: -1})
	v.total()
	if v.Lag != 8 || seconds(v.LagSeconds) != "2.5" || len(v.Topics) != 2 || v.Topics[0].Lag != 7 || seconds(v.Topics[1].LagSeconds) != "-" {
		t.Errorf("got %+v", v)
	}
}
