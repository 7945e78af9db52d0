package sink_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/sink"
)

// waiting waits in the background for offsets, and returns a function that says
// how it stands.
func (r *rhythm) waiting(ctx context.Context, at map[int32]int64) func() string {
	said := make(chan string, 1)
	go func() {
		w, err := r.manager.Wait(ctx, "orders", at)
		said <- fmt.Sprint(w.Visible, err)
	}()
	return func() string {
		synctest.Wait()
		select {
		case s := <-said:
			said <- s
			return s
		default:
			return "waits"
		}
	}
}

func TestWait(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		want := func(what string, got func() string, want string) {
			t.Helper()
			if s := got(); s != want {
				t.Errorf("%s: %s, want %s", what, s, want)
			}
		}
		want("an empty log", r.waiting(t.Context(), nil), "map[0:0 1:0] <nil>")
		r.some(3)
		all, second, fourth := r.waiting(t.Context(), nil), r.waiting(t.Context(), map[int32]int64{0: 1}), r.waiting(t.Context(), map[int32]int64{0: 3})
		r.after(9 * time.Second)
		want("before the commit", all, "waits")
		before := r.looks.Load()
		r.after(2 * time.Second)
		want("all, after it", all, "map[0:3 1:0] <nil>")
		want("the second record", second, "map[0:3 1:0] <nil>")
		want("one that is not there yet", fourth, "waits")
		if n := r.looks.Load() - before; n > 60 {
			t.Errorf("%d looks for one commit", n)
		}
		before = r.looks.Load()
		r.after(time.Hour)
		if n := r.looks.Load() - before; n != 0 {
			t.Errorf("the sink was woken %d times by somebody who waits", n)
		}
		// What becomes no row counts once the sink is past it.
		b, err := record.Marker{ProducerID: 1, Commit: true}.Batch()
		if err != nil {
			t.Fatal(err)
		}
		r.appendBatch(0, b)
		r.after(11 * time.Second)
		want("a marker", fourth, "map[0:4 1:0] <nil>")
		// A sink that begins anew, with another configuration, is waited for too.
		next := r.waiting(t.Context(), map[int32]int64{0: 4})
		want("the next", next, "waits")
		r.alter(func(topic *sink.Topic) { topic.CommitInterval = time.Second })
		r.some(1)
		r.after(2 * time.Second)
		want("the next, after a change", next, "map[0:5 1:0] <nil>")
		// Time runs out.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		late := r.waiting(ctx, map[int32]int64{1: 7})
		r.after(2 * time.Minute)
		want("too late", late, "map[0:5 1:0] context deadline exceeded")
		for _, at := range []map[int32]int64{{2: 0}, {-1: 0}, {0: -1}} {
			if _, err := r.manager.Wait(t.Context(), "orders", at); !errors.Is(err, sink.ErrOffset) {
				t.Errorf("wait for %v: %v, want ErrOffset", at, err)
			}
		}
		if _, err := r.manager.Wait(t.Context(), "nobody", nil); !errors.Is(err, sink.ErrNoTable) {
			t.Errorf("wait for another topic: %v, want ErrNoTable", err)
		}
	})
}

// pace reads the rhythm off the status: seconds since the tables were fresh,
// until the next commit, and the interval.
func (r *rhythm) pace() string {
	r.t.Helper()
	st, err := r.manager.Status(r.t.Context(), "orders")
	if err != nil {
		r.t.Fatal(err)
	}
	next := "none"
	if st.NextMs > 0 {
		next = time.Until(time.UnixMilli(st.NextMs)).Round(time.Second).String()
	}
	f := st.Formats[0]
	return fmt.Sprintf("behind %d+%d, as of %v, next %s, every %v", f.Untranslated, f.Uncommitted,
		time.Since(time.UnixMilli(st.FreshMs)).Round(time.Second), next, time.Duration(st.IntervalMs)*time.Millisecond)
}

func TestFreshness(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		want := func(what, want string) {
			t.Helper()
			if got := r.pace(); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		r.after(time.Hour)
		want("idle", "behind 0+0, as of 0s, next none, every 10s")
		r.some(3)
		r.after(4 * time.Second)
		want("four seconds after records came", "behind 3+0, as of 4s, next 6s, every 10s")
		r.fails.Store(true)
		r.after(10 * time.Second)
		want("while the commit fails", "behind 0+3, as of 14s, next none, every 10s")
		st, err := r.manager.Status(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		if e := st.Formats[0].LastError; e == nil || e.Fix == "" || e.Message == "" || st.Behind != 3 || st.PendingBytes < 3 {
			t.Errorf("status while the commit fails: %+v, %+v", st, e)
		}
		r.fails.Store(false)
		r.after(31 * time.Second)
		want("when it went through", "behind 0+0, as of 0s, next none, every 10s")
		st, err = r.manager.Status(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		if c := st.Formats[0].LastCommit; c == nil || c.Rows != 3 || st.Formats[0].LastError == nil {
			t.Errorf("status afterwards: %+v", st.Formats[0])
		}
		if st.Schema == nil || st.Schema.Subject != "orders-value" || st.Schema.Version != 1 || st.Schema.ID != r.id {
			t.Errorf("schema %+v", st.Schema)
		}
		m := r.manager.Measures(t.Context())
		if len(m) != 1 || m[0].Commits != 1 || m[0].Rows != 3 || m[0].Failures == 0 || m[0].State != sink.Running {
			t.Errorf("measures %+v", m)
		}
	})
}

// TestSlowCommits: commits that take most of the interval double it, up to its
// bound, and quick ones bring it back.
func TestSlowCommits(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		every := func() time.Duration {
			t.Helper()
			st, err := r.manager.Status(t.Context(), "orders")
			if err != nil {
				t.Fatal(err)
			}
			return time.Duration(st.IntervalMs) * time.Millisecond
		}
		r.takes.Store(int64(6 * time.Second))
		for _, want := range []time.Duration{20 * time.Second, 20 * time.Second, 20 * time.Second} {
			r.some(1)
			r.after(40 * time.Second)
			if got := every(); got != want {
				t.Errorf("with commits of 6 s: every %v, want %v", got, want)
			}
		}
		r.takes.Store(int64(4 * time.Minute))
		for range 10 {
			r.some(1)
			r.after(time.Hour)
		}
		if got := every(); got != 10*time.Minute {
			t.Errorf("with commits of 4 minutes: every %v, want the bound of 10 minutes", got)
		}
		r.takes.Store(0)
		for range 10 {
			r.some(1)
			r.after(time.Hour)
		}
		if got := every(); got != 10*time.Second {
			t.Errorf("with quick commits: every %v, want what is configured", got)
		}
	})
}

// TestTroubleShowsAtOnce: while a store still repeats what failed, the status
// says what is wrong.
func TestTroubleShowsAtOnce(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		state := func() string {
			t.Helper()
			st, err := r.manager.Status(t.Context(), "orders")
			if err != nil {
				t.Fatal(err)
			}
			if f := st.Formats[0]; f.State != st.State || f.Message != st.Message {
				t.Errorf("the topic is %s, %s; its format is %s, %s", st.State, st.Message, f.State, f.Message)
			}
			return fmt.Sprint(st.State, " ", st.Message)
		}
		r.troubles.Store(true)
		r.takes.Store(int64(40 * time.Second))
		r.some(1)
		r.after(11 * time.Second)
		if got, want := state(), "stalled it is being tried again: "+errFault.Error(); got != want {
			t.Errorf("in the commit: %s, want %s", got, want)
		}
		if m := r.manager.Measures(t.Context()); len(m) != 1 || m[0].State != sink.Stalled || m[0].Failures != 1 {
			t.Errorf("failures: %+v", m)
		}
		r.after(40 * time.Second)
		if got := state(); got != "running " {
			t.Errorf("when it went through: %s", got)
		}
	})
}
