package sink_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/sink"
)

// TestSilentTables asks for the status of tables that do not answer, as those of a
// bucket that is down: it says so soon, however many ask, and the rows again once
// they answer.
func TestSilentTables(t *testing.T) {
	inRhythm(t, nil, func(t *testing.T, r *rhythm) {
		r.some(3)
		r.after(11 * time.Second)
		ask := func() (rows int64, notice string, took time.Duration) {
			t.Helper()
			began := time.Now()
			st, err := r.manager.Status(t.Context(), "orders")
			if err != nil || len(st.Formats) != 1 {
				t.Fatalf("%+v, %v", st, err)
			}
			if st.Formats[0].Unknown != (st.Formats[0].Notice != "") {
				t.Errorf("unknown %v: %q", st.Formats[0].Unknown, st.Formats[0].Notice)
			}
			return st.Formats[0].Rows, st.Formats[0].Notice, time.Since(began)
		}
		if rows, notice, took := ask(); rows != 3 || notice != "" || took != 0 {
			t.Errorf("at first: %d rows, %q, after %v", rows, notice, took)
		}
		r.silent = make(chan struct{})
		for range 20 {
			if rows, notice, took := ask(); rows != 0 || !strings.Contains(notice, "does not answer") || took > 11*time.Second {
				t.Errorf("silent: %d rows, %q, after %v", rows, notice, took)
			}
		}
		if _, _, took := ask(); took != 0 {
			t.Errorf("with many that wait already, it took %v", took)
		}
		began := time.Now()
		if all := r.manager.Statuses(t.Context()); len(all) != 1 || time.Since(began) > 11*time.Second {
			t.Errorf("all: %+v after %v", all, time.Since(began))
		}
		close(r.silent)
		r.after(time.Second)
		if rows, notice, took := ask(); rows != 3 || notice != "" || took != 0 {
			t.Errorf("afterwards: %d rows, %q, after %v", rows, notice, took)
		}
	})
}

// TestManyFiles asks about a plain Parquet table of many small files: where they are not
// merged by themselves, the status says who merges them.
func TestManyFiles(t *testing.T) {
	for compact, want := range map[string]bool{sink.CompactAuto: true, sink.CompactAll: false} {
		inRhythm(t, func(topic *sink.Topic) { topic.Compact = compact }, func(t *testing.T, r *rhythm) {
			r.some(1)
			for files, told := range map[int64]bool{999: false, 1000: want} {
				r.files.Store(files)
				st, err := r.manager.Status(t.Context(), "orders")
				if err != nil || len(st.Formats) != 1 {
					t.Fatalf("%+v, %v", st, err)
				}
				if got := strings.Contains(st.Formats[0].Notice, "tarn table compact orders"); got != told {
					t.Errorf("%s, %d files: %q", compact, files, st.Formats[0].Notice)
				}
			}
		})
	}
}
