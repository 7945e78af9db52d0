package share

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestRequests runs testdata/requests/*.txt against a coordinator: requests as
// they come over the wire, and their whole answers. The group is "g".
//
//	beat MEMBER EPOCH [TOPIC…]
//	fetch MEMBER EPOCH [PARTITION[=RANGE:TYPE…]…] [forget=PARTITION] [wait=D] [max=N] [min=N] [strict] [renew]
//	ack MEMBER EPOCH [renew] [PARTITION=RANGE:TYPE…]
//	produce PARTITION N    transaction PARTITION ID N    end PARTITION ID commit|abort
//	describe    offsets [TOPIC/PARTITION…]    alter PARTITION N    forget TOPIC    delete
//	set KEY VALUE    sleep D    disconnect MEMBER    restart    logstart PARTITION N    drop TOPIC
//
// A partition is t0/1. A request that waits is answered under a later command.
func TestRequests(t *testing.T) {
	files, err := filepath.Glob("testdata/requests/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			bubble(t, func(w *world) { got = runRequests(w, string(want)) })
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

// requests is a world with a script.
type requests struct {
	*world
	out     bytes.Buffer
	waiting []*pending
	ids     map[string]int16 // epochs of producers are 0; known ones
}

// pending is a request whose answer is not there yet.
type pending struct {
	name string
	text chan string
}

func runRequests(w *world, text string) []byte {
	s := &requests{world: w, ids: map[string]int16{}}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		cmd, ok := strings.CutPrefix(line, "> ")
		if ok || strings.HasPrefix(line, "#") || line == "" {
			fmt.Fprintln(&s.out, line)
		}
		if ok {
			s.run(strings.Fields(cmd))
			s.collect()
		}
	}
	return s.out.Bytes()
}

// collect prints the answers that are there.
func (s *requests) collect() {
	synctest.Wait()
	left := s.waiting[:0]
	for i, p := range s.waiting {
		select {
		case text := <-p.text:
			if i < len(s.waiting)-1 || p.name != "" {
				fmt.Fprint(&s.out, p.name)
			}
			fmt.Fprintln(&s.out, text)
		default:
			if p.name == "" {
				fmt.Fprintln(&s.out, "waits")
				p.name = "then: "
			}
			left = append(left, p)
		}
	}
	s.waiting = left
}

// ask runs a Wait and has its answer printed once it is there.
func (s *requests) ask(wait Wait, show func(kmsg.Response) string) {
	p := &pending{text: make(chan string, 1)}
	s.waiting = append(s.waiting, p)
	go func() {
		r, err := wait(context.Background())
		if err != nil {
			p.text <- err.Error()
			return
		}
		p.text <- show(r)
	}()
}

func (s *requests) number(text string) int64 {
	s.t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// tp reads t0/1.
func (s *requests) tp(text string) storage.TP {
	s.t.Helper()
	name, partition, _ := strings.Cut(text, "/")
	n := s.number(strings.TrimPrefix(name, "t"))
	return storage.TP{Topic: topicID(int(n)), Partition: int32(s.number(partition))}
}

// ranges reads 0-4:accept,5:release.
func (s *requests) ranges(text string) (list []ackBatch) {
	for item := range strings.SplitSeq(text, ",") {
		span, kind, _ := strings.Cut(item, ":")
		first, last, ok := strings.Cut(span, "-")
		if !ok {
			last = first
		}
		for i, name := range ackNames {
			if name == kind {
				list = append(list, ackBatch{s.number(first), s.number(last), []int8{int8(i)}})
			}
		}
	}
	return list
}

func (s *requests) run(words []string) {
	args := words[1:]
	switch words[0] {
	case "beat":
		s.runBeat(args)
	case "fetch":
		s.runFetch(args)
	case "ack":
		s.runAck(args)
	case "describe", "offsets", "alter", "forget", "delete":
		s.runAdmin(words[0], args)
	case "produce":
		fmt.Fprintln(&s.out, "at", s.produce(s.tp(args[0]), int(s.number(args[1])), record.Options{}))
	case "transaction":
		o := record.Options{Transactional: true, Producer: &record.Producer{ID: s.number(args[1]), BaseSequence: int32(s.ids[args[0]+args[1]])}}
		s.ids[args[0]+args[1]] += int16(s.number(args[2]))
		fmt.Fprintln(&s.out, "at", s.produce(s.tp(args[0]), int(s.number(args[2])), o))
	case "end":
		b, err := record.Marker{ProducerID: s.number(args[1]), Commit: args[2] == "commit"}.Batch()
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintln(&s.out, "at", s.append(s.tp(args[0]), b))
	case "set":
		s.set("g", groupconfig.Key(args[0]), args[1])
	case "sleep":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(d)
	case "disconnect":
		s.disconnect(args[0])
	case "restart":
		s.restart()
	case "logstart":
		if _, err := s.logs.Trim(s.t.Context(), s.tp(args[0]), s.number(args[1])); err != nil {
			s.t.Fatal(err)
		}
	case "drop":
		s.drop(args[0])
	default:
		s.t.Fatalf("unknown command %q", words[0])
	}
}

// drop deletes a topic.
func (s *requests) drop(name string) {
	id, _, _ := s.topics.ByName(name)
	s.topics.mu.Lock()
	s.topics.gone[name] = true
	s.topics.mu.Unlock()
	if err := s.logs.Forget(s.t.Context(), id); err != nil {
		s.t.Fatal(err)
	}
	if err := s.DropTopic(s.t.Context(), id); err != nil {
		s.t.Fatal(err)
	}
}

func (s *requests) runBeat(args []string) {
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.Version, req.GroupID, req.MemberID, req.MemberEpoch = 1, "g", args[0], int32(s.number(args[1]))
	req.SubscribedTopicNames = args[2:]
	if len(args) == 2 {
		req.SubscribedTopicNames = nil
	}
	s.ask(s.Heartbeat(Client{"client", "host"}, req), func(resp kmsg.Response) string {
		r := resp.(*kmsg.ShareGroupHeartbeatResponse)
		if r.ErrorCode != 0 {
			return wire.Code(r.ErrorCode).Name() + ": " + *r.ErrorMessage
		}
		text := fmt.Sprintf("epoch %d", r.MemberEpoch)
		if r.Assignment != nil {
			text += " assigned"
			for _, t := range r.Assignment.TopicPartitions {
				text += fmt.Sprintf(" t%d%v", t.TopicID[15], t.Partitions)
			}
		}
		return text
	})
}

func (s *requests) runFetch(args []string) {
	req := fetchRequest("g", args[0], int32(s.number(args[1])))
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "forget":
			f := kmsg.NewShareFetchRequestForgottenTopicsData()
			tp := s.tp(value)
			f.TopicID, f.Partitions = tp.Topic, []int32{tp.Partition}
			req.ForgottenTopicsData = append(req.ForgottenTopicsData, f)
		case "wait":
			d, err := time.ParseDuration(value)
			if err != nil {
				s.t.Fatal(err)
			}
			req.MaxWaitMillis = int32(d.Milliseconds())
		case "max":
			req.MaxRecords = int32(s.number(value))
		case "min":
			req.MinBytes = int32(s.number(value))
		case "strict":
			req.ShareAcquireMode = 1
		case "renew":
			req.IsRenewAck, req.MaxBytes, req.MaxRecords = true, 0, 0
		case "bytes":
			req.MaxBytes = int32(s.number(value))
		default:
			p := addPartition(req, s.tp(name))
			for _, b := range s.ranges(value) {
				a := kmsg.NewShareFetchRequestTopicPartitionAcknowledgementBatch()
				a.FirstOffset, a.LastOffset, a.AcknowledgeTypes = b.first, b.last, b.types
				p.AcknowledgementBatches = append(p.AcknowledgementBatches, a)
			}
		}
	}
	s.ask(s.Fetch(s.conn(args[0]), req, noBudget{}), showFetch)
}

func showFetch(resp kmsg.Response) string {
	r := resp.(*kmsg.ShareFetchResponse)
	text := wire.Code(r.ErrorCode).Name()
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			text += fmt.Sprintf("\n  t%d/%d", t.TopicID[15], p.Partition)
			if p.ErrorCode != 0 {
				text += " " + wire.Code(p.ErrorCode).Name()
			}
			if p.AcknowledgeErrorCode != 0 {
				text += " acknowledge " + wire.Code(p.AcknowledgeErrorCode).Name()
			}
			for _, a := range p.AcquiredRecords {
				text += fmt.Sprintf(" %d-%d×%d", a.FirstOffset, a.LastOffset, a.DeliveryCount)
			}
			for b := range record.Batches(p.Records) {
				text += fmt.Sprintf(" [%d-%d]", b.Header.BaseOffset, b.Header.LastOffset())
			}
		}
	}
	return text
}

func (s *requests) runAck(args []string) {
	req := kmsg.NewPtrShareAcknowledgeRequest()
	name := "g"
	req.Version, req.GroupID, req.MemberID, req.ShareSessionEpoch = 2, &name, &args[0], int32(s.number(args[1]))
	for _, arg := range args[2:] {
		if arg == "renew" {
			req.IsRenewAck = true
			continue
		}
		where, value, _ := strings.Cut(arg, "=")
		one := ackRequest("g", args[0], 0, s.tp(where), 0, 0)
		rp := &one.Topics[0].Partitions[0]
		rp.AcknowledgementBatches = nil
		for _, b := range s.ranges(value) {
			a := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
			a.FirstOffset, a.LastOffset, a.AcknowledgeTypes = b.first, b.last, b.types
			rp.AcknowledgementBatches = append(rp.AcknowledgementBatches, a)
		}
		req.Topics = append(req.Topics, one.Topics...)
	}
	s.ask(s.Acknowledge(req), func(resp kmsg.Response) string {
		r := resp.(*kmsg.ShareAcknowledgeResponse)
		text := wire.Code(r.ErrorCode).Name()
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				text += fmt.Sprintf(" t%d/%d %s", t.TopicID[15], p.Partition, wire.Code(p.ErrorCode))
			}
		}
		return text
	})
}
