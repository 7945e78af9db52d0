package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

type testCmd struct {
	devFlags
	Command []string `arg:"" help:"Command and its arguments, after --."`
}

// Help shows examples and what is exported.
func (c *testCmd) Help() string {
	return `The command gets the addresses in its environment: KAFKA_BROKERS and
KAFKA_BOOTSTRAP_SERVERS (host:port), SCHEMA_REGISTRY_URL, and for tarn's own commands
TARN_BROKERS and TARN_HTTP. Its exit code is that of tarn test, and signals go on to it.

  tarn test -- npm test
  tarn test --seed shop.yaml -- pytest -q
  tarn test -- sh -c 'kcat -b $KAFKA_BROKERS -L'`
}

// Run runs the command, with a broker that lives as long.
func (c *testCmd) Run(ctx context.Context, std stdio) error {
	d, err := openDev(context.WithoutCancel(ctx), &c.devFlags, stdio{in: std.in, out: std.err, err: std.err})
	if err != nil {
		return err
	}
	defer d.close()
	run := d.addresses()
	// Not ended with ctx: it gets the signal that ended ctx itself.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.Command[0], c.Command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.in, std.out, std.err
	cmd.Env = append(os.Environ(),
		"KAFKA_BROKERS="+run.Kafka, "KAFKA_BOOTSTRAP_SERVERS="+run.Kafka, "SCHEMA_REGISTRY_URL="+run.HTTP,
		"TARN_BROKERS="+run.Kafka, "TARN_HTTP="+run.HTTP)
	signals := make(chan os.Signal, 8) // more than anybody sends at once
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return &exitError{2, fmt.Errorf("run %s: %w", c.Command[0], err)}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it has ended if this fails
		case err := <-d.broken:
			_, _ = fmt.Fprintln(std.err, "tarn: the broker has ended:", err)
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := <-ended; err != nil {
				_, _ = fmt.Fprintln(std.err, "tarn: the command has ended:", err)
			}
			return &exitError{code: 2}
		case err := <-ended:
			return exitOf(cmd, err)
		}
	}
}

// exitOf is how a command ended, as a shell says it.
func exitOf(cmd *exec.Cmd, err error) error {
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &exitError{code: 128 + int(status.Signal())}
	}
	return &exitError{code: cmd.ProcessState.ExitCode()}
}
