package blob_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tarn-io/tarn/tables/blob"
)

func TestTrouble(t *testing.T) {
	var got []error
	want := errors.New("nobody answers")
	blob.Trouble(t.Context(), errors.New("nobody asked"))
	ctx, cancel := context.WithCancel(blob.WithTrouble(t.Context(), func(err error) { got = append(got, err) }))
	defer cancel()
	blob.Trouble(ctx, want)
	if len(got) != 1 || !errors.Is(got[0], want) {
		t.Errorf("told %v, want %v alone", got, want)
	}
}
