package main

import (
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

// otherFlags are flags that other programs have, and what does the same here.
var otherFlags = map[string]string{
	"--memory":            "tarn dev keeps nothing, and takes free ports; tarn --storage memory:// keeps no records",
	"--bootstrap-server":  "the brokers are --brokers (-b)",
	"--bootstrap-servers": "the brokers are --brokers (-b)",
	"--port":              "the addresses are --kafka.listen HOST:PORT and --http.listen HOST:PORT",
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
