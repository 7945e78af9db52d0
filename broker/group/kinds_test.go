package group

import (
	"context"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// otherKind is a kind of groups kept elsewhere, with one group.
type otherKind struct {
	names   *Names
	deleted bool
}

func (*otherKind) Type() string { return "share" }

func (k *otherKind) List() []kmsg.ListGroupsResponseGroup {
	if k.deleted {
		return nil
	}
	g := kmsg.NewListGroupsResponseGroup()
	g.Group, g.ProtocolType, g.GroupState, g.GroupType = "theirs", "share", "Stable", "share"
	return []kmsg.ListGroupsResponseGroup{g}
}

func (k *otherKind) Delete(name string) func(context.Context) (wire.Code, error) {
	k.deleted = true
	k.names.Release(name, k.Type())
	return func(context.Context) (wire.Code, error) { return wire.None, nil }
}

// TestKinds: a name belongs to one kind of group at a time; lists and deletions
// reach all kinds.
func TestKinds(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		k := &otherKind{names: w.Names()}
		w.AddKind(k)
		for range 2 { // to claim again what one has is fine
			if !w.Names().Claim("theirs", "share") {
				t.Fatal("a free name cannot be claimed")
			}
		}
		w.simple("ours", "t0", 1)
		if w.Names().Claim("ours", "share") {
			t.Error("a group's name can be claimed by another kind")
		}
		for _, id := range []string{"", "x"} {
			j := await[*kmsg.JoinGroupResponse](w, w.join(9, "theirs", "c", id, nil))
			if code := wire.Code(j.ErrorCode); code != wire.InconsistentGroupProtocol {
				t.Errorf("join: %s", code)
			}
		}
		if code := w.simple("theirs", "t0", 1); code != wire.GroupIDNotFound {
			t.Errorf("commit: %s", code)
		}
		list := func(types ...string) string {
			req := kmsg.NewPtrListGroupsRequest()
			req.Version, req.TypesFilter = 5, types
			text := ""
			for _, g := range await[*kmsg.ListGroupsResponse](w, w.List(req)).Groups {
				text += fmt.Sprintf("%s %s; ", g.Group, g.GroupType)
			}
			return text
		}
		if got, want := list(), "ours classic; theirs share; "; got != want {
			t.Errorf("all groups: %s, want %s", got, want)
		}
		if got, want := list("Share"), "theirs share; "; got != want {
			t.Errorf("share groups: %s, want %s", got, want)
		}
		if code := w.deleteGroup("theirs"); code != wire.None || !k.deleted {
			t.Errorf("deletion: %s", code)
		}
		if code := w.deleteGroup("ours"); code != wire.None {
			t.Errorf("deletion: %s", code)
		}
		if !w.Names().Claim("ours", "share") {
			t.Error("the name of a deleted group is not free")
		}
		if code := w.simple("theirs", "t0", 1); code != wire.None {
			t.Errorf("commit under a name that is free again: %s", code)
		}
		w.checkStored()
	})
}
