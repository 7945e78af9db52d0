package main

import (
	"context"
	"strings"
	"time"
)

// completeWait bounds how long a broker is asked for names while somebody types.
const completeWait = time.Second

// completions lists what may stand for the last of words. names asks a broker for the
// names of things of a kind.
func completions(ctx context.Context, root *commandTree, words []string, names func(ctx context.Context, kind string) []string) []string {
	last := ""
	if len(words) > 0 {
		last, words = words[len(words)-1], words[:len(words)-1]
	}
	at, rest := root.find(words)
	var out []string
	add := func(word, help string) {
		if strings.HasPrefix(word, last) {
			out = append(out, word+"\t"+help)
		}
	}
	flag, args := pending(at, rest)
	switch {
	case flag != nil:
		for _, e := range flag.Enum {
			add(e, flag.Name)
		}
	case strings.HasPrefix(last, "-"):
		for i := range at.Flags {
			add("--"+at.Flags[i].Name, at.Flags[i].Help)
		}
		add("--help", "Show help.")
	case len(at.Commands) > 0:
		for i := range at.Commands {
			name := strings.TrimPrefix(at.Commands[i].Name, at.Name+" ")
			add(name, at.Commands[i].Help)
		}
	case len(at.Args) > 0:
		a := at.Args[min(args, len(at.Args)-1)]
		if args >= len(at.Args) && !a.Repeated {
			break
		}
		for _, e := range a.Enum {
			add(e, a.Help)
		}
		for _, n := range names(ctx, kindOf(at.Name, a.Name)) {
			add(n, a.Name)
		}
	}
	return out
}

// pending says which flag waits for its value after words, if any, and how many
// arguments stand there.
func pending(t *commandTree, words []string) (flag *flagInfo, args int) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		if !strings.HasPrefix(w, "-") || w == "-" {
			args++
			continue
		}
		for j := range t.Flags {
			f := &t.Flags[j]
			if f.Switch || w != "--"+f.Name && (f.Short == "" || w != "-"+f.Short) {
				continue
			}
			if i+1 == len(words) {
				return f, args
			}
			i++ // its value
			break
		}
	}
	return nil, args
}

// kindOf says what an argument names.
func kindOf(command, arg string) string {
	switch {
	case arg == "topic", arg == "name" && strings.HasPrefix(command, "tarn topic") && command != "tarn topic create":
		return "topic"
	case arg == "name" && strings.HasPrefix(command, "tarn group"):
		return "group"
	case arg == "subject", arg == "subject-or-topic":
		return "subject"
	}
	return ""
}

// namesOnBroker asks the broker that the environment or ./tarn-data says. Nothing is
// said where there is none.
func namesOnBroker(ctx context.Context, kind string) []string {
	if kind == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completeWait)
	defer cancel()
	var c connect
	if err := c.fromEnvironment(); err != nil {
		return nil
	}
	if kind == "subject" {
		reg, err := c.registry()
		if err != nil {
			return nil
		}
		subjects, _ := reg.Subjects(ctx)
		return subjects
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return nil
	}
	defer adm.Close()
	if kind == "group" {
		groups, _ := adm.ListGroups(ctx)
		return groups.Groups()
	}
	topics, _ := adm.ListTopics(ctx)
	return topics.Names()
}
