package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// startDev runs "dev [FLAG…]": tarn dev, to which tarn's commands and "http" then talk.
func startDev(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: dev [FLAG…]")
	}
	dir := ts.Getenv("WORK")
	log, err := os.OpenFile(filepath.Join(dir, "dev.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	defer log.Close()
	tarn, err := exec.LookPath("tarn")
	ts.Check(err)
	cmd := exec.Command(tarn, append([]string{"dev"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err == nil {
			_ = cmd.Wait()
		}
	})
	text, err := bufio.NewReader(out).ReadBytes('\n')
	var run runFile
	if err = errors.Join(err, json.Unmarshal(text, &run)); err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, "dev.log"))
		ts.Fatalf("tarn dev: %v\n%s", err, said)
	}
	ts.Setenv("KAFKA", run.Kafka)
	ts.Setenv("HTTP", run.HTTP)
	ts.Setenv("TARN_BROKERS", run.Kafka)
	ts.Setenv("TARN_HTTP", run.HTTP)
}

// testDev is an ephemeral broker for one test.
func testDev(t *testing.T) *dev {
	t.Helper()
	d, err := openDev(t.Context(), &devFlags{KafkaListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", Partitions: 1, LogLevel: "error"},
		stdio{out: t.Output(), err: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

// ask sends a request to the dev routes and decodes the answer.
func (d *dev) ask(t *testing.T, status int, method, path, body string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.addresses().HTTP+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("%s %s: %s, want %d: %s %v", method, path, resp.Status, status, text, err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func devClient(t *testing.T, d *dev, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(d.addresses().Kafka), kgo.AllowAutoTopicCreation(),
		kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }), kgo.MetadataMinAge(10 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func devProduce(t *testing.T, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatalf("produce %s: %v", v, err)
		}
	}
}

// values reads what a topic holds, through a client of its own.
func (d *dev) values(t *testing.T, topic string) string {
	t.Helper()
	cl := devClient(t, d)
	adm := kadm.NewClient(cl)
	ends, err := adm.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok || end.Err != nil || end.Offset == 0 {
		return ""
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(0)}})
	var out []string
	for next := int64(0); next < end.Offset; {
		for _, r := range cl.PollFetches(t.Context()).Records() {
			out, next = append(out, string(r.Value)), r.Offset+1
		}
	}
	return strings.Join(out, " ")
}

// TestDevTime goes to a snapshot and back, and begins anew, with a client that lives on.
func TestDevTime(t *testing.T) {
	d := testDev(t)
	cl := devClient(t, d)
	kafka := d.addresses().Kafka
	devProduce(t, cl, "a", "1", "2")
	d.ask(t, 200, "POST", "/subjects/a-value/versions", `{"schema":"\"string\""}`, nil)
	d.ask(t, 200, "POST", "/_dev/snapshot/two", "", nil)
	devProduce(t, cl, "a", "3")
	if got := d.values(t, "a"); got != "1 2 3" {
		t.Errorf("after a snapshot the topic holds %q", got)
	}
	d.ask(t, 200, "DELETE", "/subjects/a-value", "", nil)
	var st devStatus
	d.ask(t, 200, "POST", "/_dev/restore/two", "", &st)
	if got := d.values(t, "a"); got != "1 2" || st.Kafka != kafka || len(st.Snapshots) != 1 {
		t.Errorf("restored, the topic holds %q; %+v", got, st)
	}
	d.ask(t, 200, "GET", "/subjects/a-value/versions/1", "", nil)
	devProduce(t, devClient(t, d), "a", "4")
	d.ask(t, 200, "POST", "/_dev/restore/two", "", nil)
	if got := d.values(t, "a"); got != "1 2" {
		t.Errorf("a snapshot restored twice holds %q", got)
	}
	d.ask(t, 200, "POST", "/_dev/reset", "", nil)
	if got := d.values(t, "a"); got != "" {
		t.Errorf("after a reset the topic holds %q", got)
	}
	d.ask(t, 404, "POST", "/_dev/restore/three", "", nil)
	d.ask(t, 422, "POST", "/_dev/snapshot/a.b", "", nil)
	d.ask(t, 404, "POST", "/_dev/what", "", nil)
	d.ask(t, 200, "PUT", "/_dev/advertise", `{"kafka":"example.org:19092"}`, &st)
	if st.Kafka != "example.org:19092" {
		t.Errorf("advertised is %s", st.Kafka)
	}
	d.ask(t, 200, "POST", "/_dev/reset", "", &st)
	if st.Kafka != "example.org:19092" {
		t.Errorf("advertised after a reset is %s", st.Kafka)
	}
}

// TestDevKafkaFaults holds what a client sees against what was to go wrong.
func TestDevKafkaFaults(t *testing.T) {
	d := testDev(t)
	cl := devClient(t, d)
	devProduce(t, cl, "a", "1")
	for i, body := range []string{
		`{"on":"kafka","api":"Produce","do":"fail","error":"NOT_LEADER_OR_FOLLOWER","count":2}`,
		`{"on":"kafka","api":"Produce","do":"lose","count":1}`,
		`{"on":"kafka","api":"0","topic":"a","do":"drop","count":1}`,
		`{"on":"kafka","api":"Produce","do":"delay","delay_ms":5,"count":1}`,
	} {
		var f fault
		d.ask(t, 200, "POST", "/_dev/faults", body, &f)
		devProduce(t, cl, "a", fmt.Sprint(i+2))
		var all []fault
		d.ask(t, 200, "GET", "/_dev/faults", "", &all)
		if len(all) != 1 || all[0].Hits != f.Count || all[0].API != "Produce" {
			t.Errorf("%s: %+v", body, all)
		}
		d.ask(t, 200, "DELETE", fmt.Sprintf("/_dev/faults/%d", f.ID), "", nil)
	}
	// The lost answer was repeated, and the record is there once.
	if got := d.values(t, "a"); got != "1 2 3 4 5" {
		t.Errorf("the topic holds %q", got)
	}
	// An error that a client does not repeat reaches it, and only for that topic.
	d.ask(t, 200, "POST", "/_dev/faults", `{"on":"kafka","api":"Produce","topic":"a","do":"fail","error":"INVALID_RECORD"}`, nil)
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: []byte("x")}).FirstErr(); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("a refused record: %v", err)
	}
	devProduce(t, cl, "b", "1")
	for _, bad := range []string{`{"on":"disk","do":"fail"}`, `{"on":"kafka","do":"fail"}`, `{"on":"kafka","api":"Prodce","do":"drop"}`, `{"on":"table","do":"drop"}`, `{"on":"http","do":"delay"}`} {
		d.ask(t, 422, "POST", "/_dev/faults", bad, nil)
	}
	d.ask(t, 404, "DELETE", "/_dev/faults/99", "", nil)
	d.ask(t, 200, "DELETE", "/_dev/faults", "", nil)
	devProduce(t, cl, "a", "6")
}

// TestDevFailedAnswers asks for many things that fail: every answer must say so where
// clients look.
func TestDevFailedAnswers(t *testing.T) {
	d := testDev(t)
	cl := devClient(t, d)
	devProduce(t, cl, "a", "1")
	for _, r := range namingRequests() {
		d.ask(t, 200, "POST", "/_dev/faults", fmt.Sprintf(`{"on":"kafka","client":"odd","api":"%d","do":"fail","error":"COORDINATOR_NOT_AVAILABLE"}`, r.Key()), nil)
		resp := failedAnswer(t, d, r)
		if !strings.Contains(resp, `"ErrorCode":15`) {
			t.Errorf("%s is answered %s", kmsg.NameForKey(r.Key()), resp)
		}
	}
}

// namingRequests are requests that name something.
func namingRequests() []kmsg.Request {
	topic := "a"
	offsets := kmsg.NewPtrListOffsetsRequest()
	offsets.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Partition: 0, Timestamp: -1}}}}
	coordinator := kmsg.NewPtrFindCoordinatorRequest()
	coordinator.CoordinatorKeys = []string{"g"}
	groups := kmsg.NewPtrDescribeGroupsRequest()
	groups.Groups = []string{"g"}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "n", NumPartitions: 1, ReplicationFactor: 1}}
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group = "g"
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g"}}
	return []kmsg.Request{offsets, coordinator, groups, create, join, fetch, kmsg.NewPtrInitProducerIDRequest(), kmsg.NewPtrListGroupsRequest()}
}

func failedAnswer(t *testing.T, d *dev, r kmsg.Request) string {
	t.Helper()
	cl := devClient(t, d, kgo.ClientID("odd"), kgo.RequestRetries(0))
	b := cl.SeedBrokers()[0]
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	resp, err := b.Request(ctx, r)
	if err != nil {
		return err.Error()
	}
	text, err := json.Marshal(resp)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDevGroups makes groups rebalance, of both protocols, and lets a transaction's
// time be over.
func TestDevGroups(t *testing.T) {
	d := testDev(t)
	devProduce(t, devClient(t, d), "a", "1")
	d.ask(t, 409, "POST", "/_dev/groups/nobody/rebalance", "", nil)
	assigned := make(chan struct{}, 10)
	devClient(t, d, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"), kgo.HeartbeatInterval(50*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			if len(got) > 0 {
				assigned <- struct{}{}
			}
		}))
	<-assigned
	var who devRebalanced
	d.ask(t, 200, "POST", "/_dev/groups/g/rebalance", "", &who)
	<-assigned // it has joined again
	if who.Member == "" {
		t.Error("nobody was taken out")
	}

	cl := devClient(t, d, kgo.TransactionalID("tx"))
	d.ask(t, 404, "POST", "/_dev/transactions/tx/expire", "", nil)
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	devProduce(t, cl, "a", "2")
	d.ask(t, 200, "POST", "/_dev/transactions/tx/expire", "", nil)
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
		t.Error("a transaction whose time was over was committed")
	}
	d.ask(t, 409, "POST", "/_dev/transactions/tx/expire", "", nil)
}

// TestDevHTTPFaults lets the registry fail.
func TestDevHTTPFaults(t *testing.T) {
	d := testDev(t)
	d.ask(t, 200, "POST", "/_dev/faults", `{"on":"http","path":"/subjects","do":"fail","count":1}`, nil)
	d.ask(t, 500, "GET", "/subjects", "", nil)
	d.ask(t, 200, "GET", "/subjects", "", nil)
	d.ask(t, 200, "POST", "/_dev/faults", `{"on":"http","method":"post","path":"/subjects","do":"lose","count":1}`, nil)
	if resp, err := http.Post(d.addresses().HTTP+"/subjects/a/versions", "application/json", strings.NewReader(`{"schema":"\"int\""}`)); err == nil {
		resp.Body.Close()
		t.Error("a lost answer came")
	}
	d.ask(t, 200, "GET", "/subjects/a/versions/1", "", nil) // it was done
	d.ask(t, 200, "GET", "/_dev", "", nil)
	d.ask(t, 200, "GET", "/_dev/openapi.json", "", nil)
}
