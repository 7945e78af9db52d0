package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/group"
)

// maxSeekRequest bounds a request that sets offsets.
const maxSeekRequest = 64 << 10

// groupInfo is a group in the list.
type groupInfo struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	State    string   `json:"state"`
	Protocol string   `json:"protocol"`
	Members  int      `json:"members"`
	Topics   []string `json:"topics"`
	Lag      int64    `json:"lag"`
	// Seconds is that of the partition that is furthest behind.
	Seconds float64 `json:"lag_seconds"`
	// CommitMs is when it last committed an offset; 0: never.
	CommitMs int64 `json:"commit_ms"`
	SinceMs  int64 `json:"since_ms"` // when it entered its state
}

// memberInfo is a member as JSON.
type memberInfo struct {
	ID         string             `json:"id"`
	InstanceID string             `json:"instance_id,omitempty"`
	ClientID   string             `json:"client_id"`
	Host       string             `json:"host"`
	Partitions map[string][]int32 `json:"partitions"`
	// Acquired is how many records a member of a share group has at the moment.
	Acquired int64 `json:"acquired,omitempty"`
}

// groupDetail is one group.
type groupDetail struct {
	groupInfo
	Generation int32          `json:"generation"`
	Leader     string         `json:"leader,omitempty"`
	MemberList []memberInfo   `json:"member_list"`
	Partitions []partitionLag `json:"partitions"`
	// Shares is instead of Partitions in a share group.
	Shares []sharePartition `json:"shares,omitempty"`
}

// listGroups answers the groups that whoever asks may describe, with their lag on
// topics that he may describe too; with topic only those that read it.
func (n *node) listGroups(w http.ResponseWriter, r *http.Request) {
	out, only := []groupInfo{}, r.URL.Query().Get("topic")
	wanted := func(t string) bool {
		return (only == "" || only == t) && n.allowed(r, acl.Describe, acl.Topic, t, true)
	}
	add := func(info groupInfo) {
		if only == "" || slices.Contains(info.Topics, only) {
			out = append(out, info)
		}
	}
	for _, g := range n.broker.Groups().Groups() {
		if !n.allowed(r, acl.Describe, acl.Group, g.Name, true) {
			continue
		}
		add(n.groupInfo(&g, n.lagOf(r.Context(), &g, true, wanted)))
	}
	if err := n.listShares(r, wanted, add); err != nil {
		refuseKafka(w, err)
		return
	}
	slices.SortFunc(out, func(a, b groupInfo) int { return cmp.Compare(a.Name, b.Name) })
	answer(w, http.StatusOK, out)
}

func (n *node) groupInfo(g *group.Summary, parts []partitionLag) groupInfo {
	info := groupInfo{
		Name: g.Name, Type: g.Type, State: g.State, Protocol: cmp.Or(g.Protocol, g.ProtocolType),
		Members: len(g.Members), Topics: []string{}, SinceMs: g.SinceMs,
	}
	for _, p := range parts {
		info.Lag += p.Lag
		info.Seconds = max(info.Seconds, p.Seconds)
		info.CommitMs = max(info.CommitMs, p.CommitMs)
		if !slices.Contains(info.Topics, p.Topic) {
			info.Topics = append(info.Topics, p.Topic)
		}
	}
	slices.Sort(info.Topics)
	return info
}

// describeGroup answers one group.
func (n *node) describeGroup(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("group")
	if !n.allowed(r, acl.Describe, acl.Group, name, false) {
		n.notAllowed(w, r, right{acl.Describe, acl.Group, name})
		return
	}
	wanted := func(t string) bool { return n.allowed(r, acl.Describe, acl.Topic, t, true) }
	g, ok := n.broker.Groups().Group(name)
	if !ok {
		if s, ok := n.broker.Shares().Group(r.Context(), name); ok {
			answer(w, http.StatusOK, n.shareOf(r.Context(), &s, true, wanted))
			return
		}
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: fmt.Sprintf("no group %q", name)})
		return
	}
	parts := n.lagOf(r.Context(), &g, true, wanted)
	slices.SortFunc(parts, func(a, b partitionLag) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	out := groupDetail{groupInfo: n.groupInfo(&g, parts), Generation: g.Generation, Leader: g.Leader, MemberList: []memberInfo{}, Partitions: parts}
	for _, m := range g.Members {
		one := memberInfo{ID: m.ID, ClientID: m.ClientID, Host: m.ClientHost, Partitions: map[string][]int32{}}
		if m.InstanceID != nil {
			one.InstanceID = *m.InstanceID
		}
		for t, ps := range m.Partitions {
			if wanted(t) {
				one.Partitions[t] = ps
			}
		}
		out.MemberList = append(out.MemberList, one)
	}
	answer(w, http.StatusOK, out)
}

// deleteGroup deletes a group as DeleteGroups does: one without members.
func (n *node) deleteGroup(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("group")
	n.withAdmin(w, needing(r, right{acl.Delete, acl.Group, name}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		all, err := adm.DeleteGroups(ctx, name)
		if err != nil {
			return nil, err
		}
		return map[string]string{"deleted": name}, all[name].Err
	})
}

// seekRequest asks for other offsets of a group.
type seekRequest struct {
	Topic string `json:"topic"`
	// Partition is the only one that is meant; absent: all.
	Partition *int32 `json:"partition,omitempty"`
	// To is a place as tarn group seek takes it (start, end, an offset, @2026-01-31), or
	// how long ago (-1h30m).
	To string `json:"to"`
	// DryRun answers what would be and changes nothing.
	DryRun bool `json:"dry_run"`
}

// sought is one partition before and after.
type sought struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Before    *int64 `json:"before"` // null: none was committed
	After     int64  `json:"after"`
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	// Again is how many records will be read once more, Skipped how many will not be
	// read at all.
	Again   int64 `json:"again"`
	Skipped int64 `json:"skipped"`
}

// seekAnswer is what a seek has done, or would do.
type seekAnswer struct {
	DryRun bool `json:"dry_run"`
	// Blocked says why the offsets cannot be set now; "" if they can.
	Blocked    string   `json:"blocked,omitempty"`
	Partitions []sought `json:"partitions"`
}

// seekGroup sets a group's offsets on a topic, or says what that would change. A
// group with members keeps its offsets: they would write over them.
func (n *node) seekGroup(w http.ResponseWriter, r *http.Request) {
	var in seekRequest
	if !readJSON(w, r, maxSeekRequest, &in) {
		return
	}
	name := r.PathValue("group")
	g, shared := n.membersOf(r.Context(), name) // without one, the rules decide below
	n.withAdmin(w, needing(r, right{acl.Describe, acl.Group, name}, right{acl.Read, acl.Group, name}, right{acl.Read, acl.Topic, in.Topic}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		out, offsets, err := n.sought(ctx, adm, name, shared, &in)
		if err != nil {
			return nil, err
		}
		if len(g.Members) > 0 {
			out.Blocked = liveMembers(&g)
		}
		if in.DryRun {
			return out, nil
		}
		if out.Blocked != "" {
			return nil, fmt.Errorf("%w: %s", errState, out.Blocked)
		}
		return out, setOffsets(ctx, adm, name, shared, offsets)
	})
}

// liveMembers says who keeps a group's offsets from being set.
func liveMembers(g *group.Summary) string {
	var who []string
	for _, m := range g.Members[:min(len(g.Members), 3)] {
		who = append(who, fmt.Sprintf("%s at %s", cmp.Or(m.ClientID, m.ID), m.ClientHost))
	}
	if more := len(g.Members) - len(who); more > 0 {
		who = append(who, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("group %q has live members (%s): stop them first, or they commit over what is set here", g.Name, strings.Join(who, ", "))
}

// sought works out the offsets that a request means.
func (n *node) sought(ctx context.Context, adm *kadm.Client, name string, shared bool, in *seekRequest) (*seekAnswer, kadm.Offsets, error) {
	committed, err := n.offsetsBefore(ctx, adm, name, shared)
	if err != nil {
		return nil, nil, err
	}
	word := in.To
	if _, err := time.ParseDuration(word); err == nil && strings.HasPrefix(word, "-") && strings.ContainsAny(word, "hms") {
		word = "@" + word // how long ago, as a person writes it
	}
	to, err := parsePlace(word, time.Now(), false)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: to: %w", errInvalid, err)
	}
	places, err := placesOf(ctx, adm, in.Topic, to, nil)
	if err != nil && !errors.Is(err, kerr.TopicAuthorizationFailed) && n.broker.Topics().View().ByName(in.Topic) == nil {
		err = fmt.Errorf("topic %q: %w", in.Topic, errMissing)
	}
	if err != nil {
		return nil, nil, err
	}
	starts, err := adm.ListStartOffsets(ctx, in.Topic)
	if err != nil {
		return nil, nil, err
	}
	ends, err := adm.ListEndOffsets(ctx, in.Topic)
	if err != nil {
		return nil, nil, err
	}
	out, offsets := &seekAnswer{DryRun: in.DryRun, Partitions: []sought{}}, kadm.Offsets{}
	for _, p := range slices.Sorted(maps.Keys(places)) {
		if in.Partition != nil && p != *in.Partition {
			continue
		}
		one := sought{Topic: in.Topic, Partition: p, Start: starts[in.Topic][p].Offset, End: ends[in.Topic][p].Offset}
		one.After = min(max(places[p], one.Start), one.End)
		from := one.Start
		if c, ok := committed.Lookup(in.Topic, p); ok && c.At >= 0 {
			one.Before, from = &c.At, min(max(c.At, one.Start), one.End)
		}
		one.Again, one.Skipped = max(0, from-one.After), max(0, one.After-from)
		out.Partitions = append(out.Partitions, one)
		offsets.AddOffset(in.Topic, p, one.After, -1)
	}
	if len(out.Partitions) == 0 {
		return nil, nil, fmt.Errorf("topic %q: %w: no such partition", in.Topic, errMissing)
	}
	return out, offsets, nil
}
