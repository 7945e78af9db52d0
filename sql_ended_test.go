package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestSQLEnded ends a query as Ctrl-C does: that the broker does not answer would be
// another thing.
func TestSQLEnded(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := errors.New("interrupted")
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // that it goes away shows behind it
		cancel(ended)
		<-r.Context().Done()
	}))
	defer srv.Close()
	c := &sqlCmd{}
	c.HTTP = srv.URL
	_, err := c.ask(ctx, sqlRequest{SQL: "select 1"})
	if !errors.Is(err, ended) || !strings.Contains(err.Error(), "the query was ended") {
		t.Errorf("got %v", err)
	}
}
