package api

import (
	"context"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/group"
)

// Classic consumer groups: OffsetCommit (key 8), OffsetFetch (9), JoinGroup
// (11), Heartbeat (12), LeaveGroup (13), SyncGroup (14), DescribeGroups (15),
// ListGroups (16), DeleteGroups (42) and OffsetDelete (47). The coordinator in
// broker/group speaks kmsg itself; here requests are only handed to it.

// client names the client as DescribeGroups shows it. The slash is Kafka's, a
// trait of Java's addresses that tools around it cut off.
func (r *Request) client() group.Client {
	host, _, err := net.SplitHostPort(r.Conn.Remote)
	if err != nil {
		host = r.Conn.Remote
	}
	c := group.Client{ID: r.ClientID, Host: "/" + host}
	if r.who != nil {
		c.Principal = r.who.principal
	}
	return c
}

func (h *Handlers) offsetCommit(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.OffsetCommit(r.Body.(*kmsg.OffsetCommitRequest))), nil
}

func (h *Handlers) offsetFetch(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.OffsetFetch(r.Body.(*kmsg.OffsetFetchRequest))), nil
}

func (h *Handlers) joinGroup(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.Join(r.client(), r.Body.(*kmsg.JoinGroupRequest))), nil
}

func (h *Handlers) heartbeat(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.Heartbeat(r.Body.(*kmsg.HeartbeatRequest))), nil
}

func (h *Handlers) leaveGroup(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.Leave(r.Body.(*kmsg.LeaveGroupRequest))), nil
}

func (h *Handlers) syncGroup(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.Sync(r.Body.(*kmsg.SyncGroupRequest))), nil
}

func (h *Handlers) describeGroups(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.Describe(r.Body.(*kmsg.DescribeGroupsRequest))), nil
}

func (h *Handlers) listGroups(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.List(r.Body.(*kmsg.ListGroupsRequest))), nil
}

func (h *Handlers) deleteGroups(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.Delete(r.Body.(*kmsg.DeleteGroupsRequest))), nil
}

func (h *Handlers) offsetDelete(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.OffsetDelete(r.Body.(*kmsg.OffsetDeleteRequest))), nil
}
