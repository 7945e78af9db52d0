package delta

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/tables"
)

// Keys of the table's configuration that are Tarn's. The offsets themselves are
// txn actions.
const (
	keySchema      = "tarn.schema"      // the table's schema, in tables' text form
	keyTopicID     = "tarn.topic_id"    // Progress.TopicID
	keyIncarnation = "tarn.incarnation" // Progress.Incarnation
	keyExtra       = "tarn.extra"       // Progress.Extra as JSON
)

// gone is the txn version of a partition that the progress no longer has:
// versions cannot be taken back.
const gone = -1

// state is a table as of one version: the result of replaying its log
// (protocol, "Action Reconciliation").
type state struct {
	version  int64
	timeMs   int64
	ours     bool // who wrote the version
	protocol protocol
	meta     *metaData
	txns     map[string]txn
	adds     []*add         // in the order they came; nil where removed
	byPath   map[string]int // index in adds
	removes  map[string]remove
	rows     int64
	bytes    int64

	schema   *tables.Schema  // from meta
	progress tables.Progress // from meta and txns

	// slot is where the version at hand has removed its first file, -1 nowhere:
	// what takes its place goes there, so that rows keep about their order.
	slot int

	foreign outsiders // changes of rows by others
	back    *setBack  // nil: nobody has taken rows of ours away by setting the table back

	checkpoint int64 // version of the newest checkpoint known, -1 none
	oldest     int64 // oldest version that has a commit file
}

func newState() *state {
	return &state{
		version: -1, txns: make(map[string]txn), byPath: make(map[string]int),
		removes: make(map[string]remove), checkpoint: -1,
	}
}

// apply replays the actions of one version, or of a checkpoint.
func (s *state) apply(version int64, actions []action) error {
	s.version, s.slot, s.ours = version, -1, false
	for _, a := range actions {
		switch {
		case a.CommitInfo != nil:
			s.timeMs, s.ours = a.CommitInfo.Timestamp, a.CommitInfo.EngineInfo == engineInfo
		case a.Protocol != nil:
			s.protocol = *a.Protocol
		case a.MetaData != nil:
			if err := s.setMeta(a.MetaData); err != nil {
				return err
			}
		case a.Txn != nil:
			s.txns[a.Txn.AppID] = *a.Txn
		case a.Add != nil:
			s.add(a.Add)
		case a.Remove != nil:
			s.remove(*a.Remove)
		}
	}
	if s.meta == nil {
		return fmt.Errorf("version %d: log has no metaData: %w", version, tables.ErrBroken)
	}
	s.progress.Offsets = s.offsets()
	s.pack()
	return nil
}

// pack closes the gaps in adds once they are most of it.
func (s *state) pack() {
	if len(s.adds) < 2*len(s.byPath)+1000 {
		return
	}
	s.adds = s.live()
	for i, a := range s.adds {
		s.byPath[a.Path] = i
	}
}

// setMeta reads schema and progress, but for the offsets, out of the
// configuration.
func (s *state) setMeta(meta *metaData) error {
	conf := meta.Configuration
	text, ok := conf[keySchema]
	if !ok {
		return fmt.Errorf("version %d: no schema of Tarn's in the configuration: %w", s.version, tables.ErrNotOurs)
	}
	var schema tables.Schema
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		return fmt.Errorf("version %d: %s: %w: %w", s.version, keySchema, tables.ErrBroken, err)
	}
	p := tables.Progress{TopicID: conf[keyTopicID], Incarnation: conf[keyIncarnation]}
	if extra, ok := conf[keyExtra]; ok {
		if err := json.Unmarshal([]byte(extra), &p.Extra); err != nil {
			return fmt.Errorf("version %d: %s: %w: %w", s.version, keyExtra, tables.ErrBroken, err)
		}
	}
	s.meta, s.schema, s.progress = meta, &schema, p
	return nil
}

// offsets collects the progress's offsets from the txns.
func (s *state) offsets() map[int32]int64 {
	out := make(map[int32]int64)
	prefix := appPrefix(s.progress)
	for id, t := range s.txns {
		digits, ok := strings.CutPrefix(id, prefix)
		if !ok || t.Version == gone {
			continue
		}
		// What is no number is another log's, whose name begins like this one.
		if n, err := strconv.ParseInt(digits, 10, 32); err == nil {
			out[int32(n)] = t.Version
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (s *state) add(a *add) {
	s.drop(a.Path)
	delete(s.removes, a.Path)
	if !a.DataChange && s.slot >= 0 {
		s.byPath[a.Path], s.adds[s.slot], s.slot = s.slot, a, -1
	} else {
		s.byPath[a.Path] = len(s.adds)
		s.adds = append(s.adds, a)
	}
	s.rows += max(0, a.rows)
	s.bytes += a.Size
}

func (s *state) remove(r remove) {
	if i, ok := s.byPath[r.Path]; ok && !r.DataChange && (s.slot < 0 || i < s.slot) {
		s.slot = i
	}
	s.drop(r.Path)
	s.removes[r.Path] = r
}

func (s *state) drop(path string) {
	i, ok := s.byPath[path]
	if !ok {
		return
	}
	s.rows -= max(0, s.adds[i].rows)
	s.bytes -= s.adds[i].Size
	delete(s.byPath, path)
	s.adds[i] = nil
}

// appPrefix begins the appIds of a progress; the partition follows. It is
// Delta's own exactly-once: version is the next offset.
func appPrefix(p tables.Progress) string {
	return "tarn:" + p.TopicID + ":" + p.Incarnation + ":"
}

// progressActions are the actions that lead from one progress to another: a
// txn for each offset that changes, and a metaData action for the rest.
// changed says whether meta was changed and must be written.
func progressActions(from, to tables.Progress, meta *metaData, nowMs int64) (txns []action, changed bool, err error) {
	sameLog := from.TopicID == to.TopicID && from.Incarnation == to.Incarnation
	prefix := appPrefix(to)
	set := func(partition int32, version int64) {
		id := prefix + strconv.Itoa(int(partition))
		txns = append(txns, action{Txn: &txn{id, version, nowMs}})
	}
	for partition, next := range to.Offsets {
		if have, ok := from.Offsets[partition]; !ok || have != next || !sameLog {
			set(partition, next)
		}
	}
	if sameLog {
		for partition := range from.Offsets {
			if _, ok := to.Offsets[partition]; !ok {
				set(partition, gone)
			}
		}
	}
	if sameLog && maps.Equal(from.Extra, to.Extra) {
		return txns, false, nil
	}
	meta.Configuration[keyTopicID], meta.Configuration[keyIncarnation] = to.TopicID, to.Incarnation
	delete(meta.Configuration, keyExtra)
	if len(to.Extra) > 0 {
		extra, err := json.Marshal(to.Extra)
		if err != nil {
			return nil, false, fmt.Errorf("encode further keys: %w", err)
		}
		meta.Configuration[keyExtra] = string(extra)
	}
	return txns, true, nil
}

// held is what a commit must expect: the progress, or what the rows say if the
// table was set back; no commit is right if they do not say it.
func (s *state) held() (p tables.Progress, ok bool) {
	if s.back == nil {
		return s.progress, true
	}
	return s.back.rows, s.back.rows.TopicID != ""
}

// live returns the adds that are not removed.
func (s *state) live() []*add {
	out := make([]*add, 0, len(s.byPath))
	for _, a := range s.adds {
		if a != nil {
			out = append(out, a)
		}
	}
	return out
}

// tombstones are the removes that a checkpoint must keep: readers of older
// versions may still use the files.
func (s *state) tombstones(sinceMs int64) []remove {
	var out []remove
	for _, r := range s.removes {
		if r.DeletionTimestamp >= sinceMs {
			out = append(out, r)
		}
	}
	return out
}
