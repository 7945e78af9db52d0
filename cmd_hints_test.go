package main

import (
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestCommandHints holds that what is proposed is a command, and what is proposed for it.
func TestCommandHints(t *testing.T) {
	k, err := newParser(&cli{}, stdio{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	leaves(k.Model.Node, func(n *kong.Node) { known["tarn "+commandPath(n)] = true })
	for word, there := range otherWords {
		if !known["tarn "+there] {
			t.Errorf("%s is said to be tarn %s, which is no command", word, there)
		}
		if known["tarn "+word] {
			t.Errorf("%s is a command", word)
		}
	}
	for _, c := range []struct{ line, want string }{
		{"tpic", `there is no command "tpic", did you mean tarn topic?`},
		{"replay", `there is no command "replay", did you mean tarn topic replay?`},
		{"lag", "did you mean tarn group describe?"},
		{"group lag", `tarn group has no command "lag", did you mean tarn group describe?`},
		{"topic ls", "did you mean tarn topic list?"},
		{"topic lst", "did you mean tarn topic list?"},
		{"topic consume orders", "did you mean tarn consume or tarn perf consume?"},
		{"schema add", "did you mean tarn schema register?"},
		{"table show orders", "did you mean tarn table status?"},
		{"group config get", "did you mean tarn group config describe?"},
		{"list", "there is no command \"list\"\ntarn --help"},
		{"topic xyzzy", "tarn topic has no command \"xyzzy\"\nsee tarn topic --help"},
	} {
		args := strings.Fields(c.line)
		_, err := k.Parse(args)
		if err == nil {
			t.Errorf("%s: is a command", c.line)
		} else if got := usageError(k, args, err).Error(); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s; want %s", c.line, got, c.want)
		}
	}
}
