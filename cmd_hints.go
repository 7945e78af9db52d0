package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tarn-io/tarn/broker/topic"
)

// otherWords are words of rpk's, of Kafka's tools and of other programs, where Tarn's
// commands have other names or stand at another place.
var otherWords = map[string]string{
	"add-partitions": "topic alter",
	"alter-config":   "topic alter",
	"cat":            "consume",
	"catalog":        "table list",
	"cluster":        "doctor",
	"connect":        "table list",
	"dead-letters":   "topic redrive",
	"dlq":            "topic redrive",
	"export":         "backup",
	"health":         "doctor",
	"info":           "doctor",
	"lag":            "group describe",
	"metadata":       "doctor",
	"offset-delete":  "group forget",
	"partitions":     "topic describe",
	"ps":             "client list",
	"publish":        "produce",
	"query":          "sql",
	"read":           "consume",
	"registry":       "schema list",
	"reset-offsets":  "group seek",
	"run":            "serve",
	"security":       "acl list",
	"send":           "produce",
	"server":         "serve",
	"snapshots":      "table history",
	"start":          "serve",
	"status":         "doctor",
	"subject":        "schema list",
	"subscribe":      "consume",
	"tail":           "consume",
	"transactions":   "txn list",
	"trim-prefix":    "topic trim",
	"vacuum":         "table expire",
	"watch":          "consume",
	"write":          "produce",
}

// sameWord are words of a shell for what groups of commands have.
var sameWord = map[string][]string{
	"ls": {"list"}, "rm": {"delete"}, "remove": {"delete"}, "add": {"create", "register"}, "new": {"create"}, "make": {"create"},
	"show": {"describe", "status"}, "info": {"describe", "status"}, "get": {"describe"}, "edit": {"alter"}, "set": {"alter"}, "update": {"alter"},
}

// otherFlags are flags that other programs have, and what does the same here: of one
// command, or of all.
var otherFlags = map[string]string{
	"--bootstrap-server":                "the brokers are --brokers (-b)",
	"--bootstrap-servers":               "the brokers are --brokers (-b)",
	"--csv":                             "forms are --output json, text or csv",
	"--json":                            "forms are --output json, text or csv",
	"--memory":                          "tarn dev keeps nothing, and takes free ports; tarn --storage memory:// keeps no records",
	"--port":                            "the addresses are --kafka.listen HOST:PORT and --http.listen HOST:PORT",
	"consume --from-beginning":          "it begins at the start of the log, and ends at its end unless -f is given; other places are -o WHERE",
	"consume --max-messages":            "how many is -n N (--num)",
	"consume --timeout":                 "it ends at the end of the log unless -f is given",
	"consume --timeout-ms":              "it ends at the end of the log unless -f is given",
	"consume --topic":                   "the topic is named without a flag, as the first argument",
	"generate --count":                  "how many is -n N (--num)",
	"generate records --count":          "how many is -n N (--num)",
	"group seek --execute":              "it is done at once; --dry-run only shows what would be",
	"group seek --shift-by":             "where to is --to WHERE: start, end, an offset, +N after the start, -N before the end, @TIME",
	"group seek --to-datetime":          "where to is --to @2026-01-31T12:00:00Z",
	"group seek --to-earliest":          "where to is --to start",
	"group seek --to-latest":            "where to is --to end",
	"group seek --to-offset":            "where to is --to OFFSET",
	"produce --batch-size":              "the client library chooses its batches; tarn perf produce measures",
	"produce --file":                    "a file is named without a flag, behind the first argument",
	"produce --schema":                  "a topic's schema is that of its subject: tarn schema register TOPIC-value FILE, before or after",
	"produce --topic":                   "the topic is named without a flag, as the first argument",
	"schema register --file":            "a file is named without a flag, behind the first argument",
	"topic create --replication-factor": "there is one broker, so one replica of each partition",
	"topic create --schema":             "a topic's schema is that of its subject: tarn schema register TOPIC-value FILE, before or after",
	"topic create --topic":              "the topic is named without a flag, as the first argument",
	"topic delete --topic":              "the topic is named without a flag, as the first argument",
	"topic describe --topic":            "the topic is named without a flag, as the first argument",
}

// otherFlag is what does here what a flag of another program does; command is as it is
// typed, with a space behind it.
func otherFlag(command, flag string) string {
	return cmp.Or(otherFlags[strings.TrimPrefix(command, "tarn ")+flag], otherFlags[flag])
}

// commandHint is the command that somebody may mean by a word that is none below n, or
// nothing: one that is spelled nearly so, one that stands elsewhere, or the name of
// another tool for it.
func commandHint(root, n *kong.Node, word string) string {
	var names []string
	for _, c := range n.Children {
		names = append(names, c.Name)
	}
	for _, same := range sameWord[word] {
		if slices.Contains(names, same) {
			return "tarn " + strings.TrimSpace(commandPath(n)+" "+same)
		}
	}
	if near := topic.Suggest(word, names); near != "" {
		return "tarn " + strings.TrimSpace(commandPath(n)+" "+near)
	}
	if there := otherWords[word]; there != "" {
		return "tarn " + there
	}
	var found []string
	leaves(root, func(leaf *kong.Node) {
		if leaf.Name == word {
			found = append(found, "tarn "+commandPath(leaf))
		}
	})
	if len(found) == 0 || len(found) > 3 {
		return ""
	}
	return strings.Join(found, " or ")
}

// leaves calls f for each command at the end of a path.
func leaves(n *kong.Node, f func(*kong.Node)) {
	if len(n.Children) == 0 {
		f(n)
	}
	for _, c := range n.Children {
		leaves(c, f)
	}
}

// noSubcommand says that a group of commands has none of a name.
func noSubcommand(root, n *kong.Node, word string) error {
	word, _, _ = strings.Cut(word, ",") // kong's own guess stands behind it
	err := fmt.Errorf("tarn %s has no command %q", commandPath(n), word)
	if hint := commandHint(root, n, word); hint != "" {
		err = fmt.Errorf("%w, did you mean %s?", err, hint)
	}
	return err
}
