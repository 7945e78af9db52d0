package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/console"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/sink"
)

const (
	// sampleEvery is how often numbers are taken for the console's charts.
	sampleEvery = time.Second
	// sampleLonger is how long that goes on after somebody has looked last.
	sampleLonger = 24 * time.Hour
	// sampleLogs is how many partitions are looked at each second; of a broker with
	// more, numbers are taken every 15 s only.
	sampleLogs = 5000
	sampleRare = 15
	// sampleNames bounds the topics and groups that have a series of their own.
	sampleNames = 80
	// littleDisk is how little is left when that is worth a word, in bytes.
	littleDisk = 5 << 30
)

// chartSampler takes the numbers of the console's charts, from the first time that somebody
// asks for them. Safe for concurrent use.
type chartSampler struct {
	n *node

	mu      sync.Mutex
	ring    *console.Ring // nil until it has begun; guarded by mu
	asked   time.Time     // guarded by mu
	running bool          // guarded by mu

	ends     map[string]int64 // by topic, when they were looked at last; owned by run
	rejected int64            // owned by run
	lastAt   time.Time        // owned by run
	round    int              // owned by run
}

// look returns the ring, and sees to it that numbers are taken.
func (s *chartSampler) look() *console.Ring {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == nil {
		s.ring = console.NewRing()
	}
	s.asked = time.Now()
	if !s.running {
		s.running = true
		go s.run(s.ring)
	}
	return s.ring
}

// run takes numbers until nobody looks any more or the broker stops.
func (s *chartSampler) run(ring *console.Ring) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	s.ends, s.lastAt = nil, time.Time{}
	ctx := context.Background() // looks at logs in memory only
	for {
		now := time.Now()
		if s.round++; s.n.broker.Topics().View().Partitions() <= sampleLogs || s.round%sampleRare == 0 {
			ring.Add(now, s.sample(ctx, now))
		}
		select {
		case <-tick.C:
		case <-s.n.stopping:
			return
		}
		s.mu.Lock()
		if time.Since(s.asked) > sampleLonger {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

// sample is one look at everything.
func (s *chartSampler) sample(ctx context.Context, now time.Time) map[string]float64 {
	out := map[string]float64{}
	seconds := now.Sub(s.lastAt).Seconds()
	before, ends := s.ends, map[string]int64{}
	total, first := 0.0, before == nil
	for _, t := range s.n.broker.Topics().View().All() {
		var end int64
		for p := range t.Partitions {
			if log, err := s.n.broker.Logs().Log(ctx, storage.TP{Topic: t.ID, Partition: p}); err == nil {
				end += log.End()
			}
		}
		ends[t.Name] = end
		if was, ok := before[t.Name]; ok && end >= was && seconds > 0 {
			rate := float64(end-was) / seconds
			total += rate
			if len(out) < sampleNames {
				out["topic:"+t.Name] = rate
			}
		}
	}
	if !first {
		out["records"] = total
	}
	s.ends, s.lastAt = ends, now
	s.sampleGroups(ctx, out)
	s.sampleRejections(out, seconds, first)
	s.sampleTables(out, now)
	out["clients"] = float64(len(s.n.broker.Clients()))
	return out
}

func (s *chartSampler) sampleGroups(ctx context.Context, out map[string]float64) {
	var total int64
	room := sampleNames
	for _, g := range s.n.broker.Groups().Groups() {
		var lag int64
		for _, p := range s.n.lagOf(ctx, &g, false, func(string) bool { return true }) {
			lag += p.Lag
		}
		total += lag
		if room > 0 {
			out["group:"+g.Name] = float64(lag)
			room--
		}
	}
	out["lag"] = float64(total)
	s.sampleShares(ctx, out, room)
}

func (s *chartSampler) sampleRejections(out map[string]float64, seconds float64, first bool) {
	now := s.n.rejectedInAll()
	if !first && seconds > 0 {
		out["rejections"] = max(0, float64(now-s.rejected)/seconds)
	}
	s.rejected = now
}

func (s *chartSampler) sampleTables(out map[string]float64, now time.Time) {
	oldest, waiting, any := 0.0, int64(0), false
	for _, m := range s.n.tableMeasures(context.Background()) {
		waiting += m.Untranslated + m.Uncommitted
		if m.FreshMs > 0 {
			any = true
			oldest = max(oldest, now.Sub(time.UnixMilli(m.FreshMs)).Seconds())
		}
	}
	if any {
		out["freshness"] = oldest
		out["waiting"] = float64(waiting)
	}
}

// tableMeasures are the tables' figures, from memory.
func (n *node) tableMeasures(ctx context.Context) []sink.Measure {
	if n.sinks == nil {
		return nil
	}
	return n.sinks.Measures(ctx)
}

// rejectedInAll counts records that did not fit and were kept out, of all topics.
func (n *node) rejectedInAll() int64 {
	var all int64
	if n.validator == nil {
		return 0
	}
	for _, t := range n.validator.Tallies() {
		for _, c := range t.Bad {
			if !c.Monitored {
				all += c.Records
			}
		}
	}
	return all
}

// overviewInfo is the broker at a glance.
type overviewInfo struct {
	Version string `json:"version"`
	Kafka   string `json:"kafka"`
	Storage string `json:"storage"`
	// StartedMs is when the broker was ready, Unix ms.
	StartedMs int64 `json:"started_ms"`
	// Partial says that one may not describe the cluster: topics, groups and tables are
	// those that one may describe, and what is the cluster's own is left away.
	Partial    bool          `json:"partial,omitempty"`
	Topics     int           `json:"topics"`
	Partitions int           `json:"partitions"`
	Groups     int           `json:"groups"`
	Tables     []tableGlance `json:"tables"`
	*ClusterGlance
}

// ClusterGlance is what of a broker only who may describe the cluster sees. It has a name
// of its own to be read back from JSON.
type ClusterGlance struct {
	ClusterID string `json:"cluster_id"`
	Data      string `json:"data"`
	Warehouse string `json:"warehouse"`
	Subjects  int    `json:"subjects"`
	Clients   int    `json:"clients"`
	// Rejected is since the start.
	Rejected  int64 `json:"rejected"`
	DiskTotal int64 `json:"disk_total"`
	DiskFree  int64 `json:"disk_free"`
	// Resident is what the process has of the machine's memory, in bytes; 0: unknown.
	Resident int64         `json:"resident"`
	Checks   []healthCheck `json:"checks"`
}

// healthCheck is one thing that must work.
type healthCheck struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"`
}

// tableGlance is one format's table in short.
type tableGlance struct {
	Topic   string `json:"topic"`
	Format  string `json:"format"`
	State   string `json:"state"`
	FreshMs int64  `json:"fresh_ms"`
	Waiting int64  `json:"waiting"`
	NextMs  int64  `json:"next_commit_ms"`
}

// overview answers how the broker is: all of it, or what one may describe.
func (n *node) overview(w http.ResponseWriter, r *http.Request) {
	whole := n.allowed(r, acl.Describe, acl.Cluster, acl.ClusterName, true)
	sees := func(res acl.Resource, name string) bool {
		return whole || n.allowed(r, acl.Describe, res, name, true)
	}
	n.charts.look()
	out := overviewInfo{
		Version: version, Kafka: n.broker.Advertised(), Storage: n.storageWord(), StartedMs: n.startedMs,
		Partial: !whole, Tables: []tableGlance{},
	}
	for _, t := range n.broker.Topics().View().All() {
		if sees(acl.Topic, t.Name) {
			out.Topics++
			out.Partitions += int(t.Partitions)
		}
	}
	for _, g := range n.broker.Groups().Groups() {
		if sees(acl.Group, g.Name) {
			out.Groups++
		}
	}
	for _, g := range n.broker.Shares().List() {
		if sees(acl.Group, g.Group) {
			out.Groups++
		}
	}
	for _, m := range n.tableMeasures(r.Context()) {
		if sees(acl.Topic, m.Topic) {
			out.Tables = append(out.Tables, tableGlance{m.Topic, m.Format, string(m.State), m.FreshMs, m.Untranslated + m.Uncommitted, m.NextMs})
		}
	}
	slices.SortFunc(out.Tables, func(a, b tableGlance) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Format, b.Format))
	})
	if whole {
		out.ClusterGlance = n.clusterGlance(r.Context())
	}
	answer(w, http.StatusOK, out)
}

func (n *node) clusterGlance(ctx context.Context) *ClusterGlance {
	g := &ClusterGlance{
		ClusterID: n.broker.ClusterID(), Data: absolute(n.cmd.Data), Warehouse: n.store.URL(""),
		Subjects: len(n.registry.Subjects("", 0)), Clients: len(n.broker.Clients()),
		Rejected: n.rejectedInAll(), Resident: resident(), Checks: n.healthChecks(ctx),
	}
	g.DiskTotal, g.DiskFree = diskSpace(n.cmd.Data)
	return g
}

// storageWord says where the log lies, and whether it stays.
func (n *node) storageWord() string {
	if strings.HasPrefix(n.cmd.Storage, "memory://") {
		return "memory"
	}
	return "sqlite"
}

// healthChecks looks at what /readyz looks at, one by one.
func (n *node) healthChecks(ctx context.Context) []healthCheck {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	out := []healthCheck{}
	note := func(name string, err error) {
		c := healthCheck{Name: name, OK: err == nil}
		if err != nil {
			c.Message = err.Error()
		}
		out = append(out, c)
	}
	_, err := n.engine.Get(ctx, "cluster-id")
	note("storage", err)
	_, err = n.catalog.ListNamespaces(ctx, nil)
	note("catalog", err)
	err = nil
	for _, m := range n.tableMeasures(ctx) {
		if m.State != sink.Running && m.State != sink.WaitingForSchema {
			err = fmt.Errorf("%s (%s) is %s", m.Topic, m.Format, m.State)
		}
	}
	note("tables", err)
	err = nil
	if total, free := diskSpace(n.cmd.Data); total > 0 && free < min(total/20, littleDisk) {
		err = fmt.Errorf("only %d MB are left of %d", free>>20, total>>20)
	}
	note("disk", err)
	return out
}

// resident is what the process has of the machine's memory, in bytes; 0 where the
// system does not say it like Linux.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// overviewSeries answers the numbers of charts: span is 1h or 24h or any duration
// between, name one series or, ending in *, those that begin so; it may stand several
// times. Who may not describe the cluster gets what the topics and groups have that
// may be described.
func (n *node) overviewSeries(w http.ResponseWriter, r *http.Request) {
	names := r.URL.Query()["name"]
	few := len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return !n.maySeries(r, name, false) })
	whole := n.allowed(r, acl.Describe, acl.Cluster, acl.ClusterName, few)
	if !whole && !few {
		n.notAllowed(w, r, right{acl.Describe, acl.Cluster, acl.ClusterName})
		return
	}
	span, err := time.ParseDuration(cmp.Or(r.URL.Query().Get("span"), "1h"))
	if err != nil || span < time.Second || span > 24*time.Hour {
		answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: fmt.Sprintf("span=%s: want a duration from 1s to 24h", r.URL.Query().Get("span"))})
		return
	}
	ring := n.charts.look()
	mine := map[string]bool{}
	for _, name := range ring.Names() {
		mine[name] = whole || n.maySeries(r, name, true)
	}
	answer(w, http.StatusOK, ring.Since(time.Now(), span, func(name string) bool {
		return mine[name] && (len(names) == 0 || slices.ContainsFunc(names, func(want string) bool {
			prefix, open := strings.CutSuffix(want, "*")
			return name == want || open && strings.HasPrefix(name, prefix)
		}))
	}))
}

// maySeries reports whether one who may not describe the cluster may ask for a series:
// that of a topic or group that may be described. Where it is not exact, all topics'
// or groups' may be asked for, and those are answered that may be seen.
func (n *node) maySeries(r *http.Request, name string, exact bool) bool {
	for prefix, res := range map[string]acl.Resource{"topic:": acl.Topic, "group:": acl.Group} {
		if of, ok := strings.CutPrefix(name, prefix); ok {
			return !exact && of == "*" || n.allowed(r, acl.Describe, res, of, true)
		}
	}
	return false
}
