package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type manCmd struct {
	Dir      string `arg:"" optional:"" type:"path" help:"Directory for the pages, one a command."`
	Markdown bool   `help:"Print all commands as one page of Markdown instead."`
}

// Run writes the pages.
func (c *manCmd) Run(k *kong.Kong, std stdio) error {
	tree := treeOf(k.Model.Node)
	if c.Markdown {
		return writeReference(std.out, &tree)
	}
	if c.Dir == "" {
		return errors.New("give a directory, or --markdown")
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	n := 0
	var write func(t *commandTree) error
	write = func(t *commandTree) error {
		var b strings.Builder
		manPage(&b, t)
		n++
		if err := os.WriteFile(filepath.Join(c.Dir, pageName(t.Name)+".1"), []byte(b.String()), 0o644); err != nil {
			return fmt.Errorf("write a page: %w", err)
		}
		for i := range t.Commands {
			if err := write(&t.Commands[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := write(&tree); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "%d pages in %s\n", n, c.Dir)
	return err
}

func pageName(command string) string { return strings.ReplaceAll(command, " ", "-") }

// connectionFlagNames are the flags of every command that talks to a broker: the
// reference has them once.
func connectionFlagNames() []string {
	return []string{"brokers", "http", "data", "output", "user", "password", "token", "sasl", "delegation-token", "tls", "tls-ca", "tls-cert", "tls-key"}
}

// usage is a command's first line.
func (t *commandTree) usage() string {
	words := []string{t.Name}
	for _, a := range t.Args {
		w := strings.ToUpper(a.Name)
		if a.Repeated {
			w += "…"
		}
		if !a.Required {
			w = "[" + w + "]"
		}
		words = append(words, w)
	}
	if len(t.Commands) > 0 {
		words = append(words, "COMMAND")
	}
	for _, f := range t.Flags {
		if f.Required {
			words = append(words, "--"+f.Name+" "+f.Placeholder)
		}
	}
	if len(t.Flags) > 0 {
		words = append(words, "[flags]")
	}
	return strings.Join(words, " ")
}

// title is a flag as it is typed.
func (f *flagInfo) title() string {
	out := "--" + f.Name
	if f.Negatable {
		out = "--[no-]" + f.Name
	}
	if f.Short != "" {
		out = "-" + f.Short + ", " + out
	}
	if !f.Switch {
		out += " " + f.Placeholder
	}
	return out
}

// about is what there is to say of a flag.
func (f *flagInfo) about() string {
	out := f.Help
	if len(f.Enum) > 0 {
		out += " One of " + strings.Join(f.Enum, ", ") + "."
	}
	if f.Default != "" {
		out += " Default: " + f.Default + "."
	}
	return out
}

// prose is a command's detail without its examples.
func (t *commandTree) prose() string {
	var out []string
	for line := range strings.Lines(t.Detail) {
		if !strings.HasPrefix(line, "  ") && strings.TrimSpace(line) != exampleHead {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

// writeReference writes the page CLI.md.
func writeReference(w io.Writer, root *commandTree) error {
	var b strings.Builder
	b.WriteString("# Commands\n\nMade by `tarn man --markdown` from the commands themselves; `tarn COMMAND --help` says the same, `tarn --help-json` says it to programs.\n\n")
	b.WriteString("Every flag can come from the environment, as `TARN_` and its name in capitals with underscores (`TARN_BROKERS`, `TARN_KAFKA_LISTEN`). Exit codes: 0 done; 1 failed, or any part of it; 2 wrong usage, or it could not be told.\n\n")
	b.WriteString("With `--output json` a command prints one object: `{\"command\": …, \"version\": 1, \"items\": […]}` for lists, `\"item\": {…}` for one thing, `\"error\": …` if it failed before it had an answer. `tarn consume`, `tarn rejections -f` and whatever else goes on print one object a line instead.\n\n")
	leaves := root.leaves()
	b.WriteString("| command | does |\n|---|---|\n")
	for _, t := range leaves {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", t.Name, pageName(t.Name), withoutBars(t.Help))
	}
	b.WriteString("\n## Flags of commands that talk to a broker\n\n")
	for _, t := range leaves {
		if slices.ContainsFunc(t.Flags, func(f flagInfo) bool { return f.Name == "brokers" }) {
			writeFlags(&b, t.Flags, true)
			break
		}
	}
	for _, t := range leaves {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```\n%s\n```\n", t.Name, t.Help, t.usage())
		if prose := t.prose(); prose != "" {
			fmt.Fprintf(&b, "\n%s\n", prose)
		}
		if len(t.Args)+len(t.Flags) > 0 {
			b.WriteString("\n")
		}
		for _, a := range t.Args {
			fmt.Fprintf(&b, "- `%s`: %s\n", strings.ToUpper(a.Name), a.Help)
		}
		writeFlags(&b, t.Flags, false)
		if len(t.Examples) > 0 {
			fmt.Fprintf(&b, "\n```sh\n%s\n```\n", strings.Join(t.Examples, "\n"))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeFlags writes those of a connection, or the others.
func writeFlags(b *strings.Builder, flags []flagInfo, connection bool) {
	for i := range flags {
		if flags[i].Connection == connection {
			fmt.Fprintf(b, "- `%s`: %s\n", flags[i].title(), flags[i].about())
		}
	}
}

// withoutBars keeps a text within a cell of a table.
func withoutBars(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// manPage writes a page in the man macros.
func manPage(b *strings.Builder, t *commandTree) {
	fmt.Fprintf(b, ".TH %s 1 \"\" \"tarn %s\" \"Tarn\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(pageName(t.Name)), version, roff(pageName(t.Name)), roff(t.Help))
	fmt.Fprintf(b, ".SH SYNOPSIS\n.B %s\n", roff(t.usage()))
	if prose := t.prose(); prose != "" {
		b.WriteString(".SH DESCRIPTION\n")
		for line := range strings.Lines(prose) {
			if text := strings.TrimSpace(line); text == "" {
				b.WriteString(".PP\n")
			} else {
				b.WriteString(roff(text) + "\n")
			}
		}
	}
	if len(t.Commands) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for i := range t.Commands {
			c := &t.Commands[i]
			fmt.Fprintf(b, ".TP\n.BR %s (1)\n%s\n", roff(pageName(c.Name)), roff(c.Help))
		}
	}
	if len(t.Args) > 0 {
		b.WriteString(".SH ARGUMENTS\n")
		for _, a := range t.Args {
			fmt.Fprintf(b, ".TP\n.I %s\n%s\n", roff(strings.ToUpper(a.Name)), roff(a.Help))
		}
	}
	if len(t.Flags) > 0 {
		b.WriteString(".SH OPTIONS\n")
		for i := range t.Flags {
			fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(t.Flags[i].title()), roff(t.Flags[i].about()))
		}
	}
	if len(t.Examples) > 0 {
		b.WriteString(".SH EXAMPLES\n.nf\n")
		for _, e := range t.Examples {
			b.WriteString(roff(e) + "\n")
		}
		b.WriteString(".fi\n")
	}
	b.WriteString(".SH ENVIRONMENT\nEvery option can be set by a variable: TARN_ and its name in capitals, with underscores.\n")
}

// roff keeps a text from being read as macros.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish,powershell" help:"bash, zsh, fish or powershell."`
}

// Run prints the shell's script. It asks tarn itself for what may follow, so it need
// not be made anew for a new version.
func (c *completionCmd) Run(std stdio) error {
	script := map[string]string{
		"bash": `# bash completion for tarn
_tarn() {
    local IFS=$'\n' line="${COMP_WORDS[*]:1:COMP_CWORD}"
    COMPREPLY=()
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    while read -r line; do COMPREPLY+=("${line%%$'\t'*}"); done < <(tarn complete-words -- "${words[@]}" 2>/dev/null)
}
complete -o default -F _tarn tarn
`,
		"zsh": `#compdef tarn
_tarn() {
    local -a all
    local line
    while IFS= read -r line; do all+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}"); done < <(tarn complete-words -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#all} )); then _describe tarn all; else _files; fi
}
compdef _tarn tarn
`,
		"fish": `# fish completion for tarn
function __tarn_complete
    set -l words (commandline -opc) (commandline -ct)
    tarn complete-words -- $words[2..-1] 2>/dev/null
end
complete -c tarn -a '(__tarn_complete)'
`,
		"powershell": `# PowerShell completion for tarn
Register-ArgumentCompleter -Native -CommandName tarn -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
    # Old versions leave an empty word out, so the last one is said by a flag.
    tarn complete-words --last="$wordToComplete" -- @words 2>$null | ForEach-Object {
        $word, $help = $_ -split "` + "`t" + `", 2
        if (-not $help) { $help = $word }
        [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $help)
    }
}
`,
	}[c.Shell]
	_, err := io.WriteString(std.out, script)
	return err
}

type completeWordsCmd struct {
	Last  *string  `help:"The word that is being typed, where an empty one would be lost."`
	Words []string `arg:"" optional:"" passthrough:"" help:"Words so far; the last one is being typed."`
}

// Run prints what may stand for the last word, one a line, with a tab and what it is.
func (c *completeWordsCmd) Run(ctx context.Context, k *kong.Kong, std stdio) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if c.Last != nil {
		words = append(words, *c.Last)
	}
	tree := treeOf(k.Model.Node)
	for _, l := range completions(ctx, &tree, words, namesOnBroker) {
		if _, err := fmt.Fprintln(std.out, l); err != nil {
			return err
		}
	}
	return nil
}
