package group

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

var update = flag.Bool("update", false, "write what scripts print into testdata")

// TestScripts runs testdata/*.txt against the state machine. Lines that begin
// with "> " are commands, those with "#" comments; all others are what the
// machine is expected to do, the whole of it.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 8 {
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
				t.Errorf("the trace differs:\n%s", firstDifference(string(want), string(got)))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(w), len(g))
}

// script is a machine with what a script needs around it.
type script struct {
	t      *testing.T
	m      *machine
	start  time.Time
	now    time.Time
	labels []string // of tokens, from 1
	stores []effect
	out    bytes.Buffer
}

func runScript(t *testing.T, text string) []byte {
	start := time.UnixMilli(1_000_000)
	s := &script{t: t, start: start, now: start}
	s.m = newMachine(rules{minSession: 6 * time.Second, maxSession: 30 * time.Minute, maxMembers: 100}, start)
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

// args are the key=value words of a command.
type args map[string]string

func (a args) instance() *string {
	if v, ok := a["instance"]; ok {
		return &v
	}
	return nil
}

func (s *script) number(v, otherwise string) int {
	if v == "" {
		v = otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *script) duration(v, otherwise string) time.Duration {
	if v == "" {
		v = otherwise
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *script) run(words []string) {
	a := args{}
	var plain []string
	for _, w := range words {
		if key, value, ok := strings.Cut(w, "="); ok {
			a[key] = value
		} else {
			plain = append(plain, w)
		}
	}
	m, before := s.m, s.m.state
	switch plain[0] {
	case "rules":
		m.initialDelay = s.duration(a["delay"], "0s")
		m.maxMembers = s.number(a["max"], "100")
	case "at":
		s.now = s.start.Add(s.duration(plain[1], ""))
		m.tick(s.now)
	case "join":
		m.join(s.now, s.joinRequest(plain[1], a))
	case "sync":
		r := syncRequest{to: s.token(plain[1]), memberID: a["id"], instance: a.instance(), generation: int32(s.number(a["gen"], ""))}
		r.assignments = map[string][]byte{}
		for part := range strings.SplitSeq(a["assign"], ",") {
			if id, bytes, ok := strings.Cut(part, ":"); ok {
				r.assignments[id] = []byte(bytes)
			}
		}
		if v, ok := a["protocol"]; ok {
			r.protocol = &v
		}
		m.sync(s.now, r)
	case "heartbeat":
		fmt.Fprintln(&s.out, m.heartbeat(s.now, a["id"], a.instance(), int32(s.number(a["gen"], ""))))
	case "commit":
		fmt.Fprintln(&s.out, m.mayCommit(s.now, committer{id: a["id"], instance: a.instance(), epoch: int32(s.number(a["gen"], "-1")), txn: a["txn"] == "yes"}))
	case "leave":
		s.leave(plain, a)
	case "stored":
		s.stored(a)
	case "die":
		m.die(s.now)
	case "revive":
		m.revive(s.now)
	case "restart":
		it := s.m.snapshot()
		s.m = restore(m.rules, s.now, *it)
	default:
		s.t.Fatalf("unknown command %q", plain[0])
	}
	s.print(before)
}

func (s *script) token(label string) token {
	s.labels = append(s.labels, label)
	return token(len(s.labels))
}

func (s *script) joinRequest(label string, a args) joinRequest {
	r := joinRequest{
		to: s.token(label), version: int16(s.number(a["v"], "5")), memberID: a["id"], newID: a["new"],
		instance: a.instance(), client: Client{ID: "client", Host: "/host"},
		session: s.duration(a["session"], "10s"), rebalance: s.duration(a["rebalance"], "60s"), protocolType: "consumer",
	}
	if v, ok := a["type"]; ok {
		r.protocolType = v
	}
	protocols := "range:x"
	if v, ok := a["protocols"]; ok {
		protocols = v
	}
	for part := range strings.SplitSeq(protocols, ",") {
		if name, bytes, ok := strings.Cut(part, ":"); ok {
			r.protocols = append(r.protocols, protocol{name, []byte(bytes)})
		}
	}
	return r
}

// leave takes members as further words: an id, @instance, or id@instance.
func (s *script) leave(plain []string, _ args) {
	s.m.leave(s.now, s.token(plain[1]), leaveMembers(plain[2:]))
}

func leaveMembers(words []string) []leaveMember {
	var members []leaveMember
	for _, w := range words {
		id, instance, static := strings.Cut(w, "@")
		lm := leaveMember{id: id}
		if static {
			lm.instance = &instance
		}
		members = append(members, lm)
	}
	return members
}

// stored brings back the outcome of the oldest store.
func (s *script) stored(a args) {
	if len(s.stores) == 0 {
		s.t.Errorf("nothing is being stored")
		return
	}
	f := s.stores[0]
	s.stores = s.stores[1:]
	f.then(s.now, wire.Code(s.number(a["code"], "0")))
}

func (s *script) print(before state) {
	for _, f := range s.m.take() {
		if f.store != nil {
			s.stores = append(s.stores, f)
			fmt.Fprintf(&s.out, "store gen=%d protocol=%q%s\n", f.store.Generation, f.store.Protocol, storedMembers(f.store))
			continue
		}
		fmt.Fprintf(&s.out, "%s: %s\n", s.labels[f.to-1], answerText(f.answer))
	}
	m := s.m
	fmt.Fprintf(&s.out, "%s gen=%d", m.state, m.generation)
	if m.leader != "" {
		fmt.Fprintf(&s.out, " leader=%s", m.leader)
	}
	for _, mem := range m.ordered() {
		fmt.Fprintf(&s.out, " %s%s", mem.id, flags(mem))
	}
	var pending []string
	for id := range m.pending {
		pending = append(pending, id)
	}
	sort.Strings(pending)
	if len(pending) > 0 {
		fmt.Fprintf(&s.out, " pending=%s", strings.Join(pending, ","))
	}
	if !m.wake.IsZero() {
		fmt.Fprintf(&s.out, " wake=%s", m.wake.Sub(s.start))
	}
	fmt.Fprintln(&s.out)
	s.check(before)
}

func flags(mem *member) string {
	s := ""
	for _, f := range []struct {
		on   bool
		text string
	}{{mem.isNew, "new"}, {mem.joinTo != 0, "joins"}, {mem.syncTo != 0, "syncs"}, {mem.unsynced, "unsynced"}} {
		if f.on {
			s += "+" + f.text
		}
	}
	return s
}

func storedMembers(g *groupItem) string {
	s := ""
	for _, m := range g.Members {
		s += fmt.Sprintf(" %s=%q", m.ID, m.Assignment)
	}
	return s
}

func answerText(answer any) string {
	switch a := answer.(type) {
	case joinReply:
		s := fmt.Sprintf("join %s member=%s", a.code, a.memberID)
		if a.code == wire.None {
			s += fmt.Sprintf(" gen=%d protocol=%s leader=%s", a.generation, a.protocol, a.leader)
		}
		if a.skip {
			s += " skip"
		}
		for _, m := range a.members {
			s += fmt.Sprintf(" [%s %s", m.id, m.metadata)
			if m.instance != nil {
				s += " @" + *m.instance
			}
			s += "]"
		}
		return s
	case syncReply:
		if a.code != wire.None {
			return fmt.Sprintf("sync %s", a.code)
		}
		return fmt.Sprintf("sync %s assignment=%q protocol=%s", a.code, a.assignment, a.protocol)
	case leaveReply:
		return fmt.Sprintf("leave %s %v", a.code, a.codes)
	case wire.Code:
		return a.String()
	}
	return fmt.Sprint("unknown answer ", answer)
}

// check holds the machine to what must be true at all times.
func (s *script) check(state) {
	m := s.m
	parked, sum := 0, 0
	common := map[string]int{}
	for id, mem := range m.members {
		if mem.id != id {
			s.t.Errorf("member %s is filed under %s", mem.id, id)
		}
		if mem.joinTo != 0 {
			parked++
		}
		if mem.syncTo != 0 && m.state != completing {
			s.t.Errorf("a sync of %s is parked in %s", id, m.state)
		}
		if mem.static && m.instances[mem.instance] != id {
			s.t.Errorf("instance %s is %s, not %s", mem.instance, m.instances[mem.instance], id)
		}
		if mem.sessionRuns() && (m.wake.IsZero() || m.wake.After(mem.deadline)) {
			s.t.Errorf("nobody wakes for the session of %s", id)
		}
		for _, p := range mem.protocols {
			common[p.Name]++
		}
		sum += mem.bytes()
	}
	if parked != m.parked || sum != m.bytes || fmt.Sprint(common) != fmt.Sprint(m.common) {
		s.t.Errorf("sums are off: parked %d, have %d; bytes %d, have %d; protocols %v, have %v",
			m.parked, parked, m.bytes, sum, m.common, common)
	}
	if m.leader != "" && m.members[m.leader] == nil || m.leader == "" && len(m.members) > 0 {
		s.t.Errorf("leader %q is no member", m.leader)
	}
	if (m.state == empty || m.state == dead) && len(m.members) > 0 {
		s.t.Errorf("%s with members", m.state)
	}
	if slices.Contains([]state{completing, stable}, m.state) && m.protocol == "" {
		s.t.Errorf("%s without a protocol", m.state)
	}
	if m.state == preparing && m.joinAt.IsZero() {
		s.t.Error("the join phase has no end")
	}
	if m.assigning != nil && m.state != completing {
		s.t.Errorf("an assignment is on its way in %s", m.state)
	}
}
