package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

const (
	// schemaDirEvery is how often a directory of schemas is looked at: a look is
	// one reading of the directory and one stat for each file.
	schemaDirEvery = 2 * time.Second
	// maxSchemaFiles bounds the files of the directory: a change reads them all.
	maxSchemaFiles = 10_000
	// shownDifferences bounds what is logged of a schema that does not fit.
	shownDifferences = 5
)

// schemaDir keeps subjects as a directory of files says. Files are read when one
// of them has changed; what cannot be registered is logged once, and the registry
// goes on with what it has. Nothing is ever deleted. One goroutine at a time.
type schemaDir struct {
	dir string
	reg *registry.Registry
	lg  *slog.Logger

	seen map[string]stamp // of files, as of the last reading
	said map[string]string
	// settled is closed when the registry has changed since the last try of what
	// failed; nil if nothing did.
	settled <-chan struct{}
	again   bool // the store failed: it is tried at the next look
}

// stamp tells whether a file is the same.
type stamp struct {
	modified time.Time
	size     int64
}

// schemaFile is one file of the directory.
type schemaFile struct {
	name    string
	subject string
	typ     schema.Type
	text    string
	// refers are the names by which it refers to others, by their files.
	refers map[string]string
	state  int // of the walk: 0 new, 1 on the way, 2 done
}

func newSchemaDir(dir string, reg *registry.Registry, lg *slog.Logger) *schemaDir {
	return &schemaDir{dir: dir, reg: reg, lg: lg, said: map[string]string{}}
}

// openSchemaDir registers what --schema-dir says, if it is given.
func (n *node) openSchemaDir(ctx context.Context) error {
	if n.cmd.SchemaDir == "" {
		return nil
	}
	n.schemas = newSchemaDir(n.cmd.SchemaDir, n.registry, n.lg.With("component", "schemas"))
	return n.schemas.look(ctx)
}

// run looks at the directory until ctx ends.
func (d *schemaDir) run(ctx context.Context) error {
	tick := time.NewTicker(schemaDirEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := d.look(ctx); err != nil {
			d.say(".", "error", err.Error())
		} else {
			delete(d.said, ".")
		}
	}
}

// look reads the directory, and registers what it says if something changed. The
// error is that of reading the directory.
func (d *schemaDir) look(ctx context.Context) error {
	now, err := d.stamps()
	if err != nil {
		return err
	}
	retry := d.again
	if d.settled != nil {
		select {
		case <-d.settled:
			retry = true
		default:
		}
	}
	if !retry && d.seen != nil && maps.Equal(now, d.seen) {
		return nil
	}
	files, err := d.read(now)
	if err != nil {
		return err
	}
	changed := d.reg.Changed()
	failed := false
	d.again = false
	for _, f := range d.ordered(files) {
		failed = !d.register(ctx, f) || failed
	}
	if d.seen, d.settled = now, nil; failed {
		d.settled = changed
	}
	return nil
}

// stamps are those of the schema files that are there.
func (d *schemaDir) stamps() (map[string]stamp, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, fmt.Errorf("directory of schemas (--schema-dir): %w", err)
	}
	out := map[string]stamp{}
	for _, e := range entries {
		if _, ok := typeOf(e.Name()); !ok || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := os.Stat(filepath.Join(d.dir, e.Name())) // behind a link: Kubernetes has those
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went a moment ago
		}
		if err != nil {
			return nil, fmt.Errorf("directory of schemas (--schema-dir): %w", err)
		}
		if info.Mode().IsRegular() {
			out[e.Name()] = stamp{info.ModTime(), info.Size()}
		}
	}
	if len(out) > maxSchemaFiles {
		return nil, fmt.Errorf("directory of schemas (--schema-dir): %d files, the limit is %d", len(out), maxSchemaFiles)
	}
	return out, nil
}

// read reads the files, and finds out what refers to what.
func (d *schemaDir) read(names map[string]stamp) (map[string]*schemaFile, error) {
	files := map[string]*schemaFile{}
	subjects := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := &schemaFile{name: name, subject: subjectOfFile(name)}
		f.typ, _ = typeOf(name)
		if other := subjects[f.subject]; other != "" {
			d.say(name, "error", "it is about subject "+f.subject+", as "+other+" is; it is left out")
			continue
		}
		in, err := os.Open(filepath.Join(d.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		text, err := readAtMost(in, registry.MaxSchemaBytes)
		in.Close()
		if err != nil {
			d.say(name, "error", err.Error())
			continue
		}
		f.text = string(text)
		files[name], subjects[f.subject] = f, name
	}
	link(files)
	return files, nil
}

// subjectOfFile names the subject of a file: TOPIC.avsc is about a topic's
// values, TOPIC-key.avsc about its keys.
func subjectOfFile(name string) string {
	base := strings.TrimSuffix(name, filepath.Ext(name))
	if strings.HasSuffix(base, "-key") || strings.HasSuffix(base, "-value") {
		return base
	}
	return base + "-value"
}

// ordered puts files behind those that they refer to.
func (d *schemaDir) ordered(files map[string]*schemaFile) []*schemaFile {
	var out []*schemaFile
	var visit func(f *schemaFile)
	visit = func(f *schemaFile) {
		f.state = 1
		for _, ref := range slices.Sorted(maps.Keys(f.refers)) {
			if to := files[f.refers[ref]]; to.state == 0 {
				visit(to)
			} else if to.state == 1 {
				delete(f.refers, ref) // around in a circle: the parser says what it misses
			}
		}
		f.state = 2
		out = append(out, f)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if f := files[name]; f.state == 0 {
			visit(f)
		}
	}
	return out
}

// register registers one file, and says so if that is news.
func (d *schemaDir) register(ctx context.Context, f *schemaFile) bool {
	req := registry.Request{Type: f.typ, Text: f.text}
	for _, name := range slices.Sorted(maps.Keys(f.refers)) {
		req.References = append(req.References, schema.Reference{
			Name: name, Subject: subjectOfFile(f.refers[name]), Version: registry.Latest,
		})
	}
	v, err := d.reg.Register(ctx, f.subject, req)
	if err == nil {
		d.say(f.name, "info", fmt.Sprintf("subject %s has it as version %d, id %d", f.subject, v.Version, v.ID))
		return true
	}
	why := f.subject + ": " + err.Error()
	if bad, ok := errors.AsType[*schema.ParseError](err); ok {
		why = f.name + ": " + bad.Msg
		if bad.Line > 0 {
			why = fmt.Sprintf("%s:%d:%d: %s", f.name, bad.Line, bad.Column, bad.Msg)
		}
	} else if bad, ok := errors.AsType[*registry.Incompatible](err); ok {
		for _, one := range bad.Differences[:min(len(bad.Differences), shownDifferences)] {
			why += "; " + one.Type + " at " + one.Path + ": " + one.Describe("new", "old")
		}
	} else if !errors.As(err, new(*registry.Refused)) {
		d.again = true
	}
	d.say(f.name, "error", why+" (the registry goes on with what it has)")
	return false
}

// say logs what is news about a file.
func (d *schemaDir) say(name, level, text string) {
	if d.said[name] == text {
		return
	}
	d.said[name] = text
	if level == "error" {
		d.lg.Error("schema file refused", "file", filepath.Join(d.dir, name), "why", text)
		return
	}
	d.lg.Info("schema file registered", "file", filepath.Join(d.dir, name), "as", text)
}
