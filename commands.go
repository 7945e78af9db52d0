package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// commandTree is a command with all below it, for programs (--help-json), completion,
// man pages and CLI.md. Its shape is stable: fields are added, not changed.
type commandTree struct {
	Name     string        `json:"name"` // whole: tarn topic create
	Help     string        `json:"help"`
	Detail   string        `json:"detail,omitempty"`
	Examples []string      `json:"examples,omitempty"`
	Args     []argInfo     `json:"arguments,omitempty"`
	Flags    []flagInfo    `json:"flags,omitempty"`
	Commands []commandTree `json:"commands,omitempty"`
}

// argInfo is an argument that has a place and no name.
type argInfo struct {
	Name     string   `json:"name"`
	Help     string   `json:"help"`
	Required bool     `json:"required"`
	Repeated bool     `json:"repeated"`
	Enum     []string `json:"enum,omitempty"`
}

// flagInfo is a flag.
type flagInfo struct {
	Name        string   `json:"name"`
	Short       string   `json:"short,omitempty"`
	Aliases     []string `json:"aliases,omitempty"`
	Help        string   `json:"help"`
	Placeholder string   `json:"placeholder,omitempty"`
	Default     string   `json:"default,omitempty"`
	Env         []string `json:"env,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Required    bool     `json:"required,omitempty"`
	Repeated    bool     `json:"repeated,omitempty"`
	Switch      bool     `json:"switch,omitempty"` // takes no value
	Negatable   bool     `json:"negatable,omitempty"`
	// Connection says that the flag is that of every command that talks to a broker.
	Connection bool `json:"connection,omitempty"`
}

// commandPath is a command's words without tarn.
func commandPath(n *kong.Node) string {
	var words []string
	for ; n != nil && n.Type != kong.ApplicationNode; n = n.Parent {
		words = append([]string{n.Name}, words...)
	}
	return strings.Join(words, " ")
}

// treeOf describes a node of kong's and all below it. Flags of the whole program stand
// at its root alone.
func treeOf(n *kong.Node) commandTree {
	out := commandTree{Name: strings.TrimSpace("tarn " + commandPath(n)), Help: n.Help, Detail: n.Detail, Examples: examplesOf(n.Detail)}
	for _, p := range n.Positional {
		out.Args = append(out.Args, argInfo{Name: p.Name, Help: p.Help, Required: p.Required, Repeated: p.IsCumulative(), Enum: enumOf(p)})
	}
	connects := slices.ContainsFunc(n.Flags, func(f *kong.Flag) bool { return f.Name == "brokers" })
	for _, f := range n.Flags {
		if !f.Hidden {
			one := flagOf(f)
			one.Connection = connects && slices.Contains(connectionFlagNames(), f.Name)
			out.Flags = append(out.Flags, one)
		}
	}
	for _, c := range n.Children {
		if !c.Hidden {
			out.Commands = append(out.Commands, treeOf(c))
		}
	}
	return out
}

func flagOf(f *kong.Flag) flagInfo {
	out := flagInfo{
		Name: f.Name, Aliases: f.Aliases, Help: f.Help, Default: f.Default, Env: f.Envs, Enum: enumOf(f.Value),
		Required: f.Required, Repeated: f.IsCumulative(), Switch: f.IsBool(), Negatable: f.Tag.Negatable != "",
	}
	if f.Short != 0 {
		out.Short = string(f.Short)
	}
	if !out.Switch {
		out.Placeholder = f.FormatPlaceHolder()
		if f.PlaceHolder != "" {
			out.Placeholder = f.PlaceHolder
		}
	}
	return out
}

func enumOf(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	var out []string
	for word := range strings.SplitSeq(v.Enum, ",") {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
	}
	return out
}

// find goes down the tree by words; rest are those that are no commands.
func (t *commandTree) find(words []string) (at *commandTree, rest []string) {
	at = t
	for i, w := range words {
		next := (*commandTree)(nil)
		for j := range at.Commands {
			if at.Commands[j].Name == at.Name+" "+w {
				next = &at.Commands[j]
			}
		}
		if next == nil {
			return at, words[i:]
		}
		at = next
	}
	return at, nil
}

// leaves lists the commands that do something, in order.
func (t *commandTree) leaves() []*commandTree {
	if len(t.Commands) == 0 {
		return []*commandTree{t}
	}
	var out []*commandTree
	for i := range t.Commands {
		out = append(out, t.Commands[i].leaves()...)
	}
	return out
}

// helpJSON is --help-json: it prints the command tree and ends the program.
type helpJSON bool

// IgnoreDefault says to kong that nothing but the flag itself sets it.
func (helpJSON) IgnoreDefault() {}

// BeforeReset implements kong's hook, before anything is asked for.
func (helpJSON) BeforeReset(k *kong.Kong, ctx *kong.Context, std stdio) error {
	n := k.Model.Node
	for _, p := range ctx.Path { // tarn alone is tarn serve, and not asked for by it
		if p.Command != nil && slices.Contains(ctx.Args, p.Command.Name) {
			n = p.Command
		}
	}
	if err := writeJSON(std.out, treeOf(n)); err != nil {
		return err
	}
	k.Exit(0)
	return nil
}
