package txn

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// maxPatternBytes bounds the pattern of a listing: as long as an id.
const maxPatternBytes = maxIDBytes

// states are all that a listing may be limited to.
var states = [...]state{empty, ongoing, prepareCommit, prepareAbort, completed, aborted, dead}

// DescribeTransactions serves DescribeTransactions v0 (KIP-664).
func (c *Coordinator) DescribeTransactions(req *kmsg.DescribeTransactionsRequest) *kmsg.DescribeTransactionsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
	resp.TransactionStates = []kmsg.DescribeTransactionsResponseTransactionState{}
	for _, id := range req.TransactionalIDs {
		resp.TransactionStates = append(resp.TransactionStates, c.describe(id))
	}
	return resp
}

func (c *Coordinator) describe(id string) kmsg.DescribeTransactionsResponseTransactionState {
	s := kmsg.NewDescribeTransactionsResponseTransactionState()
	s.TransactionalID, s.ProducerID, s.ProducerEpoch, s.StartTimestamp = id, none, none, none
	s.Topics = []kmsg.DescribeTransactionsResponseTransactionStateTopic{}
	if id == "" {
		s.ErrorCode = int16(wire.InvalidRequest)
		return s
	}
	t := c.look(id)
	if t == nil {
		s.ErrorCode = int16(wire.TransactionalIDNotFound)
		return s
	}
	s.State, s.TimeoutMillis, s.ProducerID, s.ProducerEpoch = string(t.state), int32(t.timeoutMs), t.producerID, t.epoch
	if t.startMs > 0 {
		s.StartTimestamp = t.startMs
	}
	byName := map[string][]int32{}
	for tp := range t.partitions {
		if name, _, ok := c.cfg.Topics.ByID(tp.Topic); ok {
			byName[name] = append(byName[name], tp.Partition)
		}
	}
	for name, partitions := range byName {
		slices.Sort(partitions)
		st := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
		st.Topic, st.Partitions = name, partitions
		s.Topics = append(s.Topics, st)
	}
	slices.SortFunc(s.Topics, func(a, b kmsg.DescribeTransactionsResponseTransactionStateTopic) int {
		return strings.Compare(a.Topic, b.Topic)
	})
	return s
}

// look returns what an id is now, nil if nobody has used it.
func (c *Coordinator) look(id string) *txn {
	e := c.find(id, false)
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone || e.txn.epoch == none || e.txn.state == dead {
		return nil
	}
	return e.txn
}

// ListTransactions serves ListTransactions v0 to v2 (KIP-664, KIP-994,
// KIP-1152). As in Kafka the duration leaves out only what began less long ago,
// and what has not begun stays in; the pattern has to match the whole id.
func (c *Coordinator) ListTransactions(req *kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse {
	resp := req.ResponseKind().(*kmsg.ListTransactionsResponse)
	resp.UnknownStateFilters = []string{}
	resp.TransactionStates = []kmsg.ListTransactionsResponseTransactionState{}
	var pattern *regexp.Regexp
	if p := req.TransactionalIDPattern; req.Version >= 2 && p != nil && strings.TrimSpace(*p) != "" {
		var err error
		if pattern, err = compilePattern(*p); err != nil {
			resp.ErrorCode = int16(wire.InvalidRegularExpression)
			return resp
		}
	}
	for _, name := range req.StateFilters {
		if !slices.Contains(states[:], state(name)) {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, name)
		}
	}
	nowMs := c.cfg.Now().UnixMilli()
	for _, id := range c.known() {
		t := c.look(id)
		switch {
		case t == nil,
			len(req.ProducerIDFilters) > 0 && !slices.Contains(req.ProducerIDFilters, t.producerID),
			len(req.StateFilters) > 0 && !slices.Contains(req.StateFilters, string(t.state)),
			req.Version >= 1 && req.DurationFilterMillis >= 0 && nowMs-t.startMs <= req.DurationFilterMillis,
			pattern != nil && !pattern.MatchString(id):
			continue
		}
		s := kmsg.NewListTransactionsResponseTransactionState()
		s.TransactionalID, s.ProducerID, s.TransactionState = id, t.producerID, string(t.state)
		resp.TransactionStates = append(resp.TransactionStates, s)
	}
	slices.SortFunc(resp.TransactionStates, func(a, b kmsg.ListTransactionsResponseTransactionState) int {
		return cmp.Compare(a.TransactionalID, b.TransactionalID)
	})
	return resp
}

// compilePattern compiles a pattern that has to match all of an id. Kafka's
// RE2/J and Go read the same language.
func compilePattern(p string) (*regexp.Regexp, error) {
	if len(p) > maxPatternBytes {
		return nil, fmt.Errorf("a pattern of %d bytes, at most %d", len(p), maxPatternBytes)
	}
	if _, err := regexp.Compile(p); err != nil { // by itself: brackets must not close ours
		return nil, err
	}
	return regexp.Compile(`\A(?:` + p + `)\z`)
}

// known lists all transactional ids.
func (c *Coordinator) known() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]string, 0, len(c.ids))
	for id := range c.ids {
		out = append(out, id)
	}
	return out
}
