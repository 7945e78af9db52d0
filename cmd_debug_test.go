package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLogTail keeps the last lines within its bound, and passes all on.
func TestLogTail(t *testing.T) {
	var out bytes.Buffer
	l := &logTail{out: &out}
	line := strings.Repeat("x", 1000)
	for i := range 1000 {
		fmt.Fprintf(l, "%04d %s\n", i, line)
	}
	last := l.last()
	size := 0
	for _, b := range last {
		size += len(b)
	}
	if size > maxLogTail || size < maxLogTail-2000 || !bytes.HasPrefix(last[len(last)-1], []byte("0999 ")) {
		t.Errorf("%d lines, %d bytes, the last %.10q", len(last), size, last[len(last)-1])
	}
	if got := strings.Count(out.String(), "\n"); got != 1000 {
		t.Errorf("%d lines were passed on", got)
	}
	huge := bytes.Repeat([]byte("y"), maxLogTail+1)
	if _, err := l.Write(huge); err != nil || len(l.last()) != 1 {
		t.Errorf("after a line above the bound there are %d, %v", len(l.last()), err)
	}
}

// TestWithoutSecrets takes values of secrets out, and nothing else.
func TestWithoutSecrets(t *testing.T) {
	in, err := json.Marshal(settingsInfo{Configs: []configEntry{
		{Name: "ssl.keystore.password", Value: "hunter2"}, {Name: "marked", Value: "hunter2", Sensitive: true}, {Name: "listeners", Value: "PLAINTEXT://:9092"}, {Name: "empty.secret"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := withoutSecrets(in)
	if got := string(b); err != nil || strings.Contains(got, "hunter2") || strings.Count(got, notShown) != 2 || !strings.Contains(got, "PLAINTEXT://:9092") {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestDebugBundle holds every part of a bundle to what is in it.
func TestDebugBundle(t *testing.T) {
	data := startServe(t)
	file := filepath.Join(t.TempDir(), "fault.zip")
	var out, problems bytes.Buffer
	if code := run(t.Context(), []string{"debug", "bundle", file, "--trace", "50ms", "--data", data}, stdio{out: &out, err: &problems}); code != 0 {
		t.Fatalf("exit %d: %s", code, problems.String())
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	want := map[string]string{
		"trace.out": "go 1.", "cpu.pprof": "\x1f\x8b",
		"ready.json": `"status":"ready"`, "settings.json": `"listeners"`, "overview.json": "{", "topics.json": "[", "groups.json": "[", "tables.json": "[",
		"clients.json": "[", "listeners.json": "[", "metrics.txt": "tarn_build_info", "goroutines.txt": "goroutine profile", "heap.pprof": "\x1f\x8b", "log.txt": "",
		"bundle.json": `"file": "log.txt"`,
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if text, ok := want[f.Name]; err != nil || !ok || !bytes.Contains(b, []byte(text)) {
			t.Errorf("%s: %v, %.200q", f.Name, err, b)
		}
		if old := time.Since(f.Modified); old < -time.Minute || old > time.Hour {
			t.Errorf("%s is from %v", f.Name, f.Modified)
		}
		delete(want, f.Name)
	}
	for name := range want {
		t.Errorf("%s is not in the bundle", name)
	}
}
