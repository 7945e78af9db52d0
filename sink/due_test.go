package sink

import (
	"testing"
	"time"
)

// TestDueAgain has a cut that failed be due until one succeeds: what is wrong is
// shown until then, and not only while a flush asks for it.
func TestDueAgain(t *testing.T) {
	s := &sink{now: time.Now, status: &statusBoard{}}
	s.topic.CommitInterval, s.topic.CommitRows, s.topic.CommitBytes = time.Hour, 1000, 1<<20
	front := []*lane{{front: true, from: offsets{0: 3}, limit: offsets{0: 5}}}
	stable := offsets{0: 5}
	if n := len(s.due(front, stable)); n != 0 {
		t.Errorf("%d lanes are due before their time", n)
	}
	s.failed = true
	if n := len(s.due(front, stable)); n != 1 {
		t.Errorf("%d lanes are due after a cut has failed, want 1", n)
	}
	front[0].from = offsets{0: 5}
	if n := len(s.due(front, stable)); n != 0 {
		t.Errorf("%d lanes are due without records", n)
	}
}
