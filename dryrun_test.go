package main

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// same runs a command as a dry run and then in earnest: both exit with the same code, both
// say what is wanted, and nothing of it has happened in between, which look shows.
type same struct {
	line, would, does string
	code              int
	look              string // a command whose output a dry run leaves as it is
}

func (s same) check(c cliOn) {
	c.t.Helper()
	before, _ := c.do(0, s.look)
	out, problems := c.do(s.code, s.line+" --dry-run")
	if !strings.Contains(out+problems, s.would) {
		c.t.Errorf("%s --dry-run: %q is not in %s%s", s.line, s.would, out, problems)
	}
	if after, _ := c.do(0, s.look); after != before {
		c.t.Errorf("%s --dry-run has changed\n%s\nto\n%s", s.line, before, after)
	}
	if out, problems := c.do(s.code, s.line); !strings.Contains(out+problems, s.does) {
		c.t.Errorf("%s: %q is not in %s%s", s.line, s.does, out, problems)
	}
}

// TestDryRunTopics holds dry runs of topics and groups to what the commands then do.
func TestDryRunTopics(t *testing.T) {
	n := openNode(t)
	c := cliOn{t, n.addresses()}
	for _, s := range []same{
		{"topic create one two -p 2", "would be created", "created", 0, "topic list"},
		{"topic create one three", "TOPIC_ALREADY_EXISTS", "TOPIC_ALREADY_EXISTS", 1, "topic list -r t.*"},
		{"topic create one --if-not-exists", "exists", "exists", 0, "topic list"},
		{"topic create four -c retention.ms=often", "failed", "failed", 1, "topic list"},
		{"topic alter one -p 3 -c retention.ms=1000", "one would be changed", "one changed", 0, "topic describe one"},
		{"topic alter one -p 1", "INVALID_PARTITIONS", "INVALID_PARTITIONS", 1, "topic describe one"},
		{"topic alter one -c retention.ms=often", "INVALID_CONFIG", "INVALID_CONFIG", 1, "topic describe one"},
		{"topic delete two nine", "two    would be deleted", "two    deleted", 1, "topic list one"},
		{"topic delete -r t.*", "three  would be deleted", "three  deleted", 0, "topic list"},
		{"topic delete -r t.*", "no topic's name fits t.*", "no topic's name fits t.*", 1, "topic list"},
		{"group config set workers -c share.isolation.level=read_committed", "workers would be changed", "workers changed", 0, "group config describe workers"},
		{"group config set workers -c share.isolation.level=none", "INVALID_CONFIG", "INVALID_CONFIG", 1, "group config describe workers"},
		{"config alter -c log.retention.ms=1000000", "would be changed", "changed", 0, "config describe"},
	} {
		s.check(c)
	}
}

// TestDryRunGroups knows which groups and offsets stay because somebody reads.
func TestDryRunGroups(t *testing.T) {
	n := openNode(t)
	c := cliOn{t, n.addresses()}
	c.do(0, "topic create one two")
	for _, topic := range []string{"one", "two"} {
		c.with(0, "\"x\"\n", "produce", topic)
		c.do(0, "group seek idle "+topic+" --to end")
		c.do(0, "group seek busy "+topic+" --to end")
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.run.Kafka), kgo.ConsumerGroup("busy"), kgo.ConsumeTopics("one"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	c.with(0, "\"y\"\n", "produce", "one")
	if err := cl.PollFetches(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []same{
		{"group forget busy one", "GROUP_SUBSCRIBED_TO_TOPIC", "GROUP_SUBSCRIBED_TO_TOPIC", 1, "group describe busy"},
		{"group forget busy two", "would be deleted", "deleted", 0, "group describe idle"},
		{"group forget idle two", "would be deleted", "deleted", 0, "group describe idle"},
		{"group delete busy idle", "idle   would be deleted", "idle   deleted", 1, "topic list"},
		{"group delete busy", "NON_EMPTY_GROUP", "NON_EMPTY_GROUP", 1, "group list"},
		{"group delete idle", "GROUP_ID_NOT_FOUND", "GROUP_ID_NOT_FOUND", 1, "topic list"},
	} {
		s.check(c)
	}
}

// TestTopicNames chooses topics by names and patterns.
func TestTopicNames(t *testing.T) {
	n := openNode(t)
	c := cliOn{t, n.addresses()}
	if out, _ := c.do(0, "topic list -r .*"); out != "TOPIC  PARTITIONS  RECORDS\n" {
		t.Errorf("no topics: %s", out)
	}
	c.do(0, "topic create shop.a shop.b other -p 1 -c retention.ms=1000")
	for _, tt := range []struct {
		line, want string
		code       int
	}{
		{"topic list shop.a --output csv", "TOPIC,PARTITIONS,RECORDS\nshop.a,1,0\n", 0},
		{"topic list -r shop\\..* --output csv", "TOPIC,PARTITIONS,RECORDS\nshop.a,1,0\nshop.b,1,0\n", 0},
		{"topic list -r hop.a oth.r --output csv", "TOPIC,PARTITIONS,RECORDS\nother,1,0\n", 0},
		{"topic list -r a|other --output csv", "TOPIC,PARTITIONS,RECORDS\nother,1,0\n", 0},
		{"topic list -r none --output csv", "TOPIC,PARTITIONS,RECORDS\n", 0},
		{"topic list none other --output csv", "TOPIC,PARTITIONS,RECORDS\nother,1,0\ntarn: UNKNOWN_TOPIC_OR_PARTITION: topic \"none\" does not exist", 1},
		{"topic list -r (", "pattern \"(\" (-r): error parsing regexp: missing closing ): `(`", 2},
		{"topic list -r", "-r takes names for patterns", 2},
		{"topic describe other --output csv", "PARTITION,LEADER,START,END\n0,", 0},
		{"topic describe -r shop.* --output csv", "TOPIC,PARTITION,LEADER,START,END\nshop.a,0,", 0},
		{"topic describe shop.a shop.b --configs --output csv", "TOPIC,CONFIG,VALUE,SOURCE\nshop.a,retention.ms,1000,DYNAMIC_TOPIC_CONFIG\nshop.b,", 0},
		{"topic describe shop.b shop.a", "shop.a  id ", 0},
		{"topic describe other --output json", "\"item\": {", 0},
		{"topic describe -r oth.* --output json", "\"items\": [", 0},
		{"topic describe none shop.a --output csv", "TOPIC,PARTITION,LEADER,START,END\nshop.a,0,", 1},
		{"topic describe -r none", "no topic's name fits none", 1},
	} {
		out, problems := c.do(tt.code, tt.line)
		if !strings.Contains(out+problems, tt.want) {
			t.Errorf("%s: got %s%s, want %s", tt.line, out, problems, tt.want)
		}
	}
}
