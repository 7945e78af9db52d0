package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run this test binary as tarn.
func TestMain(m *testing.M) {
	// What somebody has set for brokers of their own is not for those of tests. The
	// program that scripts run has the script's.
	if filepath.Base(os.Args[0]) != "tarn" {
		for _, v := range os.Environ() {
			if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "TARN_") {
				_ = os.Unsetenv(name) // a name that is there
			}
		}
	}
	testscript.Main(m, map[string]func(){"tarn": main})
}

// startTimeout bounds the start of a broker in a script.
const startTimeout = 20 * time.Second

// TestExamples runs examples/*.txtar: documentation and tests at once. Beside
// testscript's commands there are "broker", which starts one with flags on the data
// directory "data" and waits until it is ready, "killbroker", which kills it
// without warning, "dev", which starts tarn dev instead, "authority", which makes certificates and tokens, "let", which sets a variable
// to what a pattern finds in the last output, "http", which sends a request, and "until", which runs a command again and again until its
// output matches.
func TestExamples(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "examples",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TARN_DATA", "data")
			root, err := filepath.Abs("examples")
			if err != nil {
				return err
			}
			return os.Symlink(root, filepath.Join(e.WorkDir, "examples"))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"broker":     startBroker,
			"killbroker": killBroker,
			"dev":        startDev,
			"until":      until,
			"authority":  makeAuthority,
			"let":        let,
			"http":       askHTTP,
		},
	})
}

func startBroker(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: broker [FLAG…]")
	}
	dir := ts.Getenv("WORK")
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	log, err := os.OpenFile(filepath.Join(dir, "broker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	defer log.Close()
	tarn, err := exec.LookPath("tarn")
	ts.Check(err)
	flags := append([]string{"serve", "--data", filepath.Join(dir, "data"),
		"--kafka.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0"}, args...)
	cmd := exec.Command(tarn, flags...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ts.Defer(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err == nil {
			<-ended
		}
	})
	run := ready(ctx, ts, filepath.Join(dir, "data"), cmd.Process.Pid, ended)
	ts.Setenv("KAFKA", run.Kafka)
	ts.Setenv("HTTP", run.HTTP)
	ts.Setenv("BROKER_PID", fmt.Sprint(cmd.Process.Pid))
}

// ready waits until the broker of a process has left its run.json.
func ready(ctx context.Context, ts *testscript.TestScript, data string, pid int, ended chan error) runFile {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if r, ok, err := readRunFile(data); err == nil && ok && r.PID == pid {
			return r
		}
		select {
		case err := <-ended:
			ended <- err
			log, _ := os.ReadFile(filepath.Join(filepath.Dir(data), "broker.log"))
			ts.Fatalf("broker ended: %v\n%s", err, log)
		case <-ctx.Done():
			ts.Fatalf("broker was not ready within %v", startTimeout)
		case <-tick.C:
		}
	}
}

// untilTimeout bounds what a script waits for.
const untilTimeout = time.Minute

// until runs "until REGEX COMMAND…", for what others do in their own time.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEX COMMAND…")
	}
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(untilTimeout)
	for {
		err := ts.Exec(args[1], args[2:]...)
		if out := ts.ReadFile("stdout"); err == nil && re.MatchString(out) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%q never matched %q: %v\n%s", args[1:], args[0], err, ts.ReadFile("stdout"))
		}
	}
}

// let runs "let NAME REGEX": NAME is what the first group of REGEX matches in the
// last standard output.
func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: let NAME REGEX")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := re.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("%q finds nothing, or has not one group, in\n%s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], found[1])
}

// askHTTP runs "http METHOD PATH [FILE]", with a file or a JSON text as the body, and
// prints status and answer; "http STATUS METHOD PATH" asks until that is the status.
func askHTTP(ts *testscript.TestScript, neg bool, args []string) {
	wanted := ""
	if len(args) > 0 && regexp.MustCompile("^[0-9]{3}$").MatchString(args[0]) {
		wanted, args = args[0], args[1:]
	}
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: http [STATUS] METHOD PATH [FILE]")
	}
	body := ""
	if len(args) == 3 {
		if body = args[2]; !strings.HasPrefix(body, "{") {
			body = ts.ReadFile(body)
		}
	}
	for deadline := time.Now().Add(untilTimeout); ; {
		req, err := http.NewRequestWithContext(context.Background(), args[0], ts.Getenv("HTTP")+args[1], strings.NewReader(body))
		ts.Check(err)
		req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		resp, err := http.DefaultClient.Do(req)
		ts.Check(err)
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		ts.Check(err)
		if wanted == "" || fmt.Sprint(resp.StatusCode) == wanted {
			fmt.Fprintf(ts.Stdout(), "%d %s\n", resp.StatusCode, bytes.TrimSpace(answer))
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s %s never answered %s, now %s: %s", args[0], args[1], wanted, resp.Status, answer)
		}
	}
}

func killBroker(ts *testscript.TestScript, neg bool, args []string) {
	var pid int
	_, err := fmt.Sscan(ts.Getenv("BROKER_PID"), &pid)
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	// Its ports and its lock are free when it is gone.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(startTimeout)
	for {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("broker %d is still there", pid)
		}
	}
}

// TestReadme holds the first minute of README.md to the script that runs it.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("examples/first_minute.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "## The first minute")
	block := regexp.MustCompile("(?s)```sh[^\n]*\n(.*?)```").FindStringSubmatch(section)
	if block == nil {
		t.Fatal("README.md has no first minute")
	}
	n := 0
	for line := range strings.Lines(block[1]) {
		// The script feeds standard input by a command of its own.
		command, _, _ := strings.Cut(strings.TrimSpace(line), " <")
		if !strings.Contains(string(script), command+"\n") {
			t.Errorf("examples/first_minute.txtar does not run %q", command)
		}
		n++
	}
	if n < 5 {
		t.Errorf("the first minute has %d commands", n)
	}
}
