package sink

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tarn-io/tarn/tables"
)

// told is an error that may know what is to be done about it.
type told string

func (t told) Error() string { return "told" }
func (t told) Fix() string   { return string(t) }

// TestFixOf takes the word of who knows best, and has its own where that one is
// silent.
func TestFixOf(t *testing.T) {
	if got := fixOf(fmt.Errorf("open: %w", told("sign in"))); got != "sign in" {
		t.Errorf("an error that knows: %q", got)
	}
	silent := fmt.Errorf("%w: %w", told(""), tables.ErrConflict)
	if got, want := fixOf(silent), fixOf(tables.ErrConflict); got != want {
		t.Errorf("one that does not: got %q, want %q", got, want)
	}
	if got := fixOf(errors.New("whatever")); got == "" {
		t.Error("nothing is said of an error that nobody knows")
	}
}
