package group

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// Kind is a kind of group that another package keeps beside this one's, such
// as share groups (KIP-932). The names of all kinds are one space: see Names.
//
// What Kafka answers when a request meets a group of another kind is then
// right by itself. The package of the kind does four things:
//
//  1. It claims a name before it makes a group, also of those it reads at
//     start, and gives it back when the group is gone for good. A name that
//     another kind holds is GROUP_ID_NOT_FOUND (its message says "is not a
//     share group"), also if that other group is empty.
//  2. It implements Kind, and is handed to AddKind before Run.
//  3. It answers its own describe request. DescribeGroups and
//     ConsumerGroupDescribe of its groups are answered here: not found.
//  4. FindCoordinator of a group needs nothing; key types of its own stand in
//     broker/api.
//
// Methods may be called concurrently and hold no lock of this package.
type Kind interface {
	// Type is the group type as ListGroups says it: "share".
	Type() string
	// List gives the groups as ListGroups shows them; the caller owns them.
	List() []kmsg.ListGroupsResponseGroup
	// Delete begins to delete a group and returns the wait for the outcome:
	// NON_EMPTY_GROUP if it has members, GROUP_ID_NOT_FOUND if there is none.
	Delete(name string) func(ctx context.Context) (wire.Code, error)
}

// Names is the one space of group names. The zero value is ready to use, and
// safe for concurrent use.
type Names struct {
	mu     sync.Mutex
	holder map[string]string // name → type of Kind; guarded by mu
}

// coordinated is what this package claims names as: classic and consumer
// groups turn into one another, and are told apart inside.
const coordinated = "consumer"

// Claim takes a name for a kind and reports whether it has it now. To claim
// again what one has is fine.
func (n *Names) Claim(name, kind string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if holder, ok := n.holder[name]; ok {
		return holder == kind
	}
	if n.holder == nil {
		n.holder = map[string]string{}
	}
	n.holder[name] = kind
	return true
}

// Release gives a name back, if that kind has it.
func (n *Names) Release(name, kind string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.holder[name] == kind {
		delete(n.holder, name)
	}
}

// Holder tells the kind that has a name; "" if none.
func (n *Names) Holder(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.holder[name]
}

// Names is the space of names that this Coordinator shares with other kinds.
func (c *Coordinator) Names() *Names { return c.names }

// AddKind makes List and Delete answer for the groups of k too. It is called
// before Run and before any request.
func (c *Coordinator) AddKind(k Kind) { c.kinds = append(c.kinds, k) }

// kind finds the other kind that has a name; nil if none does.
func (c *Coordinator) kind(name string) Kind {
	holder := c.names.Holder(name)
	for _, k := range c.kinds {
		if k.Type() == holder {
			return k
		}
	}
	return nil
}

// elsewhere reports whether another kind has the name.
func (c *Coordinator) elsewhere(name string) bool {
	holder := c.names.Holder(name)
	return holder != "" && holder != coordinated
}
