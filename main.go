// Tarn is a schema-aware, Kafka-compatible broker with a lake inside: records
// come in by the Kafka protocol, are held against their topic's schema, kept in
// an embedded log, and written into Parquet, Iceberg and Delta tables beside
// it, exactly once. ARCHITECTURE.md is the tour.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the whole command line. Flags of tarn serve come from the command
// line, the environment (TARN_…) or tarn.yaml, in this order.
type cli struct {
	Config   string   `help:"Settings file (YAML)." type:"path" placeholder:"FILE" default:"tarn.yaml"`
	Profile  string   `help:"Profile of a broker to talk to (tarn profile); default: the current one, where nothing else names a broker." placeholder:"NAME"`
	HelpJSON helpJSON `name:"help-json" help:"Print the commands, or one with all below it, as JSON for programs."`

	Serve       serveCmd       `cmd:"" default:"withargs" help:"Run the broker (this is what tarn alone does)."`
	Dev         devCmd         `cmd:"" help:"Run a broker for tests: in memory, on free ports, with reset, snapshots and faults over HTTP."`
	Test        testCmd        `cmd:"" help:"Run a command against a broker of its own, as tarn dev makes it."`
	Demo        demoCmd        `cmd:"" help:"Fill three topics with made-up data, to look at: schemas, tables, rejections, a slow group."`
	Topic       topicCmd       `cmd:"" help:"Create, list, describe, change and delete topics."`
	Produce     produceCmd     `cmd:"" help:"Produce JSON lines, CSV, Parquet or text of any format, from files or standard input, encoded by the topic's schema."`
	Consume     consumeCmd     `cmd:"" help:"Write a topic's records as JSON lines, decoded by their schemas."`
	Generate    generateGroup  `cmd:"" help:"Fill a topic with made-up records that fit its schema, at a rate; print a dashboard and alert rules."`
	Perf        perfCmd        `cmd:"" help:"Measure throughput and latency of producing, of consuming, and end to end."`
	Group       groupCmd       `cmd:"" help:"List, describe and delete consumer groups, and set their offsets."`
	Schema      schemaCmd      `cmd:"" help:"Register, list and check schemas."`
	Apply       applyCmd       `cmd:"" help:"Make schemas, levels, topics, configs, access rules and quotas as one YAML file says; --check and --dry-run only show what differs."`
	Rejections  rejectionsCmd  `cmd:"" help:"List the last records that did not fit a topic's schema."`
	SQL         sqlCmd         `cmd:"" name:"sql" help:"Ask topics and tables by SQL, live."`
	Table       tableCmd       `cmd:"" help:"Show, flush and verify the tables of topics."`
	User        userCmd        `cmd:"" help:"Create, list and delete users."`
	Token       tokenCmd       `cmd:"" help:"Make, list, renew and end delegation tokens."`
	ACL         aclCmd         `cmd:"" name:"acl" help:"Create, list and delete access rules."`
	Quota       quotaCmd       `cmd:"" help:"List and set quotas of users, clients and addresses."`
	Txn         txnCmd         `cmd:"" help:"Look into transactions, and abort them."`
	Client      clientCmd      `cmd:"" help:"List clients, and what they push about themselves."`
	Listener    listenerCmd    `cmd:"" help:"List Kafka listeners, and set what clients are told."`
	LogLevel    logLevelCmd    `cmd:"" name:"log-level" help:"Show or set the level of a running broker's log, for good or for a time."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask whether the broker is ready; exit 0 if it is."`
	Backup      backupCmd      `cmd:"" help:"Write everything but tables into one file, of a running broker or of a data directory."`
	Restore     restoreCmd     `cmd:"" help:"Make a data directory from a backup or a replica, as of any time that the replica has."`
	Replicate   replicateCmd   `cmd:"" help:"Keep a replica of a running broker's store in a directory or on S3, continuously."`
	Reset       resetCmd       `cmd:"" help:"Begin anew, for development: a topic, a group, tarn dev, or all that a data directory holds."`
	Settings    configCmd      `cmd:"" name:"config" help:"Show and check the settings of the broker, as flags, environment and tarn.yaml make them, and change those of a running one."`
	Profiles    profileCmd     `cmd:"" name:"profile" help:"Keep connections to brokers under names."`
	Completion  completionCmd  `cmd:"" help:"Print the completion script of a shell."`
	Man         manCmd         `cmd:"" help:"Write manual pages, or the reference of all commands."`
	Doctor      doctorCmd      `cmd:"" help:"Look at a running broker as its clients do, and say what to change."`
	Debug       debugCmd       `cmd:"" help:"Collect what helps to find a fault."`
	Errors      errorsCmd      `cmd:"" help:"Explain an error code of Kafka, or a code or state that Tarn gives."`
	Version     versionCmd     `cmd:"" help:"Print the version."`

	CompleteWords completeWordsCmd `cmd:"" hidden:"" help:"Say what may stand for the last word; for completion scripts."`
}

// exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// stdio is where a command reads and writes; tests give their own.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// run parses and runs one command line and returns the exit code: 0 done, 1
// failed, 2 could not be told or wrong usage.
func run(ctx context.Context, args []string, std stdio) (code int) {
	var c cli
	parser, err := newParser(&c, std)
	if err != nil {
		fmt.Fprintln(std.err, "tarn:", err)
		return 2
	}
	// kong ends --help and --version by calling its exit function.
	type exited int
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	parser.Exit = func(code int) { panic(exited(code)) }
	kctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(std.err, "tarn:", usageError(parser, args, err))
		return 2
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	out := &commandOutput{w: std.out, command: commandPath(kctx.Selected())}
	std.out = out
	kctx.Bind(std)
	err = kctx.Run()
	if err != nil && !out.wrote && wantsJSON(kctx) {
		// Who reads JSON gets some, whatever happens.
		_ = encodeJSON(out, jsonAnswer{Command: out.command, Version: envelopeVersion, Error: err.Error()})
	}
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(std.err, "tarn:", exit.err)
		}
		return exit.code
	}
	fmt.Fprintln(std.err, "tarn:", err)
	return 1
}

// usageError says what is wrong with a command line, and where its help is.
func usageError(k *kong.Kong, args []string, err error) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) || parse.Context == nil {
		return err
	}
	var names []string
	for _, n := range k.Model.Children {
		names = append(names, n.Name)
	}
	if word := append(args, "-")[0]; !strings.HasPrefix(word, "-") && !slices.Contains(names, word) {
		err = fmt.Errorf("there is no command %q", word)
		if hint := commandHint(k.Model.Node, k.Model.Node, word); hint != "" {
			err = fmt.Errorf("%w, did you mean %s?", err, hint)
		}
		return fmt.Errorf("%w\ntarn --help lists the commands", err)
	}
	help, usage := "tarn ", ""
	if n := parse.Context.Selected(); n != nil {
		if len(n.Children) == 0 {
			usage = "\nusage: tarn " + n.Summary()
		}
		help += commandPath(n) + " "
		if word, unknown := strings.CutPrefix(err.Error(), "unexpected argument "); unknown && len(n.Children) > 0 {
			err = noSubcommand(k.Model.Node, n, word)
		}
		// Forms for programs have a flag of their own.
		for _, f := range n.Flags {
			if f.Name == "output" && strings.HasPrefix(err.Error(), "--format must be") {
				err = errors.New(strings.Replace(err.Error(), `,"" but`, " but", 1) + "; --output is for text, json and csv")
			}
			if f.Name == "type" && strings.HasPrefix(err.Error(), "--type must be") { // small letters too
				err = errors.New(strings.Replace(err.Error(), `,"avro","protobuf","json",""`, "", 1))
			}
			if f.Name == "format" && f.Enum != "" && strings.HasPrefix(err.Error(), "--output must be") {
				err = fmt.Errorf("%w; --format is for %s", err, strings.Join(strings.FieldsFunc(f.Enum, func(r rune) bool { return r == ',' }), ", "))
			}
		}
	}
	if flag, unknown := strings.CutPrefix(err.Error(), "unknown flag "); unknown {
		flag, _, _ = strings.Cut(flag, ",")
		switch {
		case flag == "-y" || flag == "--yes":
			err = fmt.Errorf("unknown flag %s: %sasks nothing before it does its work, leave it away", flag, help)
		case otherFlag(help, flag) != "":
			err = fmt.Errorf("unknown flag %s: %s", flag, otherFlag(help, flag))
		case !strings.HasPrefix(flag, "--"): // any letter is like any other
			err = fmt.Errorf("unknown flag %s", flag)
		}
	}
	return fmt.Errorf("%w%s\nsee %s--help", err, usage, help)
}

// wantsJSON reports whether the command was asked for JSON.
func wantsJSON(kctx *kong.Context) bool {
	for _, f := range kctx.Flags() {
		if f.Name == "output" {
			return f.Target.Kind() == reflect.String && f.Target.String() == "json"
		}
	}
	return false
}

func newParser(c *cli, std stdio) (*kong.Kong, error) {
	k, err := kong.New(c,
		kong.Name("tarn"),
		kong.Description("A schema-aware, Kafka-compatible broker with a lake inside."),
		kong.Bind(c, std),
		kong.Writers(std.out, std.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("TARN"), kong.WithBeforeReset(passEmptyPaths),
		kong.WithBeforeResolve(func(kctx *kong.Context, c *cli) error { return loadSettings(kctx, c) }),
		kong.Vars{"version": versionText()},
	)
	if err != nil {
		return nil, err
	}
	withExamples(k.Model)
	return k, nil
}
