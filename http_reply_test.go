package main

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/sink"
)

// TestReply says which status an error of tables has: a topic that is deleted while
// something is done for its tables is no failure of the broker's.
func TestReply(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 200},
		{sink.ErrNoTable, 404},
		{fmt.Errorf("rebuild: %w", commitlog.ErrGone), 404},
		{fmt.Errorf("redrive: %w", sink.ErrStopped), 503},
		{sink.ErrAborted, 409},
		{errors.New("disk"), 500},
	} {
		w := httptest.NewRecorder()
		if reply(w)("x", c.err); w.Code != c.want {
			t.Errorf("%v: status %d, want %d", c.err, w.Code, c.want)
		}
	}
}
