package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// filed is a directory of schemas with a registry that follows it.
type filed struct {
	*schemaDir
	t   *testing.T
	log bytes.Buffer
}

func newFiled(t *testing.T) *filed {
	t.Helper()
	reg, err := registry.Open(t.Context(), registry.Config{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	f := &filed{t: t}
	f.schemaDir = newSchemaDir(t.TempDir(), reg, slog.New(slog.NewTextHandler(&f.log, nil)))
	return f
}

func (f *filed) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
	f.seen = nil // clocks of file systems may be coarse
}

// look looks once and gives what was logged.
func (f *filed) look() string {
	f.t.Helper()
	f.log.Reset()
	if err := f.schemaDir.look(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	return f.log.String()
}

// state lists subjects with the references of their latest versions.
func (f *filed) state() string {
	var out []string
	for _, s := range []string{"customer-value", "money-value", "orders-key", "orders-value"} {
		if v, ok := f.reg.Latest(s); ok {
			line := fmt.Sprintf("%s %d", s, v.Version)
			for _, r := range v.References {
				line += fmt.Sprintf(" %s=%s:%d", r.Name, r.Subject, r.Version)
			}
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}

// TestSchemaDir changes files, for better and for worse.
func TestSchemaDir(t *testing.T) {
	f := newFiled(t)
	f.write("README.md", "no schema")
	f.write(".hidden.json", "{")
	f.write("orders.avsc", `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"by","type":"Customer"},{"name":"m","type":["null","shop.Money"]}]}`)
	f.write("customer.avsc", `{"type":"record","name":"Customer","namespace":"shop","fields":[{"name":"name","type":"string"}]}`)
	f.write("money.avsc", `{"type":"record","name":"shop.Money","fields":[{"name":"cents","type":"long"}]}`)
	f.write("orders-key.json", `{"type":"string"}`)
	f.look()
	want := "customer-value 1; money-value 1; orders-key 1; orders-value 1 shop.Customer=customer-value:1 shop.Money=money-value:1"
	if got := f.state(); got != want {
		t.Fatalf("got  %s\nwant %s\n%s", got, want, &f.log)
	}
	if log := f.look(); log != "" {
		t.Errorf("nothing changed, and it says %s", log)
	}

	// A change that cannot be read, and one that is not compatible: told once,
	// with the place, and the old ones stay.
	f.write("money.avsc", "{\n \"type\": \"record\",,\n}")
	f.write("customer.avsc", `{"type":"record","name":"Customer","namespace":"shop","fields":[{"name":"age","type":"int"}]}`)
	log := f.look()
	for _, part := range []string{"money.avsc:2:", "customer-value: ", "READER_FIELD_MISSING_DEFAULT_VALUE at /fields/0"} {
		if !strings.Contains(log, part) {
			t.Errorf("no %q in %s", part, log)
		}
	}
	if got := f.state(); got != want {
		t.Errorf("got %s", got)
	}
	if log := f.look(); log != "" {
		t.Errorf("it repeats itself: %s", log)
	}

	// The level changes, which lets the second in, and who refers to it follows.
	if err := f.reg.SetSettings(t.Context(), "customer-value", func(s *registry.Settings) error { s.Level = "NONE"; return nil }); err != nil {
		t.Fatal(err)
	}
	if log := f.look(); !strings.Contains(log, "customer-value has it as version 2") {
		t.Errorf("after the level: %s", log)
	}
	f.write("money.avsc", `{"type":"record","name":"shop.Money","fields":[{"name":"cents","type":"long"}]}`)
	f.look()
	if got := f.state(); !strings.Contains(got, "customer-value 2; money-value 1;") {
		t.Errorf("got %s", got)
	}

	// Two files about one subject: the first by name counts.
	f.write("orders-value.json", `{"type":"object"}`)
	if log := f.look(); !strings.Contains(log, "as orders.avsc is") && !strings.Contains(log, "as orders-value.json is") {
		t.Errorf("two of one: %s", log)
	}
	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	if err := f.schemaDir.look(t.Context()); err == nil || !strings.Contains(err.Error(), "--schema-dir") {
		t.Errorf("no directory: %v", err)
	}
}

// TestSchemaDirLanguages follows imports and references of files.
func TestSchemaDirLanguages(t *testing.T) {
	f := newFiled(t)
	f.write("orders.proto", "syntax = \"proto3\";\nimport \"customer.proto\";\nimport \"google/protobuf/timestamp.proto\";\nmessage Order { Customer by = 1; google.protobuf.Timestamp at = 2; }\n")
	f.write("customer.proto", "syntax = \"proto3\";\nmessage Customer { string name = 1; }\n")
	f.write("orders-key.json", `{"type":"object","properties":{"a":{"$ref":"money.json#/$defs/cents"}}}`)
	f.write("money.json", `{"$defs":{"cents":{"type":"integer"}}}`)
	f.look()
	want := "customer-value 1; money-value 1; orders-key 1 money.json=money-value:1; orders-value 1 customer.proto=customer-value:1"
	if got := f.state(); got != want {
		t.Errorf("got  %s\nwant %s\n%s", got, want, &f.log)
	}
}

// TestSchemaDirCircle lets go of a circle of references and says what is missing.
func TestSchemaDirCircle(t *testing.T) {
	f := newFiled(t)
	f.write("customer.proto", "syntax = \"proto3\";\nimport \"money.proto\";\n")
	f.write("money.proto", "syntax = \"proto3\";\nimport \"customer.proto\";\n")
	if log := f.look(); strings.Count(log, "level=ERROR") != 2 {
		t.Errorf("got %s", log)
	}
}

// TestSchemaDirRun looks again as time goes by.
func TestSchemaDirRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFiled(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.run(ctx) }()
		if err := os.WriteFile(filepath.Join(f.dir, "orders.json"), []byte(`{"type":"object"}`), 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(schemaDirEvery + time.Millisecond)
		synctest.Wait()
		if got := f.state(); got != "orders-value 1" {
			t.Errorf("got %s", got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// FuzzMentions reads any text without harm, and finds nothing in what is none.
func FuzzMentions(f *testing.F) {
	f.Add(`{"type":["null","a.B",{"type":"array","items":"C"}],"namespace":"n"}`, "AVRO")
	f.Add(`{"$ref":"a.json#/x","not":[{"$ref":"#/y"}]}`, "JSON")
	f.Add("import public \"a/b.proto\";", "PROTOBUF")
	f.Fuzz(func(t *testing.T, text, typ string) {
		one := &schemaFile{name: "a", typ: schema.Type(typ), text: text}
		if slices.Contains(mentions(one), "") && typ != "AVRO" && typ != "PROTOBUF" {
			t.Error("an empty name")
		}
		link(map[string]*schemaFile{"a": one, "b.proto": {name: "b.proto", typ: schema.Protobuf}})
		if len(one.refers) > 0 && typ != "PROTOBUF" {
			t.Errorf("refers to %v", one.refers)
		}
	})
}
