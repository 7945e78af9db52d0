package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// maxBundlePart bounds one part of a bundle; more of it is cut off, which the bundle
// says. Metrics of ten thousand topics are below it.
const maxBundlePart = 16 << 20

type debugCmd struct {
	Bundle debugBundleCmd `cmd:"" help:"Put what helps to find a fault into one zip file: settings without secrets, state, metrics, goroutines, the log's last lines."`
}

type debugBundleCmd struct {
	connect
	File  string        `arg:"" optional:"" help:"File to make; default: tarn-debug- and the time."`
	Trace time.Duration `placeholder:"TIME" help:"Record for so long, 60s at most, what the broker's goroutines and processors do: trace.out and cpu.pprof in the bundle."`
}

// Help shows examples.
func (c *debugBundleCmd) Help() string {
	return `Nothing of any record, key or schema goes into the file, and no password; names of
topics, groups, users and clients do, and addresses. Look into it before you pass it on.

  tarn debug bundle
  tarn debug bundle --trace 5s
  tarn debug bundle fault.zip --http http://127.0.0.1:8081`
}

// bundlePart is a file of a bundle, and where the broker has it.
type bundlePart struct{ file, path string }

// parts are the files of the bundle. What records for a time comes first, so that
// the rest is of its end.
func (c *debugBundleCmd) parts() []bundlePart {
	var out []bundlePart
	if c.Trace > 0 {
		seconds := strconv.FormatFloat(c.Trace.Seconds(), 'f', -1, 64)
		out = append(out, bundlePart{"trace.out", "/api/debug/trace?seconds=" + seconds}, bundlePart{"cpu.pprof", "/api/debug/cpu?seconds=" + seconds})
	}
	return append(out, []bundlePart{
		{"ready.json", "/readyz?verbose"}, {"settings.json", "/api/settings"}, {"overview.json", "/api/overview"}, {"topics.json", "/api/topics"},
		{"groups.json", "/api/groups"}, {"tables.json", "/api/tables"}, {"clients.json", "/api/clients"}, {"listeners.json", "/api/listeners"},
		{"metrics.txt", "/metrics"}, {"goroutines.txt", "/api/debug/goroutines"}, {"heap.pprof", "/api/debug/heap"}, {"log.txt", "/api/debug/log"},
	}...)
}

// bundleIndex is bundle.json: what the bundle is.
type bundleIndex struct {
	Made    time.Time     `json:"made"`
	Client  string        `json:"client"` // the version of the command line
	Address string        `json:"address"`
	Broker  *runFile      `json:"broker,omitempty"` // as it says where it is, if that is on this machine
	Parts   []bundledPart `json:"parts"`
}

// bundledPart says what became of a part.
type bundledPart struct {
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
	Cut   bool   `json:"cut,omitempty"`   // it was longer
	Error string `json:"error,omitempty"` // why there is none
}

// Run makes the bundle. A part that cannot be had is told in it, and the command exits
// 1 then; the file is there all the same.
func (c *debugBundleCmd) Run(ctx context.Context, std stdio) (err error) {
	if c.Trace < 0 || c.Trace > maxRecording {
		return fmt.Errorf("--trace %v: want up to %v", c.Trace, maxRecording)
	}
	now := time.Now()
	if c.File == "" {
		c.File = "tarn-debug-" + now.UTC().Format("20060102-150405") + ".zip"
	}
	base, err := c.httpAddress()
	if err != nil {
		return err
	}
	if _, err := c.get(ctx, "/livez", 1<<10); err != nil {
		return err // nobody is there: no file of errors
	}
	out, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the bundle: %w", err)
	}
	index := bundleIndex{Made: now.UTC(), Client: version, Address: base}
	if run, ok, err := readRunFile(c.Data); err == nil && ok && run.HTTP == base {
		index.Broker = &run
	}
	z := zip.NewWriter(out)
	for _, p := range c.parts() {
		one, err := c.part(ctx, z, now, p)
		if err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", c.File, err), out.Close(), os.Remove(c.File))
		}
		index.Parts = append(index.Parts, one)
	}
	w, err := z.CreateHeader(&zip.FileHeader{Name: "bundle.json", Method: zip.Deflate, Modified: now})
	if err == nil {
		err = errors.Join(encodeJSON(w, index), z.Close(), out.Close())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", c.File, err), os.Remove(c.File))
	}
	return c.told(std, &index)
}

// part asks for one part and writes it.
func (c *debugBundleCmd) part(ctx context.Context, z *zip.Writer, now time.Time, p bundlePart) (bundledPart, error) {
	out := bundledPart{File: p.file}
	b, err := c.get(ctx, p.path, maxBundlePart+1)
	if err == nil && p.file == "settings.json" {
		b, err = withoutSecrets(b)
	}
	if err != nil {
		out.Error = err.Error()
		return out, nil
	}
	if out.Cut = len(b) > maxBundlePart; out.Cut {
		b = b[:maxBundlePart]
	}
	out.Bytes = len(b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: p.file, Method: zip.Deflate, Modified: now})
	if err == nil {
		_, err = w.Write(b)
	}
	return out, err
}

// told says what is in the bundle.
func (c *debugBundleCmd) told(std stdio, index *bundleIndex) error {
	var failed []error
	s := sheet{Columns: []string{"PART", "BYTES", "STATUS"}}
	for _, p := range index.Parts {
		status := "whole"
		switch {
		case p.Error != "":
			status = "failed: " + p.Error
			failed = append(failed, fmt.Errorf("%s: %s", p.File, p.Error))
		case p.Cut:
			status = "cut off"
		}
		s.add(p.File, p.Bytes, status)
	}
	var err error
	if c.Output == "json" {
		err = writeJSON(std.out, map[string]any{"file": c.File, "parts": index.Parts})
	} else {
		err = s.write(std.out, c.Output)
	}
	if c.Output == "text" {
		fmt.Fprintf(std.out, "\n%s made; look into it before you pass it on\n", c.File)
	}
	return errors.Join(append(failed, err)...)
}

// withoutSecrets takes the values of secrets out of a broker's settings.
func withoutSecrets(b []byte) ([]byte, error) {
	var s settingsInfo
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	for i := range s.Configs {
		if c := &s.Configs[i]; c.Value != "" && (c.Sensitive || isSecret(c.Name)) {
			c.Value = notShown
		}
	}
	return json.MarshalIndent(s, "", "  ")
}

// get asks for a page of the broker and reads at most so many bytes of it.
func (c *connect) get(ctx context.Context, path string, most int64) ([]byte, error) {
	resp, err := c.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", path, err)
	}
	// A broker that is not ready says so in what it answers.
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusServiceUnavailable {
		return nil, refusal(http.MethodGet+" "+path, resp.Status, b)
	}
	return b, nil
}
