package api_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/brokertest"
)

// TestDescribeLogDirs asks for the sizes of all logs, of some, and of none.
func TestDescribeLogDirs(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Settings = func() []api.BrokerConfig { return []api.BrokerConfig{{Name: "log.dirs", Value: "/data"}} }
		c.Disk = func() (total, usable int64) { return 1000, 600 }
	}))
	r := dial(t, b)
	one, two := create(t, b, "one", 1, nil), create(t, b, "two", 3, nil)
	r.mustProduce(one, "a")
	r.mustProduce(two, "b", "c")
	ask := func(topics []kmsg.DescribeLogDirsRequestTopic) string {
		req := kmsg.NewPtrDescribeLogDirsRequest()
		req.Topics = topics
		resp := do[*kmsg.DescribeLogDirsResponse](r, 5, req)
		if len(resp.Dirs) != 1 || resp.ErrorCode != 0 {
			t.Fatalf("got %+v", resp)
		}
		d := resp.Dirs[0]
		out := fmt.Sprintln(d.ErrorCode, d.Dir, d.TotalBytes, d.UsableBytes, d.IsCordoned)
		for _, st := range d.Topics {
			out += " " + st.Topic
			for _, p := range st.Partitions {
				out += fmt.Sprintf(" %d:%d/%d/%t", p.Partition, p.Size, p.OffsetLag, p.IsFuture)
			}
		}
		return out
	}
	const head = "0 /data 1000 600 false\n"
	topic := func(name string, partitions ...int32) kmsg.DescribeLogDirsRequestTopic {
		rt := kmsg.NewDescribeLogDirsRequestTopic()
		rt.Topic, rt.Partitions = name, partitions
		return rt
	}
	for _, c := range []struct {
		topics []kmsg.DescribeLogDirsRequestTopic
		want   string
	}{
		{nil, head + " one 0:70/0/false two 0:79/0/false 1:0/0/false 2:0/0/false"},
		{[]kmsg.DescribeLogDirsRequestTopic{}, head},
		{[]kmsg.DescribeLogDirsRequestTopic{topic("two", 2, 0, 2, 9, -1), topic("nope", 0), topic("two", 0)}, head + " two 0:79/0/false 2:0/0/false"},
	} {
		if got := ask(c.topics); got != c.want {
			t.Errorf("got %s\nwant %s", got, c.want)
		}
	}
}
