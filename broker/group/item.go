package group

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/streams"
)

// Keys of the items; the values are JSON, see README.md.
const (
	keyGroup  = "group/"
	keyOffset = "offset/"
)

// groupItem is a group as it is stored: with members if it was stable, without
// if it was empty. Nothing in between is ever stored.
type groupItem struct {
	Type         string       `json:"type"` // "classic", "consumer" or "streams"
	ProtocolType string       `json:"protocol_type"`
	Protocol     string       `json:"protocol,omitempty"`
	Generation   int32        `json:"generation"`
	Leader       string       `json:"leader,omitempty"`
	SinceMs      int64        `json:"since_ms"`
	Members      []memberItem `json:"members,omitempty"`
	// Rebalancing is set when a consumer group has become a classic one, until
	// its members have joined again: what they had then is not the whole.
	Rebalancing bool `json:"rebalancing,omitempty"`

	// Of consumer groups, whose epoch is Generation. Topics is a hash of the
	// topics that the epoch was raised for last.
	AssignmentEpoch int32          `json:"assignment_epoch,omitempty"`
	Topics          uint64         `json:"topics_hash,omitempty"`
	Consumers       []consumerItem `json:"consumers,omitempty"`

	Streams *streams.Item `json:"streams,omitempty"` // of streams groups
}

type memberItem struct {
	ID          string     `json:"id"`
	Instance    *string    `json:"instance,omitempty"`
	ClientID    string     `json:"client_id"`
	ClientHost  string     `json:"client_host"`
	SessionMs   int64      `json:"session_ms"`
	RebalanceMs int64      `json:"rebalance_ms"`
	Protocols   []protocol `json:"protocols"`
	Assignment  []byte     `json:"assignment"`
}

// offsetKey names one committed offset within a group.
type offsetKey struct {
	topic     storage.TopicID
	partition int32
}

// offset is one committed offset.
type offset struct {
	Offset      int64  `json:"offset"`
	LeaderEpoch int32  `json:"leader_epoch"`
	Metadata    string `json:"metadata"`
	CommitMs    int64  `json:"commit_ms"`
	// ExpireMs is when a client of OffsetCommit v2 to v4 asked it to go; 0: it
	// goes by the broker's retention.
	ExpireMs int64 `json:"expire_ms,omitempty"`
}

// snapshot is the group as it would be stored now. While an assignment is on
// its way, it is that which counts.
func (m *machine) snapshot() *groupItem {
	it := &groupItem{
		Type: typeClassic, ProtocolType: m.protocolType, Protocol: m.protocol,
		Generation: m.generation, Leader: m.leader, SinceMs: m.since.UnixMilli(),
	}
	for _, mem := range m.ordered() {
		mi := memberItem{
			ID: mem.id, ClientID: mem.client.ID, ClientHost: mem.client.Host,
			SessionMs: mem.session.Milliseconds(), RebalanceMs: mem.rebalance.Milliseconds(),
			Protocols: mem.protocols, Assignment: mem.assignment,
		}
		if mem.static {
			instance := mem.instance
			mi.Instance = &instance
		}
		if m.assigning != nil {
			mi.Assignment = m.assigning.byMember[mem.id]
		}
		it.Members = append(it.Members, mi)
	}
	return it
}

// restore makes a machine from a stored group: stable if it had members, whose
// sessions start anew, or rebalancing if it was so stored; else empty.
func restore(r rules, now time.Time, it groupItem) *machine {
	m := newMachine(r, now)
	m.protocolType, m.protocol = it.ProtocolType, it.Protocol
	m.generation = it.Generation
	m.since = time.UnixMilli(it.SinceMs)
	for _, mi := range it.Members {
		mem := &member{
			id: mi.ID, client: Client{ID: mi.ClientID, Host: mi.ClientHost},
			session:   time.Duration(mi.SessionMs) * time.Millisecond,
			rebalance: time.Duration(mi.RebalanceMs) * time.Millisecond,
			protocols: mi.Protocols, assignment: mi.Assignment,
		}
		if mi.Instance != nil {
			mem.static, mem.instance = true, *mi.Instance
		}
		m.insert(mem)
		m.touch(now, mem)
	}
	if len(m.members) > 0 {
		m.state, m.leader = stable, it.Leader
		if it.Rebalancing {
			m.prepare(now)
		}
	}
	return m
}

func decodeGroup(it storage.Item) (string, groupItem, error) {
	var g groupItem
	if err := json.Unmarshal(it.Value, &g); err != nil {
		return "", g, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	ids := map[string]bool{}
	for _, mi := range g.Members {
		if mi.ID == "" || ids[mi.ID] {
			return "", g, fmt.Errorf("%w: item %q has member %q twice or without id", storage.ErrBroken, it.Key, mi.ID)
		}
		if mi.SessionMs <= 0 || mi.RebalanceMs <= 0 {
			return "", g, fmt.Errorf("%w: item %q has member %q without timeouts", storage.ErrBroken, it.Key, mi.ID)
		}
		ids[mi.ID] = true
	}
	if len(g.Members) > 0 && !ids[g.Leader] {
		return "", g, fmt.Errorf("%w: item %q has leader %q, who is no member", storage.ErrBroken, it.Key, g.Leader)
	}
	if err := g.checkConsumers(); err != nil {
		return "", g, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	if err := g.checkStreams(); err != nil {
		return "", g, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	return strings.TrimPrefix(it.Key, keyGroup), g, nil
}

// key is the item's key: offset/<group>/<topic id>/<partition>. A group's name
// may hold slashes, the rest does not: it is read from the right.
func (k offsetKey) key(group string) string {
	return keyOffset + group + "/" + k.topic.String() + "/" + strconv.Itoa(int(k.partition))
}

func decodeOffset(it storage.Item) (string, offsetKey, offset, error) {
	var (
		k offsetKey
		o offset
	)
	broken := func(err error) (string, offsetKey, offset, error) {
		return "", k, o, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	parts := strings.Split(strings.TrimPrefix(it.Key, keyOffset), "/")
	if len(parts) < 3 {
		return broken(fmt.Errorf("its key has %d parts", len(parts)))
	}
	n := len(parts) - 2
	id, err := parseTopicID(parts[n])
	if err != nil {
		return broken(err)
	}
	k.topic = id
	p, err := strconv.ParseInt(parts[n+1], 10, 32)
	if err != nil {
		return broken(err)
	}
	k.partition = int32(p)
	if err := json.Unmarshal(it.Value, &o); err != nil {
		return broken(err)
	}
	return strings.Join(parts[:n], "/"), k, o, nil
}
