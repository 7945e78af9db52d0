package main

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
)

// shareGroup makes a share group that begins at an offset of partition 0 of a topic.
func shareGroup(t *testing.T, n *node, as, name, topic string, at int64) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
	if as != "" {
		r = r.WithContext(context.WithValue(r.Context(), principalKey{}, auth.User(as)))
	}
	cl, err := n.inside(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, at, -1)
	if err := setOffsets(t.Context(), kadm.NewClient(cl.Client), name, true, offsets); err != nil {
		t.Fatal(err)
	}
}

func TestConsoleShares(t *testing.T) {
	a := asks{t: t, n: openNode(t)}
	want[map[string]any](a, "POST", "/api/topics", `{"name":"jobs"}`, 200)
	for range 5 {
		a.produce("jobs", 0, "", "work")
	}
	want[seekAnswer](a, "POST", "/api/groups/readers/offsets", `{"topic":"jobs","to":"end"}`, 200)
	shareGroup(t, a.n, "", "workers", "jobs", 2)
	if all := want[[]groupInfo](a, "GET", "/api/groups?topic=jobs", "", 200); len(all) != 2 || all[1].Name != "workers" || all[1].Type != "share" || all[1].Lag != 3 || all[1].State != "Empty" {
		t.Errorf("groups: %+v", all)
	}
	g := want[groupDetail](a, "GET", "/api/groups/workers", "", 200)
	if len(g.Shares) != 1 || g.Shares[0].Start != 2 || g.Shares[0].Next != 2 || g.Shares[0].End != 5 || len(g.Partitions) != 0 {
		t.Errorf("group: %+v", g)
	}
	if o := want[overviewInfo](a, "GET", "/api/overview", "", 200); o.Groups != 2 {
		t.Errorf("%d groups at a glance, want 2", o.Groups)
	}
	dry := want[seekAnswer](a, "POST", "/api/groups/workers/offsets", `{"topic":"jobs","to":"start","dry_run":true}`, 200)
	if len(dry.Partitions) != 1 || dry.Partitions[0].Before == nil || *dry.Partitions[0].Before != 2 || dry.Partitions[0].After != 0 || dry.Partitions[0].Again != 2 {
		t.Errorf("would be: %+v", dry)
	}
	if s := want[groupDetail](a, "GET", "/api/groups/workers", "", 200); s.Shares[0].Start != 2 {
		t.Errorf("a look before has set the offset to %d", s.Shares[0].Start)
	}
	want[seekAnswer](a, "POST", "/api/groups/workers/offsets", `{"topic":"jobs","to":"4"}`, 200)
	if s := want[groupDetail](a, "GET", "/api/groups/workers", "", 200); s.Shares[0].Start != 4 || s.Lag != 1 {
		t.Errorf("group: %+v", s)
	}
	if all := want[[]groupInfo](a, "GET", "/api/groups?topic=none", "", 200); len(all) != 0 {
		t.Errorf("groups of no topic: %+v", all)
	}
	want[map[string]string](a, "DELETE", "/api/groups/workers", "", 200)
	want[apiError](a, "GET", "/api/groups/workers", "", 404)
}

// TestConsoleShareRules asks for a share group with rules in force: whoever may
// describe it sees no topics that he may not.
func TestConsoleShareRules(t *testing.T) {
	n := openNode(t, "--http.auth", "--auth.acl", "--auth.super-users", "User:root")
	for _, name := range []string{"root", "alice"} {
		c, err := auth.NewCredential(auth.SHA256, name, auth.MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.who.users.Alter(t.Context(), []auth.Change{{User: name, Mechanism: auth.SHA256, Set: &c}})[name]; err != nil {
			t.Fatal(err)
		}
	}
	root, alice := asks{t, n, "root"}, asks{t, n, "alice"}
	want[map[string]any](root, "POST", "/api/topics", `{"name":"jobs"}`, 200)
	shareGroup(t, n, "root", "workers", "jobs", 0)
	want[apiError](alice, "GET", "/api/groups/workers", "", 403)
	if all := want[[]groupInfo](alice, "GET", "/api/groups", "", 200); len(all) != 0 {
		t.Errorf("groups for alice: %+v", all)
	}
	b := acl.Binding{Resource: acl.Group, Name: "workers", Pattern: acl.Literal, Principal: "User:alice", Host: "*", Operation: acl.Describe, Permission: acl.Allow}
	if err := n.who.rules.Create(t.Context(), []acl.Binding{b})[0]; err != nil {
		t.Fatal(err)
	}
	if g := want[groupDetail](alice, "GET", "/api/groups/workers", "", 200); len(g.Shares) != 0 || len(g.Topics) != 0 {
		t.Errorf("alice sees topics: %+v", g)
	}
	want[apiError](alice, "POST", "/api/groups/workers/offsets", `{"topic":"jobs","to":"end"}`, 403)
	want[apiError](alice, "DELETE", "/api/groups/workers", "", 403)
}
