package group

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestConsumerScripts runs testdata/consumer/*.txt against the state machine of
// consumer groups, as TestScripts does with classic ones.
func TestConsumerScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/consumer/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runConsumerScript(t, string(want))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the trace differs:\n%s", firstDifference(string(want), string(got)))
			}
		})
	}
}

// sizedTopics are topics t0, t1, … with as many partitions as it says.
type sizedTopics struct {
	sizes map[string]int32
	mark  int
}

func scriptTopic(name string) storage.TopicID {
	n, _ := strconv.Atoi(strings.TrimLeft(name, "t"))
	return topicID(n)
}

func (s *sizedTopics) ByName(name string) (storage.TopicID, int32, bool) {
	n, ok := s.sizes[name]
	return scriptTopic(name), n, ok
}

func (s *sizedTopics) ByID(id storage.TopicID) (string, int32, bool) {
	name := fmt.Sprint("t", id[15])
	n, ok := s.sizes[name]
	return name, n, ok
}

func (s *sizedTopics) Names() []string { return slices.Sorted(maps.Keys(s.sizes)) }

func (s *sizedTopics) Mark() any { return s.mark }

// consumerScript is a machine with what a script needs around it.
type consumerScript struct {
	script
	c      *modern
	topics *sizedTopics
	saves  []effect
}

func runConsumerScript(t *testing.T, text string) []byte {
	start := time.UnixMilli(1_000_000)
	s := &consumerScript{script: script{t: t, start: start, now: start}, topics: &sizedTopics{sizes: map[string]int32{}}}
	s.c = s.machine()
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		cmd, ok := strings.CutPrefix(line, "> ")
		if ok || strings.HasPrefix(line, "#") || line == "" {
			fmt.Fprintln(&s.out, line)
		}
		if ok {
			s.run(strings.Fields(cmd))
		}
	}
	return s.out.Bytes()
}

func (s *consumerScript) machine() *modern {
	r := rules{minSession: 6 * time.Second, maxSession: 30 * time.Minute, maxMembers: 3}
	settings := consumerSettings{session: 45 * time.Second, heartbeat: 5 * time.Second}
	return newModern(r, s.topics, func() consumerSettings { return settings }, s.start)
}

func (s *consumerScript) run(words []string) {
	a := args{}
	var plain []string
	for _, w := range words {
		if key, value, ok := strings.Cut(w, "="); ok {
			a[key] = value
		} else {
			plain = append(plain, w)
		}
	}
	switch plain[0] {
	case "topics": // name:size; size - deletes
		for _, w := range plain[1:] {
			name, size, _ := strings.Cut(w, ":")
			delete(s.topics.sizes, name)
			if size != "-" {
				s.topics.sizes[name] = int32(s.number(size, ""))
			}
		}
		s.topics.mark++
		return
	case "at":
		s.now = s.start.Add(s.duration(plain[1], ""))
		s.c.tick(s.now)
	case "beat":
		s.c.beat(s.now, s.beat(plain[1], a))
	case "adopt": // id=topic:numbers …: a classic group's members
		s.adopt(a)
	case "join":
		r := s.joinRequest(plain[1], a)
		m := kmsg.NewConsumerMemberMetadata()
		m.Version, m.Topics = 1, strings.Split(a["topics"], ",")
		if owned, ok := a["owned"]; ok {
			parsePartitions(s.t, owned).topics(func(id storage.TopicID, numbers []int32) {
				m.OwnedPartitions = append(m.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{
					Topic: fmt.Sprint("t", id[15]), Partitions: numbers})
			})
		}
		for i := range r.protocols {
			r.protocols[i].Metadata = m.AppendTo(nil)
		}
		s.c.join(s.now, r)
	case "sync":
		s.c.sync(s.now, syncRequest{to: s.token(plain[1]), memberID: a["id"], instance: a.instance(), generation: int32(s.number(a["gen"], ""))})
	case "heartbeat":
		fmt.Fprintln(&s.out, s.c.heartbeat(s.now, a["id"], a.instance(), int32(s.number(a["gen"], ""))))
	case "leave":
		s.c.leave(s.now, s.token(plain[1]), leaveMembers(plain[2:]))
	case "commit", "fetch":
		id := a["id"]
		code := s.c.mayFetch(&id, int32(s.number(a["epoch"], "-1")))
		if plain[0] == "commit" {
			code = s.c.mayCommit(s.now, committer{id: id, instance: a.instance(), epoch: int32(s.number(a["epoch"], "-1")),
				txn: a["txn"] == "yes", version: int16(s.number(a["v"], "9")), partitions: s.committed(a)})
		}
		fmt.Fprintln(&s.out, code)
		return
	case "reads":
		fmt.Fprintln(&s.out, s.c.reads()(plain[1]))
		return
	case "stored":
		if len(s.saves) == 0 {
			s.t.Error("nothing is being stored")
			return
		}
		f := s.saves[0]
		s.saves = s.saves[1:]
		f.then(s.now, wire.Code(s.number(a["code"], "0")))
	case "restart":
		it := s.c.snapshot()
		if err := it.checkConsumers(); err != nil {
			s.t.Error(err)
		}
		s.c = s.machine()
		s.c.restore(s.now, *it)
		s.saves = nil
	default:
		s.t.Fatalf("unknown command %q", plain[0])
	}
	s.print()
}

// committed is what a commit is of, such as of=t0:0,1; nil without.
func (s *consumerScript) committed(a args) func() map[string][]int32 {
	if a["of"] == "" {
		return nil
	}
	return func() map[string][]int32 {
		out := map[string][]int32{}
		parsePartitions(s.t, a["of"]).topics(func(id storage.TopicID, numbers []int32) { out[fmt.Sprint("t", id[15])] = numbers })
		return out
	}
}

// beat reads a request: topics=t0,t1 owned=t0:0,1/t1:2 (owned=- is none).
func (s *consumerScript) beat(label string, a args) beat {
	r := beat{
		to: s.token(label), id: a["id"], epoch: int32(s.number(a["epoch"], "0")), instance: a.instance(),
		client: Client{ID: "client", Host: "/host"}, rebalance: -1,
	}
	if v, ok := a["rebalance"]; ok {
		r.rebalance = s.duration(v, "")
	} else if r.epoch == epochJoin {
		r.rebalance = time.Minute
	}
	if v, ok := a["topics"]; ok {
		r.names = slices.DeleteFunc(strings.Split(v, ","), func(s string) bool { return s == "" })
	}
	for key, to := range map[string]**string{"regex": &r.regex, "assignor": &r.assignor, "rack": &r.rack} {
		if v, ok := a[key]; ok {
			*to = &v
		}
	}
	v, ok := a["owned"]
	if r.hasOwned = ok || r.epoch == epochJoin; ok {
		r.owned = parsePartitions(s.t, v)
	}
	return r
}

// parsePartitions reads t0:0,1/t1:2; - is none.
func parsePartitions(t *testing.T, text string) partitions {
	t.Helper()
	if text == "-" {
		return nil
	}
	var keys []offsetKey
	for part := range strings.SplitSeq(text, "/") {
		name, list, _ := strings.Cut(part, ":")
		for n := range strings.SplitSeq(list, ",") {
			number, err := strconv.ParseInt(n, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, offsetKey{scriptTopic(name), int32(number)})
		}
	}
	return newPartitions(keys)
}

// adopt begins with a classic group of generation 7 whose members read t0.
func (s *consumerScript) adopt(a args) {
	it := &groupItem{Type: typeClassic, ProtocolType: consumerType, Protocol: "range", Generation: 7}
	for _, id := range slices.Sorted(maps.Keys(a)) {
		mi := memberItem{ID: id, SessionMs: 10_000, RebalanceMs: 60_000, Protocols: []protocol{{"range", subscription("t0")}}}
		parsePartitions(s.t, a[id]).topics(func(id storage.TopicID, numbers []int32) {
			mi.Assignment = assignment(fmt.Sprint("t", id[15]), numbers...)
		})
		it.Members = append(it.Members, mi)
	}
	if !s.c.adopt(s.now, it) {
		s.t.Error("the group cannot be read")
	}
}

func partitionsText(p partitions) string {
	var parts []string
	p.topics(func(id storage.TopicID, numbers []int32) {
		text := fmt.Sprint(numbers)
		parts = append(parts, fmt.Sprintf("t%d:%s", id[15], strings.ReplaceAll(text[1:len(text)-1], " ", ",")))
	})
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, "/")
}

func (s *consumerScript) print() {
	for _, f := range s.c.take() {
		if f.snapshot != nil {
			s.saves = append(s.saves, f)
			fmt.Fprintln(&s.out, "store")
			continue
		}
		fmt.Fprintf(&s.out, "%s: %s\n", s.labels[f.to-1], beatText(f.answer))
	}
	m := s.c
	if m.successor != nil {
		fmt.Fprintf(&s.out, "classic: %s gen=%d protocol=%s%s\n", m.successor.state, m.successor.generation,
			m.successor.protocol, storedMembers(m.successorItem))
		return
	}
	fmt.Fprintf(&s.out, "%s epoch=%d target=%d", m.stateName(), m.epoch, m.assigned)
	for _, mem := range m.ordered() {
		fmt.Fprintf(&s.out, " | %s@%d %s has=%s", mem.id, mem.epoch, mem.state, partitionsText(mem.assigned))
		if len(mem.revoking) > 0 {
			fmt.Fprintf(&s.out, " revoking=%s", partitionsText(mem.revoking))
		}
		if mem.classic != nil {
			fmt.Fprint(&s.out, " classic")
		}
		if !slices.Equal(mem.target, mem.assigned) {
			fmt.Fprintf(&s.out, " wants=%s", partitionsText(mem.target))
		}
	}
	if !m.wake.IsZero() {
		fmt.Fprintf(&s.out, " wake=%s", m.wake.Sub(s.start))
	}
	fmt.Fprintln(&s.out)
	checkModern(s.t, m)
}

func beatText(answer any) string {
	if r, ok := answer.(syncReply); ok && r.code == wire.None {
		topics, ok := parseAssignment(r.assignment)
		return fmt.Sprint("sync ", topics, ok)
	}
	r, ok := answer.(beatReply)
	switch {
	case !ok:
		return answerText(answer)
	case r.code != wire.None:
		return r.code.String()
	}
	text := fmt.Sprintf("%s@%d", r.id, r.epoch)
	if r.assigns {
		text += " has " + partitionsText(r.assignment)
	}
	return text
}

// checkModern holds the machine to what must be true at all times.
func checkModern(t *testing.T, m *modern) {
	t.Helper()
	owners := map[offsetKey]string{}
	bytes := 0
	for id, mem := range m.members {
		if mem.id != id {
			t.Errorf("member %s is filed under %s", mem.id, id)
		}
		if mem.static && m.instances[mem.instance] != id {
			t.Errorf("instance %s is %s, not %s", mem.instance, m.instances[mem.instance], id)
		}
		for _, k := range slices.Concat(mem.assigned, mem.revoking) {
			if other, ok := owners[k]; ok {
				t.Errorf("partition %v belongs to %s and %s", k, other, id)
			}
			owners[k] = id
		}
		if mem.epoch > m.assigned {
			t.Errorf("member %s is of epoch %d, the target of %d", id, mem.epoch, m.assigned)
		}
		if (mem.state == unrevoked) != (len(mem.revoking) > 0) || (mem.state == unrevoked && mem.classic == nil) == mem.revokeBy.IsZero() {
			t.Errorf("member %s is %s, revokes %v until %v", id, mem.state, mem.revoking, mem.revokeBy)
		}
		if m.wake.IsZero() || m.wake.After(mem.deadline) {
			t.Errorf("nobody wakes for the session of %s", id)
		}
		bytes += mem.bytes()
	}
	if !maps.Equal(owners, m.owners) || bytes != m.bytes {
		t.Errorf("owners are %v, noted %v; bytes %d, noted %d", owners, m.owners, bytes, m.bytes)
	}
	if m.epoch < m.assigned {
		t.Errorf("the target is of epoch %d, the group of %d", m.assigned, m.epoch)
	}
	checkTarget(t, m)
}

// checkTarget sees that a target gives each partition that somebody reads to
// one who reads it.
func checkTarget(t *testing.T, m *modern) {
	t.Helper()
	if m.epoch != m.assigned || m.stale || m.mark != m.topics.Mark() {
		return // there is a new one to be made
	}
	given := map[offsetKey]string{}
	for _, mem := range m.members {
		for _, k := range mem.target {
			if other, ok := given[k]; ok {
				t.Errorf("the target gives %v to %s and %s", k, other, mem.id)
			}
			given[k] = mem.id
			if !slices.Contains(m.topicsOf(mem), k.topic) || k.partition >= m.sizes[k.topic] {
				t.Errorf("the target gives %v to %s, who does not read it", k, mem.id)
			}
		}
	}
	for id, n := range m.sizes {
		for p := range n {
			if given[offsetKey{id, p}] == "" {
				t.Errorf("the target gives partition %d of %s to nobody", p, id)
			}
		}
	}
}
