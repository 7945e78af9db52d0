package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// cliOn runs commands against a broker of a test.
type cliOn struct {
	t   *testing.T
	run runFile
}

// do runs a command line, whose words have no spaces, and returns what it wrote.
func (c cliOn) do(code int, line string) (out, problems string) {
	return c.with(code, "", strings.Fields(line)...)
}

// with runs a command with standard input.
func (c cliOn) with(code int, in string, args ...string) (out, problems string) {
	c.t.Helper()
	var o, e bytes.Buffer
	args = append(args, "-b", c.run.Kafka, "--http", c.run.HTTP)
	if got := run(c.t.Context(), args, stdio{in: strings.NewReader(in), out: &o, err: &e}); got != code {
		c.t.Errorf("tarn %s: exit %d, want %d: %s%s", strings.Join(args, " "), got, code, o.String(), e.String())
	}
	return o.String(), e.String()
}

// TestProduceCompression sends batches as -z says, whoever has to have them.
func TestProduceCompression(t *testing.T) {
	n := openNode(t)
	c := cliOn{t, n.addresses()}
	c.do(0, "topic create notes -p 1")
	lines := strings.Repeat(`"one of many that are alike"`+"\n", 20)
	kinds := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	for i, kind := range kinds {
		c.with(0, lines, "produce", "notes", "-z", kind, "--acks", []string{"all", "-1", "1", "0", "all"}[i])
	}
	c.with(0, lines, "produce", "notes") // snappy
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.run.Kafka), kgo.ConsumeTopics("notes"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	counts := map[string]int{}
	for read := 0; read < 20*(len(kinds)+1); {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			counts[kinds[r.Attrs.CompressionType()]]++
		})
	}
	for _, kind := range kinds {
		want := 20
		if kind == "snappy" {
			want = 40
		}
		if counts[kind] != want {
			t.Errorf("%s: %d records, want %d", kind, counts[kind], want)
		}
	}
	for line, want := range map[string]string{
		"produce notes -z brotli":                 `must be one of "none","gzip","snappy","lz4","zstd"`,
		"produce notes --acks 2":                  `"2" is none of all (-1), 1 and 0`,
		"produce notes --acks 1 --transaction id": "a transaction needs --acks all",
	} {
		if _, problems := c.do(2, line); !strings.Contains(problems, want) {
			t.Errorf("%s: %s", line, problems)
		}
	}
}
