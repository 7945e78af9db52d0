package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
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

// query is what asks the broker's own API for a dry run, behind what joins it to a path.
func (f *dryRunFlag) query(join string) string {
	if f.DryRun {
		return join + "dry_run=true"
	}
	return ""
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

// mayAlterCluster is refused for who may not alter the cluster, as far as the broker says.
func (c *connect) mayAlterCluster(ctx context.Context) error {
	cl, err := c.kafka(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeClusterAuthorizedOperations = true
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = answerError(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return fmt.Errorf("ask what may be done to the cluster: %w", err)
	}
	return mayDo(kadm.DecodeACLOperations(resp.ClusterAuthorizedOperations), kadm.OpAlter, kerr.ClusterAuthorizationFailed)
}
