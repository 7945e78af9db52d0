package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestAppendResponse(t *testing.T) {
	heartbeat := func(version int16) kmsg.Response {
		r := kmsg.NewPtrHeartbeatResponse()
		r.Version, r.ErrorCode = version, int16(RebalanceInProgress)
		return r
	}
	versions := kmsg.NewPtrApiVersionsResponse()
	versions.Version, versions.ErrorCode = 3, 0
	cases := []struct {
		name string
		resp kmsg.Response
		want string
	}{
		{"plain", heartbeat(1), "0000000a" + "00000007" + "00000000" + "001b"},
		{"flexible", heartbeat(4), "0000000c" + "00000007" + "00" + "00000000" + "001b" + "00"},
		{"ApiVersions v3 has the old header", versions, "0000000c" + "00000007" + "0000" + "01" + "00000000" + "00"},
		{"unsupported ApiVersions", UnsupportedApiVersions(), "00000010" + "00000007" + "0023" + "00000001" + "0012" + "0000" + "0005"},
	}
	for _, c := range cases {
		got := AppendResponse([]byte("before"), 7, c.resp)
		if string(got[:6]) != "before" || hex.EncodeToString(got[6:]) != c.want {
			t.Errorf("%s:\n got %x\nwant %s", c.name, got[6:], c.want)
		}
	}
}

func TestAppendResponseGrowsOnce(t *testing.T) {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 11
	for range 4 {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = "topic"
		for range 4 {
			p := kmsg.NewFetchResponseTopicPartition()
			p.RecordBatches = bytes.Repeat([]byte{1}, 1<<20)
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if got := testing.AllocsPerRun(5, func() { AppendResponse(nil, 1, resp) }); got > 2 {
		t.Errorf("%.0f allocations for a fetch of 16 MiB, want one or two", got)
	}
}

func TestBuffer(t *testing.T) {
	b := GetBuffer()
	if len(b.B) != 0 {
		t.Errorf("a new buffer holds %d bytes", len(b.B))
	}
	b.B = append(b.B, "x"...)
	b.Release()
	for range 10 {
		if b := GetBuffer(); len(b.B) != 0 {
			t.Errorf("a reused buffer holds %d bytes", len(b.B))
		}
	}
	large := &Buffer{B: make([]byte, maxPooledBuffer+1)}
	large.Release()
	if large.B == nil {
		t.Error("Release touched a buffer that is not pooled")
	}
}

func TestAnswerApiVersions(t *testing.T) {
	cluster := Cluster{ID: "id", NodeID: 1, Epoch: 4, Features: []Feature{
		{Name: "transaction.version", Min: 0, Max: 2, Finalized: 2},
		{Name: "group.version", Min: 1, Max: 1},
	}}
	ask := func(version int16, change func(*kmsg.ApiVersionsRequest)) *kmsg.ApiVersionsResponse {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = version, "apache-kafka-java", "4.1.0"
		if change != nil {
			change(req)
		}
		// Through the bytes, so that only what the version carries is compared.
		resp := AnswerApiVersions(req, cluster)
		got := kmsg.NewPtrApiVersionsResponse()
		got.Version = version
		if err := got.ReadFrom(resp.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		return got
	}
	for version := int16(0); version <= 5; version++ {
		got := ask(version, nil)
		if got.ErrorCode != 0 || len(got.ApiKeys) != len(served) {
			t.Errorf("v%d: error %d, %d keys", version, got.ErrorCode, len(got.ApiKeys))
		}
		features := map[int16]int{3: 1, 4: 2, 5: 2}[version]
		if len(got.SupportedFeatures) != features {
			t.Errorf("v%d: supported %+v, want %d", version, got.SupportedFeatures, features)
		}
		if finalized := min(features, 1); len(got.FinalizedFeatures) != finalized {
			t.Errorf("v%d: finalized %+v, want %d", version, got.FinalizedFeatures, finalized)
		}
	}
	id, other := "id", "other"
	cases := []struct {
		name    string
		version int16
		change  func(*kmsg.ApiVersionsRequest)
		want    Code
	}{
		{"empty name", 3, func(r *kmsg.ApiVersionsRequest) { r.ClientSoftwareName = "" }, InvalidRequest},
		{"empty name before v3", 2, func(r *kmsg.ApiVersionsRequest) { r.ClientSoftwareName = "" }, None},
		{"ends with a dot", 4, func(r *kmsg.ApiVersionsRequest) { r.ClientSoftwareVersion = "1." }, InvalidRequest},
		{"begins with a dash", 4, func(r *kmsg.ApiVersionsRequest) { r.ClientSoftwareName = "-a" }, InvalidRequest},
		{"space", 3, func(r *kmsg.ApiVersionsRequest) { r.ClientSoftwareName = "a b" }, InvalidRequest},
		{"one letter", 3, func(r *kmsg.ApiVersionsRequest) { r.ClientSoftwareName = "a" }, None},
		{"our cluster and node", 5, func(r *kmsg.ApiVersionsRequest) { r.ClusterID, r.NodeID = &id, 1 }, None},
		{"other cluster", 5, func(r *kmsg.ApiVersionsRequest) { r.ClusterID, r.NodeID = &other, 1 }, RebootstrapRequired},
		{"other node", 5, func(r *kmsg.ApiVersionsRequest) { r.ClusterID, r.NodeID = &id, 2 }, RebootstrapRequired},
		{"node alone", 5, func(r *kmsg.ApiVersionsRequest) { r.NodeID = 1 }, InvalidRequest},
		{"other cluster before v5", 4, func(r *kmsg.ApiVersionsRequest) { r.ClusterID = &other }, None},
	}
	for _, c := range cases {
		if got := ask(c.version, c.change); got.ErrorCode != int16(c.want) {
			t.Errorf("%s: %v, want %v", c.name, Code(got.ErrorCode), c.want)
		}
	}
}

// TestCodes holds the table against franz-go's.
func TestCodes(t *testing.T) {
	for c := UnknownServerError; c <= ControllerIDNotRegistered; c++ {
		if c == None {
			continue
		}
		var want *kerr.Error
		if !errors.As(kerr.ErrorForCode(int16(c)), &want) || want.Code != int16(c) {
			t.Errorf("%d is unknown to kerr", c)
			continue
		}
		name := want.Message
		if c == NotLeaderOrFollower {
			name = "NOT_LEADER_OR_FOLLOWER" // kerr keeps the name of before Kafka 2.6
		}
		if c.Name() != name || c.Retriable() != want.Retriable {
			t.Errorf("%d: %s, retriable %v; want %s, %v", c, c.Name(), c.Retriable(), name, want.Retriable)
		}
	}
	if None.Name() != "NONE" || None.Retriable() || Code(500).Name() != "CODE_500" || Code(-2).Retriable() {
		t.Errorf("edges: %s %s", None, Code(500))
	}
}

func TestCodeOf(t *testing.T) {
	refused := Errorf(InvalidRecord, "field %q", "a")
	cases := []struct {
		err     error
		code    Code
		message string
	}{
		{nil, None, ""},
		{errors.New("disk"), UnknownServerError, ""},
		{refused, InvalidRecord, `field "a"`},
		{fmt.Errorf("produce: %w", refused), InvalidRecord, `field "a"`},
		{errors.Join(errors.New("x"), &Error{Code: NotCoordinator}), NotCoordinator, ""},
	}
	for _, c := range cases {
		if got := CodeOf(c.err); got != c.code {
			t.Errorf("CodeOf(%v) = %v, want %v", c.err, got, c.code)
		}
		want := &c.message
		if c.message == "" {
			want = nil
		}
		if got := MessageOf(c.err); !reflect.DeepEqual(got, want) {
			t.Errorf("MessageOf(%v) = %v, want %v", c.err, got, want)
		}
	}
	if !errors.Is(refused, &Error{Code: InvalidRecord}) || errors.Is(refused, &Error{Code: None}) {
		t.Error("Is does not compare codes")
	}
	if got, want := refused.Error(), `INVALID_RECORD: field "a"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
