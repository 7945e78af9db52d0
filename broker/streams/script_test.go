package streams

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

var update = flag.Bool("update", false, "write the traces in testdata anew")

// TestScripts runs testdata/*.txt: lines that begin with "> " are commands, "#"
// comments, all others the trace of the command before.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the trace differs; got:\n%s", got)
			}
		})
	}
}

// fakeTopics are topics with as many partitions as it says.
type fakeTopics struct {
	sizes map[string]int32
	mark  int
}

func (f *fakeTopics) ByName(name string) (storage.TopicID, int32, bool) {
	n, ok := f.sizes[name]
	var id storage.TopicID
	copy(id[:], name)
	return id, n, ok
}

func (f *fakeTopics) Mark() any { return f.mark }

type script struct {
	t          *testing.T
	out        bytes.Buffer
	g          *Group
	topics     *fakeTopics
	settings   Settings
	topologies map[string]*Topology
	start, now time.Time
}

func runScript(t *testing.T, text string) []byte {
	start := time.UnixMilli(1_000_000)
	s := &script{
		t: t, start: start, now: start, topics: &fakeTopics{sizes: map[string]int32{}}, topologies: map[string]*Topology{},
		settings: Settings{Session: 45 * time.Second, Heartbeat: 5 * time.Second},
	}
	s.g = s.group()
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

func (s *script) group() *Group {
	return New(4, s.topics, func() Settings { return s.settings }, s.now)
}

func (s *script) run(words []string) {
	a := map[string]string{}
	var plain []string
	for _, w := range words {
		if key, value, ok := strings.Cut(w, "="); ok && !strings.Contains(key, ":") {
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
				s.topics.sizes[name] = int32(s.number(size))
			}
		}
		s.topics.mark++
		return
	case "set":
		s.set(a)
		return
	case "topology": // name, then id:key=names/key=names
		s.topologies[plain[1]] = s.topology(plain[2:], a)
		return
	case "missing":
		for _, m := range s.g.Missing(s.topologies[a["topology"]]) {
			fmt.Fprintf(&s.out, "%s:%d\n", m.Name, m.Partitions)
		}
		return
	case "at":
		d, err := time.ParseDuration(plain[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.start.Add(d)
		s.g.Tick(s.now)
	case "beat":
		s.reply(s.g.Beat(s.now, s.beat(plain[1], a)))
	case "commit":
		topic, numbers, _ := strings.Cut(plain[2], ":")
		fmt.Fprintln(&s.out, s.g.MayCommit(Committer{
			ID: plain[1], Epoch: int32(s.number(a["epoch"])), Bare: a["txn"] == "yes",
			Partitions: func() map[string][]int32 { return map[string][]int32{topic: s.numbers(numbers)} },
		}))
		return
	case "fetch":
		id := plain[1]
		fmt.Fprintln(&s.out, s.g.MayFetch(&id, int32(s.number(a["epoch"]))))
		return
	case "reads":
		fmt.Fprintln(&s.out, s.g.Reads(plain[1]))
		return
	case "restart":
		s.restart()
	default:
		s.t.Fatalf("unknown command %q", plain[0])
	}
	s.state()
}

func (s *script) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *script) numbers(text string) []int32 {
	var list []int32
	for w := range strings.SplitSeq(text, ",") {
		list = append(list, int32(s.number(w)))
	}
	return list
}

func (s *script) set(a map[string]string) {
	if v, ok := a["standbys"]; ok {
		s.settings.Standbys = s.number(v)
	}
	if v, ok := a["delay"]; ok {
		s.settings.InitialDelay, _ = time.ParseDuration(v)
	}
}

// topology reads subtopologies such as 0:reads=a,b/writes=r/logs=s/rep=r:2/with=a,b.
func (s *script) topology(words []string, a map[string]string) *Topology {
	t := &Topology{}
	if v, ok := a["epoch"]; ok {
		t.Epoch = int32(s.number(v))
	}
	for _, w := range words {
		id, rest, _ := strings.Cut(w, ":")
		sub := Subtopology{ID: id}
		for part := range strings.SplitSeq(rest, "/") {
			key, value, _ := strings.Cut(part, "=")
			names := strings.Split(value, ",")
			switch key {
			case "reads":
				sub.Sources = names
			case "writes":
				sub.Sinks = names
			case "logs":
				sub.Changelogs = s.internal(names)
			case "rep":
				sub.Repartitions = s.internal(names)
			case "with":
				sub.Copartitions = append(sub.Copartitions, names)
			default:
				s.t.Fatalf("unknown %q", key)
			}
		}
		t.Subtopologies = append(t.Subtopologies, sub)
	}
	return t
}

func (s *script) internal(names []string) []InternalTopic {
	var list []InternalTopic
	for _, n := range names {
		name, size, ok := strings.Cut(n, ":")
		it := InternalTopic{Name: name}
		if ok {
			it.Partitions = int32(s.number(size))
		}
		list = append(list, it)
	}
	return list
}

// beat reads a request: beat ID epoch=0 process=p topology=t owned=0_0,0_1
// standby=0_2; owned=- is none.
func (s *script) beat(id string, a map[string]string) Beat {
	r := Beat{ID: id, Epoch: int32(s.number(a["epoch"])), Rebalance: -1, Client: Client{ID: "client", Host: "/host"}}
	if r.Epoch == EpochJoin {
		r.Rebalance, r.Topology = time.Minute, s.topologies["t"]
		p := id
		r.Process = &p
	}
	for key, to := range map[string]**string{"process": &r.Process, "instance": &r.Instance, "rack": &r.Rack} {
		if v, ok := a[key]; ok {
			*to = &v
		}
	}
	if v, ok := a["topology"]; ok {
		r.Topology = s.topologies[v]
	}
	if v, ok := a["at"]; ok {
		r.Endpoint = &Endpoint{v, 80}
	}
	if v, ok := a["known"]; ok {
		r.EndpointEpoch = int32(s.number(v))
	}
	if v, ok := a["disk"]; ok {
		r.Offsets = map[Task]int64{}
		for w := range strings.SplitSeq(v, ",") {
			task, offset, _ := strings.Cut(w, ":")
			r.Offsets[s.tasks(task)[0]] = int64(s.number(offset))
		}
	}
	r.Shutdown = a["shutdown"] == "yes"
	if _, ok := a["owned"]; ok {
		r.Owned = &Assignment{Active: s.tasks(a["owned"]), Standby: s.tasks(a["standby"])}
	}
	return r
}

func (s *script) tasks(text string) Tasks {
	var list []Task
	for w := range strings.SplitSeq(text, ",") {
		if id, n, ok := strings.Cut(w, "_"); ok {
			list = append(list, Task{id, int32(s.number(n))})
		}
	}
	return NewTasks(list)
}

func (s *script) restart() {
	if err := s.g.Item().Check(); err != nil {
		s.t.Error(err)
	}
	raw, err := json.Marshal(s.g.Item())
	if err != nil {
		s.t.Fatal(err)
	}
	var it Item
	if err := json.Unmarshal(raw, &it); err != nil {
		s.t.Fatal(err)
	}
	s.g = s.group()
	s.g.Restore(s.now, &it)
	if again, _ := json.Marshal(s.g.Item()); !bytes.Equal(again, raw) {
		s.t.Errorf("stored and read:\n%s\n%s", raw, again)
	}
}

func (s *script) reply(r Reply) {
	if r.Code != wire.None {
		fmt.Fprintf(&s.out, "%s: %s\n", r.Code, r.Message)
		return
	}
	fmt.Fprintf(&s.out, "%s@%d again in %v", r.ID, r.Epoch, r.Interval)
	if r.Assigns {
		fmt.Fprintf(&s.out, " has %s", shown(r.Assignment))
	}
	for _, st := range r.Status {
		fmt.Fprintf(&s.out, "\n  status %d: %s", st.Code, st.Detail)
	}
	if r.Endpoints != nil {
		fmt.Fprintf(&s.out, "\n  endpoints %d:", r.EndpointEpoch)
		for _, e := range r.Endpoints {
			fmt.Fprintf(&s.out, " %s:%d active %v standby %v", e.Host, e.Port, e.Active, e.Standby)
		}
	}
	fmt.Fprintln(&s.out)
}

func shown(a Assignment) string {
	var parts []string
	for i, tasks := range []Tasks{a.Active, a.Standby, a.Warmup} {
		for _, k := range tasks {
			parts = append(parts, []string{"", "s", "w"}[i]+k.String())
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ",")
}

// state prints the group, and fails if it is not sound.
func (s *script) state() {
	if s.g.Changed() {
		fmt.Fprintln(&s.out, "store")
	}
	fmt.Fprintf(&s.out, "%s epoch=%d target=%d", s.g.State(), s.g.epoch, s.g.assigned)
	for _, m := range s.g.ordered() {
		fmt.Fprintf(&s.out, " | %s@%d %s has=%s", m.id, m.epoch, m.state, shown(m.assigned))
		if !m.revoking.empty() {
			fmt.Fprintf(&s.out, " revoking=%s", shown(m.revoking))
		}
		if !m.target.equal(m.assigned) {
			fmt.Fprintf(&s.out, " wants=%s", shown(m.target))
		}
	}
	if !s.g.wake.IsZero() {
		fmt.Fprintf(&s.out, " wake=%v", s.g.wake.Sub(s.start))
	}
	fmt.Fprintln(&s.out)
	if err := sound(s.g); err != nil {
		s.t.Error(err)
	}
}

// sound checks what must hold after every event.
func sound(g *Group) error {
	owner := map[Task]string{}
	disk := map[string][]Task{} // of each process
	for _, m := range g.ordered() {
		for _, k := range m.assigned.Active.union(m.revoking.Active) {
			if other, ok := owner[k]; ok {
				return fmt.Errorf("%s and %s have task %s", other, m.id, k)
			}
			owner[k] = m.id
		}
		for _, tasks := range []Tasks{m.assigned.Active, m.assigned.Standby, m.assigned.Warmup} {
			for _, k := range tasks {
				if slices.Contains(disk[m.process], k) {
					return fmt.Errorf("process %s has task %s twice", m.process, k)
				}
				disk[m.process] = append(disk[m.process], k)
			}
		}
		for k := range m.since {
			if !m.assigned.Active.has(k) && !m.revoking.Active.has(k) {
				return fmt.Errorf("%s remembers task %s, which it has not", m.id, k)
			}
		}
	}
	bytes := 0
	for _, m := range g.members {
		bytes += m.bytes()
	}
	if bytes != g.bytes {
		return fmt.Errorf("members take %d bytes, counted were %d", bytes, g.bytes)
	}
	return g.Item().Check()
}
