package glue_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/glue"
	"github.com/tarn-io/tarn/tables/catalog/rest"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// lake is as much of Glue as tables need, by its API reference.
type lake struct {
	mu        sync.Mutex
	databases map[string]map[string]map[string]any
	lose      func(action string) bool // the answer of a call that was done
}

func (l *lake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue.")
	var in struct {
		DatabaseName, Name, VersionId string
		TableInput                    map[string]any
		DatabaseInput                 struct{ Name string }
	}
	kind := "InvalidInputException"
	var out any = struct{}{}
	if json.NewDecoder(r.Body).Decode(&in) == nil && strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/glue/aws4_request") {
		name, _ := in.TableInput["Name"].(string)
		if name == "" {
			name = in.Name
		}
		kind, out = l.do(action, in.DatabaseName, name, in.VersionId, in.TableInput, in.DatabaseInput.Name)
	}
	if kind == "" && l.lose != nil && l.lose(action) {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if kind != "" {
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]string{"__type": "com.amazonaws.glue#" + kind, "Message": "no"}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (l *lake) do(action, database, name, version string, table map[string]any, made string) (kind string, out any) {
	out = struct{}{}
	all, there := l.databases[database]
	have := all[name]
	switch action {
	case "GetDatabase":
		if _, ok := l.databases[name]; !ok {
			return "EntityNotFoundException", nil
		}
	case "CreateDatabase":
		l.databases[made] = map[string]map[string]any{}
	case "GetTable":
		if have == nil {
			return "EntityNotFoundException", nil
		}
		out = map[string]any{"Table": have}
	case "CreateTable":
		if !there {
			return "EntityNotFoundException", nil
		}
		if have != nil {
			return "AlreadyExistsException", nil
		}
		table["VersionId"] = "0"
		all[name] = table
	case "UpdateTable":
		if have == nil {
			return "EntityNotFoundException", nil
		}
		if have["VersionId"] != version {
			return "ConcurrentModificationException", nil
		}
		table["VersionId"] = version + "1"
		all[name] = table
	case "DeleteTable":
		delete(all, name)
	default:
		return "InvalidInputException", nil
	}
	return "", out
}

func newPointers(t *testing.T, l *lake) *glue.Pointers {
	t.Helper()
	at := os.Getenv("TARN_TEST_GLUE") // a server, as moto_server is one
	if at == "" {
		srv := httptest.NewServer(l)
		t.Cleanup(srv.Close)
		at = srv.URL
	}
	return glue.New(glue.Config{Region: "eu-west-1", Endpoint: at,
		Sign: rest.SigV4{Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")}})
}

func newLake() *lake { return &lake{databases: map[string]map[string]map[string]any{}} }

// TestTables commits to tables, with answers that are lost, beside a second
// writer, and drops them.
func TestTables(t *testing.T) {
	store, l := blob.NewMemory(), newLake()
	p := newPointers(t, l)
	spec := tabletest.Spec(tabletest.Schema(t, tabletest.AllFields()...))
	format := iceberg.New(catalog.NewPointed(p, store), store, iceberg.Options{})
	tbl, err := format.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	second, err := iceberg.New(catalog.NewPointed(p, store), store, iceberg.Options{}).Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	l.lose = func(action string) bool { return action == "UpdateTable" }
	for i := range int64(4) {
		from, err := tbl.Progress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("c%d", i)
		c := tabletest.Next(from, id, tabletest.Write(t, store, tbl, id, tables.Range{From: 5 * i, To: 5*i + 5}))
		if err := tbl.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := second.Commit(t.Context(), tabletest.Next(from, id+"b")); !errors.Is(err, tables.ErrConflict) {
			t.Errorf("second writer: %v", err)
		}
	}
	seen := map[int64]int{}
	for id, err := range second.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen[id.Offset]++
	}
	for o := range int64(20) {
		if seen[o] != 1 {
			t.Errorf("offset %d is there %d times", o, seen[o])
		}
	}
	if err := format.Drop(t.Context(), spec.Namespace, spec.Name); err != nil {
		t.Fatal(err)
	}
	if at, err := p.Get(t.Context(), catalog.Identifier{spec.Namespace, spec.Name}); err != nil || at.Metadata != "" {
		t.Errorf("after the drop: %v, %v", at, err)
	}
}

// TestForeign leaves tables alone that are not Iceberg's, and namespaces that
// Glue cannot have.
func TestForeign(t *testing.T) {
	l := newLake()
	l.databases["d"] = map[string]map[string]any{"t": {"VersionId": "0", "Parameters": map[string]string{"classification": "parquet"}}}
	srv := httptest.NewServer(l)
	defer srv.Close()
	p := glue.New(glue.Config{Region: "eu-west-1", Endpoint: srv.URL,
		Sign: rest.SigV4{Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")}})
	if _, err := p.Get(t.Context(), catalog.Identifier{"d", "t"}); !errors.Is(err, tables.ErrForeign) {
		t.Errorf("a table of others: %v", err)
	}
	if err := p.CreateNamespace(t.Context(), catalog.Identifier{"a", "b"}); !errors.Is(err, catalog.ErrInvalid) {
		t.Errorf("two levels: %v", err)
	}
	if err := p.CreateNamespace(t.Context(), catalog.Identifier{"d"}); !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		t.Errorf("there already: %v", err)
	}
}

// TestDenied says what to do where Glue refuses the caller, and nothing where it
// refuses the call.
func TestDenied(t *testing.T) {
	for kind, want := range map[string]string{
		"AccessDeniedException": "glue:UpdateTable", "UnrecognizedClientException": "credentials", "ExpiredTokenException": "credentials", "InvalidInputException": "",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "Message": "no"})
		}))
		defer srv.Close()
		p := glue.New(glue.Config{Region: "eu-west-1", Endpoint: srv.URL,
			Sign: rest.SigV4{Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")}})
		_, err := p.Get(t.Context(), catalog.Identifier{"d", "t"})
		var f interface {
			error
			Fix() string
		}
		if !errors.As(err, &f) || (f.Fix() == "") != (want == "") || !strings.Contains(f.Fix(), want) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
