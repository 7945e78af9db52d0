package main

import (
	"os"
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

// TestDryRunRights refuses a dry run to who may not do it.
func TestDryRunRights(t *testing.T) {
	n := openNode(t, "--auth.acl", "--auth.super-users", "User:ANONYMOUS")
	c := cliOn{t, n.addresses()}
	c.do(0, "topic create mine other")
	c.with(0, "\"x\"\n", "produce", "other")
	c.do(0, "group seek mine other --to end")
	c.do(0, "group seek other other --to end")
	c.with(0, "secret\n", "user", "create", "ann")
	for _, line := range []string{"--operation describe --topic *", "--operation describe --group *", "--operation describe --cluster", "--operation describe --subject *",
		"--operation delete --topic mine", "--operation delete --group mine"} {
		c.do(0, "acl create --principal * "+line)
	}
	n.who.rules.SetSuper(nil)
	for _, s := range []same{
		{"topic delete mine other", "TOPIC_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", 1, "group list"},
		{"topic create more", "AUTHORIZATION_FAILED", "AUTHORIZATION_FAILED", 1, "topic list"},
		{"topic alter other -p 5", "TOPIC_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", 1, "topic list"},
		{"group delete mine other", "GROUP_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", 1, "topic list"},
		{"user delete ann", "CLUSTER_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", 1, "user list"},
		{"acl delete --all", "needs Alter on Cluster", "needs Alter on Cluster", 1, "acl list"},
		{"schema level --set NONE", "denied operation", "denied operation", 1, "topic list"},
		{"quota set --for-user ann producer_byte_rate=1000", "CLUSTER_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", 1, "topic list"},
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

// TestDryRunSchemas has the registry say what would become of its changes.
func TestDryRunSchemas(t *testing.T) {
	n := openNode(t)
	c := cliOn{t, n.addresses()}
	t.Chdir(t.TempDir())
	for file, text := range map[string]string{
		"one.avsc":   `{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}`,
		"two.avsc":   `{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","int"],"default":null}]}`,
		"three.avsc": `{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}`,
		"use.avsc":   `{"type":"record","name":"U","fields":[{"name":"r","type":"R"}]}`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const list = "schema list"
	for _, s := range []same{
		{"schema register s one.avsc", "s would be version 1 id 1", "s version 1 id 1", 0, list},
		{"schema register s two.avsc", "s would be version 2 id 2", "s version 2 id 2", 0, list},
		{"schema register s one.avsc", "s would be version 1 id 1", "s version 1 id 1", 0, list},
		{"schema register s three.avsc", "incompatible", "incompatible", 1, list},
		{"schema register u use.avsc --reference R=s:2", "u would be version 1 id 3", "u version 1 id 3", 0, list},
		{"schema delete s --version 2", "references exist", "references exist", 1, list},
		{"schema delete u --permanent", "not deleted first", "not deleted first", 1, list},
		{"schema level s --set none", "s        NONE", "s        NONE", 0, "schema level s"},
		{"schema level s --set some", "ompatibility level", "ompatibility level", 1, "schema level s"},
		{"schema mode s --set READONLY", "s        READONLY", "s        READONLY", 0, "schema mode s"},
		{"schema mode u --set IMPORT", "Cannot import", "Cannot import", 1, "schema mode u"},
		{"schema register s three.avsc", "read-only", "read-only", 1, list},
		{"schema mode s --set READWRITE", "READWRITE", "READWRITE", 0, "schema mode s"},
		{"schema delete u", "u would be deleted", "u deleted", 0, list},
		{"schema delete s --version 2", "s version 2 would be deleted", "s version 2 deleted", 0, list},
		{"schema delete none", "not found", "not found", 1, list},
	} {
		s.check(c)
	}
	// What is no change of the registry is not below this path.
	a := asks{t: t, n: n}
	for _, path := range []string{"dek-registry/v1/keks/k", "api/topics/t", "dry-run/subjects/s", ""} {
		want[map[string]any](a, "DELETE", dryRunPages+path, "", 404)
	}
}

// TestDryRunAccess holds dry runs about users, rules, quotas and transactions to what is
// done then.
func TestDryRunAccess(t *testing.T) {
	n := openNode(t, "--auth.acl", "--auth.super-users", "User:ANONYMOUS")
	c := cliOn{t, n.addresses()}
	c.with(0, "secret\n", "user", "create", "bob", "--dry-run")
	if out, _ := c.do(0, "user list"); strings.Contains(out, "bob") {
		t.Errorf("a dry run has made a user: %s", out)
	}
	if _, problems := c.with(1, "secret\n", "user", "create", "bob", "--iterations", "5", "--dry-run"); !strings.Contains(problems, "UNACCEPTABLE_CREDENTIAL") {
		t.Error(problems)
	}
	c.with(0, "secret\n", "user", "create", "ann")
	for _, s := range []same{
		{"user delete ann", "ann   would be deleted", "ann   deleted", 0, "user list"},
		{"user delete ann", "RESOURCE_NOT_FOUND", "RESOURCE_NOT_FOUND", 1, "user list"},
		{"acl create --principal ann --operation read --topic shop", "User:ann", "User:ann", 0, "acl list"},
		{"acl create --principal ann --operation read --topic " + strings.Repeat("x", 5000), "a text of more than", "a text of more than", 1, "acl list"},
		{"acl delete --principal ann", "User:ann", "User:ann", 0, "acl list"},
		{"quota set --for-user ann producer_byte_rate=1000", "would be changed", "changed", 0, "quota list"},
		{"quota set --for-user ann producer_byte_rate=-1", "INVALID_REQUEST", "INVALID_REQUEST", 1, "quota list"},
	} {
		s.check(c)
	}
}
