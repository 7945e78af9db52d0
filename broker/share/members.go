package share

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
)

// Client is who sent a request, for descriptions.
type Client struct {
	ID   string // client id of the request header
	Host string // address without port
}

// member is one member of a share group.
type member struct {
	id, rack string
	client   Client
	topics   []string // subscribed, ascending, each once
	epoch    int32
	previous int32 // epoch before that, whose answer may be lost
	// restored is set until the first heartbeat after a restart: the member may
	// have been told of later epochs than were stored.
	restored bool
	deadline time.Time
	assigned assignment
	sent     assignment // what it was told last
}

// assignment is what a member may fetch. Never written to once it stands.
type assignment map[storage.TopicID][]int32

func (a assignment) equal(b assignment) bool { return maps.EqualFunc(a, b, slices.Equal) }

// subscribed is a topic that the group subscribes to, as far as it exists.
type subscribed struct {
	name       string
	id         storage.TopicID
	partitions int32
}

// members are the members of one group and what is assigned to them: a pure
// state machine.
type members struct {
	epoch  int32
	byID   map[string]*member
	topics []subscribed // what the assignment was made of
	all    []string     // what names gives; nil: to be made anew
}

// sorted lists the members by id.
func (m *members) sorted() []*member {
	return slices.SortedFunc(maps.Values(m.byID), func(a, b *member) int { return cmp.Compare(a.id, b.id) })
}

// names lists the topics that members subscribe to, each once.
func (m *members) names() []string {
	if m.all == nil {
		m.all = []string{}
		for _, mem := range m.byID {
			m.all = append(m.all, mem.topics...)
		}
		slices.Sort(m.all)
		m.all = slices.Compact(m.all)
	}
	return m.all
}

// bytes is the size of all subscriptions, were a request carried out.
func (m *members) bytes(req *kmsg.ShareGroupHeartbeatRequest) (n int) {
	for _, mem := range m.byID {
		if mem.id == req.MemberID && req.SubscribedTopicNames != nil {
			continue
		}
		for _, name := range mem.topics {
			n += len(name)
		}
	}
	for _, name := range req.SubscribedTopicNames {
		n += len(name)
	}
	return n
}

// resolve looks the group's topics up; those that do not exist are left out.
func (m *members) resolve(topics Topics) []subscribed {
	var list []subscribed
	for _, name := range m.names() {
		if id, n, ok := topics.ByName(name); ok {
			list = append(list, subscribed{name, id, n})
		}
	}
	return list
}

// bump begins a new epoch and assigns anew.
func (m *members) bump(topics []subscribed) {
	m.epoch++
	m.topics = topics
	m.assign()
}

// due lists the members whose time is over, by id, and the time of the next one,
// zero if there is none.
func (m *members) due(now time.Time) (out []*member, next time.Time) {
	for _, mem := range m.sorted() {
		switch {
		case !mem.deadline.After(now):
			out = append(out, mem)
		case next.IsZero() || mem.deadline.Before(next):
			next = mem.deadline
		}
	}
	return out, next
}

// groupItem is what is stored of a group, as JSON.
type groupItem struct {
	Epoch   int32        `json:"epoch"`
	Members []memberItem `json:"members,omitempty"`
}

type memberItem struct {
	ID         string   `json:"id"`
	Rack       string   `json:"rack,omitempty"`
	ClientID   string   `json:"client_id"`
	ClientHost string   `json:"client_host"`
	Topics     []string `json:"topics"`
}

// item encodes what is stored.
func (m *members) item() ([]byte, error) {
	g := groupItem{Epoch: m.epoch}
	for _, mem := range m.sorted() {
		g.Members = append(g.Members, memberItem{mem.id, mem.rack, mem.client.ID, mem.client.Host, mem.topics})
	}
	b, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("%w: encode share group: %w", storage.ErrInvalid, err)
	}
	return b, nil
}

// restoreMembers reads a group's item. Members have until deadline to say that
// they are still there.
func restoreMembers(it storage.Item, deadline time.Time) (name string, m *members, err error) {
	name = strings.TrimPrefix(it.Key, keyGroup)
	var g groupItem
	if err := json.Unmarshal(it.Value, &g); err != nil {
		return name, nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	m = &members{epoch: g.Epoch, byID: map[string]*member{}}
	for _, s := range g.Members {
		slices.Sort(s.Topics)
		m.byID[s.ID] = &member{
			id: s.ID, rack: s.Rack, client: Client{s.ClientID, s.ClientHost}, topics: s.Topics,
			epoch: g.Epoch, previous: g.Epoch, restored: true, deadline: deadline,
		}
	}
	return name, m, nil
}
