package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// dryRunFlag is that of commands that change or delete.
type dryRunFlag struct {
	DryRun bool `help:"Change nothing: only say what would happen, and fail where it would be refused."`
}

// did says that something was done, or would be.
func (f *dryRunFlag) did(done string) string {
	if f.DryRun {
		return "would be " + done
	}
	return done
}

// deed is what became of one thing of several.
type deed struct {
	name string
	done string // unless it failed
	err  error
}

// tell writes one row a thing, and fails if any of them did. An error is told with the
// thing's name.
func (c *connect) tell(std stdio, kind string, all []deed) error {
	s := sheet{Columns: []string{kind, "STATUS"}}
	var failed []error
	for _, o := range all {
		status := o.done
		if o.err != nil {
			status = "failed: " + o.err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", o.name, o.err))
		}
		s.add(o.name, status)
	}
	if err := s.write(std.out, c.Output); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// mayDo is refused unless an operation is among those that may be done. Brokers that do
// not say which these are refuse nothing.
func mayDo(may []kadm.ACLOperation, op kadm.ACLOperation, refused error) error {
	if len(may) == 0 || slices.Contains(may, op) {
		return nil
	}
	return refused
}

// wouldDelete is why a topic, listed with the operations that are allowed, would not be
// deleted; nil if it would.
func wouldDelete(t kadm.TopicDetail) error {
	if t.Err != nil {
		return t.Err
	}
	return mayDo(t.AuthorizedOperations, kadm.OpDelete, kerr.TopicAuthorizationFailed)
}
