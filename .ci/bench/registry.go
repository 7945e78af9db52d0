package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/storage/sqlite"
	"github.com/tarn-io/tarn/registry"
)

// A registry as large companies have it.
const (
	registrySubjects = 10_000
	registryVersions = 10
	registryAsks     = 30 // of each kind in a run
)

// registry measures a registry with many subjects: how long a broker takes to
// start with it, and what lists and look-ups take, beside a request for nothing.
func (b *bench) registry() error {
	subjects := b.amount(registrySubjects)
	data := filepath.Join(b.home, "registry")
	begun := time.Now()
	if err := b.fillRegistry(data, subjects); err != nil {
		return err
	}
	took := time.Since(begun)
	b.table.add("registry, register (no flush)", "µs", float64(took.Microseconds())/float64(subjects*registryVersions), 0, "")
	size := fmt.Sprintf("registry, %d subjects of %d versions, ", subjects, registryVersions)
	err := b.each(func(int) error {
		begun := time.Now()
		if err := exec.CommandContext(b.ctx, b.binary, "version").Run(); err != nil {
			return err
		}
		base := time.Since(begun)
		s, err := b.serve("registry")
		if err != nil {
			return err
		}
		defer s.Kill()
		b.table.add(size+"start to ready", "ms", float64(time.Since(s.Began))/1e6, float64(base)/1e6, "tarn version")
		if used, err := s.CPU(); err == nil { // says more than the time where others compute too
			b.table.add(size+"CPU to ready", "ms", used.Seconds()*1e3, 0, "")
		}
		if err := b.askRegistry(s, size, subjects); err != nil {
			return err
		}
		// Memory is given back when a burst is over for some seconds.
		select {
		case <-b.ctx.Done():
			return b.ctx.Err()
		case <-time.After(settleFor):
		}
		if n, _, err := s.Resident(); err == nil {
			b.table.add(size+"memory at rest", "MB", float64(n)/1e6, 0, "")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(data)
}

// registryText is the schema of a version.
func registryText(subject, version int) string {
	var fields strings.Builder
	for v := range version {
		fmt.Fprintf(&fields, `,{"name":"f%d","type":"string","default":""}`, v)
	}
	return fmt.Sprintf(`{"type":"record","name":"Order%d","namespace":"shop","fields":[{"name":"id","type":"long"}%s]}`, subject, fields.String())
}

// fillRegistry registers all versions in a store without waiting for the disk:
// what is measured comes later.
func (b *bench) fillRegistry(data string, subjects int) error {
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	e, err := sqlite.Open(b.ctx, sqlite.Config{Path: filepath.Join(data, "tarn.db"), Synchronous: sqlite.Normal})
	if err != nil {
		return err
	}
	defer e.Close()
	r, err := registry.Open(b.ctx, registry.Config{Engine: e})
	if err != nil {
		return err
	}
	for s := range subjects {
		for v := 1; v <= registryVersions; v++ {
			if _, err := r.Register(b.ctx, fmt.Sprintf("topic-%d-value", s), registry.Request{Text: registryText(s, v)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// askRegistry asks as serializers, deserializers and consoles do.
func (b *bench) askRegistry(s *server, size string, subjects int) error {
	ask := func(method, path, body string) (time.Duration, error) {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, s.ready.HTTP+path, bytes.NewReader([]byte(body)))
		if err != nil {
			return 0, err
		}
		req.Header.Set("Content-Type", "application/json")
		begun := time.Now()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return 0, err
		}
		if resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("%s %s: %s", method, path, resp.Status)
		}
		return time.Since(begun), nil
	}
	lookup := func(n int) string { return fmt.Sprintf(`{"schema":%q}`, registryText(n, 5)) }
	for n := range registryAsks {
		n = n * (subjects / registryAsks)
		base, err := ask("GET", "/schemas/types", "")
		if err != nil {
			return err
		}
		for _, q := range []struct{ name, method, path, body string }{
			{"list subjects", "GET", "/subjects", ""},
			{"look a schema up", "POST", fmt.Sprintf("/subjects/topic-%d-value", n), lookup(n)},
			{"get by id", "GET", fmt.Sprintf("/schemas/ids/%d", n*registryVersions+5), ""},
			{"get the latest version", "GET", fmt.Sprintf("/subjects/topic-%d-value/versions/latest", n), ""},
			{"list versions", "GET", fmt.Sprintf("/subjects/topic-%d-value/versions", n), ""},
			{"list uses of an id", "GET", fmt.Sprintf("/schemas/ids/%d/versions", n*registryVersions+5), ""},
			{"register another version", "POST", fmt.Sprintf("/subjects/topic-%d-value/versions", n), fmt.Sprintf(`{"schema":%q}`, registryText(n, registryVersions+1+n%7))},
		} {
			took, err := ask(q.method, q.path, q.body)
			if err != nil {
				return err
			}
			b.table.add(size+q.name, "ms", float64(took)/1e6, float64(base)/1e6, "a request for nothing")
		}
	}
	return nil
}
