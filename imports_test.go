package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tarn-io/tarn"

// law lists which of our packages each package may import; its test files may
// import more. A package without a line fails. "*" allows everything of ours.
var law = map[string][]string{
	"": {"*"},

	// The ground floor imports nothing of ours, or one room below itself.
	"broker/record":  {},
	"broker/meter":   {},
	"broker/trace":   {"broker/record"},
	"broker/wire":    {},
	"broker/storage": {"broker/record"},
	"schema":         {},
	"tables/blob":    {},
	"tables":         {"tables/blob"},

	// Engines and their suite.
	"broker/storage/memory":      {"broker/storage", "broker/record"},
	"broker/storage/sqlite":      {"broker/storage", "broker/record"},
	"broker/storage/faulty":      {"broker/storage"},
	"broker/storage/storagetest": {"broker/storage", "broker/record"},

	// The broker.
	"broker/auth":        {"broker/storage"},
	"broker/acl":         {"broker/storage"},
	"broker/commitlog":   {"broker/storage", "broker/record"},
	"broker/topic":       {"broker/storage"},
	"broker/set":         {},
	"broker/group":       {"broker/storage", "broker/wire", "broker/streams", "broker/set"},
	"broker/groupconfig": {"broker/storage"},
	"broker/share":       {"broker/storage", "broker/wire", "broker/record", "broker/commitlog", "broker/groupconfig"},
	"broker/streams":     {"broker/storage", "broker/wire", "broker/set"},
	"broker/quota":       {"broker/storage"},
	"broker/telemetry":   {"broker/storage", "broker/record"},
	"broker/txn":         {"broker/storage", "broker/wire", "broker/record", "broker/commitlog", "broker/group"},
	"broker/api": {
		"broker/acl", "broker/auth", "broker/commitlog", "broker/topic", "broker/group", "broker/groupconfig", "broker/quota", "broker/share", "broker/streams", "broker/telemetry", "broker/trace", "broker/txn",
		"broker/wire", "broker/record", "broker/storage",
	},
	"broker": {
		"broker/api", "broker/acl", "broker/auth", "broker/commitlog", "broker/topic", "broker/group", "broker/groupconfig", "broker/quota", "broker/share", "broker/streams", "broker/telemetry", "broker/trace", "broker/txn",
		"broker/wire", "broker/record", "broker/storage", "broker/meter",
	},
	"broker/brokertest": {"broker", "broker/auth", "broker/storage", "broker/storage/memory", "broker/topic", "broker/commitlog"},
	"broker/console":    {}, // what it shows comes through the routes of the root

	// Schemas and the registry.
	"schema/avro":       {"schema"},
	"schema/jsonschema": {"schema"},
	"schema/protobuf":   {"schema"},
	"schema/plain":      {"schema"},
	"schema/debezium":   {"schema", "schema/plain"},
	"schema/formula":    {"schema"},
	"schema/sample":     {"schema"},
	"schema/fake":       {"schema", "schema/avro", "schema/jsonschema", "schema/protobuf"},
	"schema/schematest": {"schema"},
	"schema/language":   {"schema", "schema/avro", "schema/jsonschema", "schema/protobuf"},
	"registry":          {"schema", "schema/language", "broker/storage"},
	"registry/dek":      {"broker/storage"},
	"registry/rest":     {"registry", "registry/dek", "schema"},
	"registry/validate": {"registry", "registry/rules", "schema", "broker/record"},
	"registry/rules":    {"schema", "schema/avro", "schema/protobuf"},

	// Tables.
	"tables/blob/blobtest": {"tables/blob"},
	"tables/blob/s3":       {"tables/blob"},
	"tables/blob/cloud":    {"tables/blob"},
	"tables/parquet":       {"tables", "tables/blob"},
	"tables/layout":        {"tables"},
	"tables/metadata":      {},
	"tables/catalog":       {"tables", "tables/blob", "tables/metadata"},
	"tables/catalog/rest":  {"tables/blob", "tables/catalog", "tables/metadata"},
	"tables/catalog/sql":   {"tables/catalog", "tables/metadata"},
	"tables/catalog/glue":  {"tables", "tables/catalog", "tables/catalog/rest", "tables/metadata"},
	"tables/iceberg":       {"tables", "tables/blob", "tables/parquet", "tables/catalog", "tables/metadata"},
	"tables/delta":         {"tables", "tables/blob", "tables/parquet"},
	"tables/maintenance":   {"tables", "tables/blob", "tables/parquet"},
	"tables/upsert":        {"tables", "tables/blob", "tables/parquet", "tables/maintenance"},
	// Test code only: iceberg-go on tables of our catalog.
	"tables/catalog/catalogtest": {"tables/blob", "tables/catalog", "tables/metadata"},
	"tables/tabletest":           {"tables", "tables/blob", "tables/blob/blobtest", "tables/layout", "tables/parquet", "tables/maintenance", "tables/upsert"},

	// The sink pulls from the log; the broker knows nothing of it. It encodes
	// files with the codec of tables/parquet and opens tables by tables.Format.
	"sink": {
		"broker/commitlog", "broker/meter", "broker/record", "broker/storage", "broker/trace", // storage for the types TopicID and TP
		"registry", "schema", "schema/plain", "schema/debezium", "schema/formula", "tables", "tables/blob", "tables/layout", "tables/parquet", "tables/maintenance", "tables/upsert",
	},
	// What broker, registry and sink are put together with, and a whole of it for tests.
	"sink/wiring": {
		"broker/api", "broker/record", "broker/storage", "broker/topic",
		"registry", "registry/validate", "sink", "tables", "tables/layout", "tables/parquet",
	},
	"sink/tarntest": {
		"broker", "broker/brokertest", "broker/storage", "broker/storage/memory",
		"registry", "registry/rest", "registry/validate", "schema", "sink", "sink/query", "sink/wiring",
		"tables", "tables/blob", "tables/catalog", "tables/delta", "tables/iceberg", "tables/parquet",
	},
	// SQL reads what the sink reads and writes, and writes nothing.
	"sink/query": {
		"broker/commitlog", "broker/record", "broker/storage", "broker/topic",
		"registry", "schema", "schema/plain", "sink", "tables", "tables/blob", "tables/parquet",
	},
}

// owners lists outside modules that only some of our packages may import:
// each is a door that one room keeps.
var owners = []struct {
	prefix string
	rooms  []string
}{
	{"github.com/apache/iceberg-go", []string{
		"tables/iceberg", "tables/catalog", "tables/catalog/rest", "tables/catalog/glue",
		"tables/metadata", "tables/catalog/catalogtest"}},
	{"modernc.org/sqlite", []string{"broker/storage/sqlite", "tables/catalog/sql", "sink/query"}},
	{"database/sql", []string{"broker/storage/sqlite", "tables/catalog/sql", "sink/query"}},
	{"github.com/twmb/franz-go/pkg/kmsg", []string{
		"broker/wire", "broker/api", "broker/group", "broker/share", "broker/txn", "broker",
		""}}, // commands whose requests kadm does not have
	{"github.com/hamba/avro", []string{"schema/avro"}},
	{"github.com/bufbuild/protocompile", []string{"schema/protobuf"}},
	{"cel.dev/", []string{"registry/rules"}},
	{"buf.build/go/protovalidate", []string{"registry/rules"}},
	{"github.com/santhosh-tekuri/jsonschema", []string{"schema/jsonschema"}},
	{"github.com/alecthomas/kong", []string{""}},
	{"go.opentelemetry.io/", nil}, // spans are written by broker/trace itself; its tests read them
	{"github.com/aws/", []string{"tables/blob/s3", "tables/catalog/rest"}},
}

// unlinked lists outside packages that must not be in the tarn binary, with
// what each costs at every start, also of every command.
var unlinked = map[string]string{
	"github.com/apache/iceberg-go/table":   "parses function lists: 90 ms, 33 MB allocated; tables/metadata stands in for it",
	"github.com/apache/iceberg-go/catalog": "imports iceberg-go/table",
}

// TestUnlinked fails if the binary links what it must not.
func TestUnlinked(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 100 {
		t.Fatalf("go list found %d packages", len(deps))
	}
	for _, d := range deps {
		if why, bad := unlinked[d]; bad {
			t.Errorf("the binary links %s: %s", d, why)
		}
	}
}

type listed struct {
	ImportPath string
	Imports    []string
}

// TestImports holds every package of the module to the law.
func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		allowed, ok := law[room]
		if !ok {
			t.Errorf("package %q has no line in the import law (imports_test.go): add one that says what it may import", room)
			continue
		}
		for _, imp := range p.Imports {
			if to, ours := strings.CutPrefix(imp, module+"/"); ours {
				if !slices.Contains(allowed, "*") && !slices.Contains(allowed, to) {
					t.Errorf("%s imports %s, which the import law does not allow: imports go down only", room, to)
				}
				continue
			}
			for _, o := range owners {
				if strings.HasPrefix(imp, o.prefix) && !slices.Contains(o.rooms, room) {
					t.Errorf("%q imports %s, which only %q may", room, imp, o.rooms)
				}
			}
		}
	}
}

// TestLawIsUsed fails on lines of the law whose package is gone.
func TestLawIsUsed(t *testing.T) {
	there := map[string]bool{}
	for _, p := range packages(t) {
		there[strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")] = true
	}
	for room := range law {
		if !there[room] {
			t.Errorf("the import law has a line for %q, which is no package", room)
		}
	}
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 3 {
		t.Fatalf("go list found %d packages", len(all))
	}
	return all
}
