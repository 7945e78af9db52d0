// Package process builds the broker and runs it as a process of its own, for
// the crash test and the benchmarks: only a real process can be killed and
// measured.
package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxNoise bounds how much of a broker's standard error is kept: its end.
const maxNoise = 64 << 10

// Build builds the broker of the module in the working directory into dir,
// static and stripped as it is released, and returns the binary's path.
func Build(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "tarn")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the broker: %w\n%s", err, out)
	}
	return bin, nil
}

// Config says how a broker is started.
type Config struct {
	Binary string // from Build
	Data   string // data directory
	// Kafka and HTTP are the addresses to listen on, as HOST:PORT; empty takes
	// free ports.
	Kafka, HTTP string
	// Warehouse is where tables lie; empty leaves it to the broker.
	Warehouse string
	// Wrap is put before the command line: a program that runs another.
	Wrap []string
	// Env is added to the environment, and Args to the command line.
	Env, Args []string
}

// Ready is the line a broker prints when it is ready.
type Ready struct {
	PID   int    `json:"pid"`
	Kafka string `json:"kafka"` // HOST:PORT
	HTTP  string `json:"http"`  // URL
}

// Broker is a running broker.
type Broker struct {
	// Began is when the process was started.
	Began time.Time

	cmd   *exec.Cmd
	noise *tail
	ready chan Ready    // gets one value, or is closed without
	ended chan struct{} // closed when the process is gone
	err   error         // how it ended; set before ended is closed
}

// Start starts a broker and does not wait for it.
func Start(cfg Config) (*Broker, error) {
	args := append(append([]string{}, cfg.Wrap...), cfg.Binary, "serve", "--ready-json", "--log.format", "text",
		"--data", cfg.Data, "--kafka.listen", orFree(cfg.Kafka), "--http.listen", orFree(cfg.HTTP))
	if cfg.Warehouse != "" {
		args = append(args, "--warehouse", cfg.Warehouse)
	}
	args = append(args, cfg.Args...)
	b := &Broker{noise: &tail{}, ready: make(chan Ready, 1), ended: make(chan struct{})}
	b.cmd = exec.Command(args[0], args[1:]...)
	b.cmd.Env = append(os.Environ(), cfg.Env...)
	b.cmd.Stderr = b.noise
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe of the broker: %w", err)
	}
	b.Began = time.Now()
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	go b.watch(out)
	return b, nil
}

func orFree(addr string) string {
	if addr == "" {
		return "127.0.0.1:0"
	}
	return addr
}

// watch reads what the process prints until it is gone.
func (b *Broker) watch(out io.Reader) {
	lines := bufio.NewScanner(out)
	if lines.Scan() {
		var r Ready
		if json.Unmarshal(lines.Bytes(), &r) == nil && r.Kafka != "" {
			b.ready <- r
		}
	}
	close(b.ready)
	// What else it prints is of no use, but must not block it.
	_, _ = io.Copy(io.Discard, out)
	b.err = b.cmd.Wait()
	close(b.ended)
}

// Ready waits until the broker says that it is ready. It may be called once.
func (b *Broker) Ready(ctx context.Context) (Ready, error) {
	select {
	case r, ok := <-b.ready:
		if ok {
			return r, nil
		}
	case <-ctx.Done():
		return Ready{}, fmt.Errorf("broker is not ready: %w\n%s", ctx.Err(), b.Noise())
	}
	<-b.ended
	return Ready{}, fmt.Errorf("broker ended before it was ready: %w\n%s", errors.Join(errors.New("see below"), b.err), b.Noise())
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (b *Broker) Kill() {
	_ = b.cmd.Process.Kill() // an error says that it is gone already
	<-b.ended
}

// Stop asks the process to end and waits; an error says that it did not end
// well.
func (b *Broker) Stop(ctx context.Context) error {
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the broker: %w", err)
	}
	select {
	case <-b.ended:
	case <-ctx.Done():
		b.Kill()
		return fmt.Errorf("broker does not stop: %w\n%s", ctx.Err(), b.Noise())
	}
	if b.err != nil {
		return fmt.Errorf("broker ended badly: %w\n%s", b.err, b.Noise())
	}
	return nil
}

// Alive reports whether the process is still there.
func (b *Broker) Alive() bool {
	select {
	case <-b.ended:
		return false
	default:
		return true
	}
}

// PID is the number of the process.
func (b *Broker) PID() int { return b.cmd.Process.Pid }

// Noise is the end of what the broker wrote to standard error.
func (b *Broker) Noise() string { return b.noise.String() }

// Panicked returns the broker's own words if it ended in a panic or a fault.
func (b *Broker) Panicked() (string, bool) {
	s := b.Noise()
	for _, word := range []string{"panic: ", "fatal error: ", "goroutine "} {
		if strings.Contains(s, word) {
			return s, true
		}
	}
	return "", false
}

// tail keeps the end of what is written to it. Safe for concurrent use.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - maxNoise; over > 0 {
		t.buf = bytes.Clone(t.buf[over:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
