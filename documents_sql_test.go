package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documented is a statement that a document shows.
type documented struct{ at, sql string }

// statements are the SQL of documents that is meant for Tarn: what stands behind tarn
// sql and --where in blocks of sh, blocks of SQL that say "tarn", and x.SQL of Go tests.
func statements(t *testing.T) (out []documented) {
	t.Helper()
	inGo := regexp.MustCompile(`\.SQL\(t, "([^"]+)"\)`)
	for _, file := range documents(t) {
		blocks, _ := fences(t, file)
		for _, b := range blocks {
			at := fmt.Sprintf("%s:%d", b.file, b.line)
			switch {
			case b.language == "sql" && b.tarn:
				for sql := range strings.SplitSeq(b.text, ";\n") {
					if strings.TrimSpace(sql) != "" {
						out = append(out, documented{at, sql})
					}
				}
			case b.language == "go":
				for _, m := range inGo.FindAllStringSubmatch(b.text, -1) {
					out = append(out, documented{at, m[1]})
				}
			case b.language == "sh":
				for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
					for _, args := range tarnLines(strings.TrimRight(line, "\n")) {
						if sql := statementOf(expand(args)); sql != "" {
							out = append(out, documented{at, sql})
						}
					}
				}
			}
		}
	}
	return out
}

// statementOf is the SQL in the arguments of a command, "" if there is none. A condition
// becomes a statement over the command's topic.
func statementOf(args []string) string {
	for i, a := range args {
		at := i + 1
		var condition string
		switch {
		case a == "--where" && at < len(args):
			condition = args[at]
		case strings.HasPrefix(a, "--where="):
			condition = strings.TrimPrefix(a, "--where=")
		case args[0] == "sql" && i > 0 && strings.Contains(a, " ") && !strings.HasPrefix(a, "-"):
			return a
		default:
			continue
		}
		topic := args[1]
		if args[0] == "topic" { // tarn topic replay TOPIC
			topic = args[2]
		}
		return "select * from " + topic + " where " + condition
	}
	return ""
}

// TestDocumentSQL asks what documents show of tarn sql, and what the help of commands
// does, of a broker with the orders of the examples: half of them in tables.
func TestDocumentSQL(t *testing.T) {
	root, err := filepath.Abs("examples")
	if err != nil {
		t.Fatal(err)
	}
	all := statements(t)
	if len(all) < 10 {
		t.Fatalf("%d statements found", len(all))
	}
	dir := t.TempDir()
	if err := os.Symlink(root, filepath.Join(dir, "examples")); err != nil {
		t.Fatal(err)
	}
	at := documentBroker(t, dir)
	runBlock(t, dir, &fence{file: "the orders", text: `
tarn topic create orders --partitions 2 -c tarn.table.formats=iceberg,delta,parquet
tarn schema register orders-value examples/order.avsc
tarn produce orders < examples/orders.jsonl
tarn table flush orders
tarn produce orders < examples/orders.jsonl
`}, at)
	if t.Failed() {
		return
	}
	for _, one := range all {
		status, answer := askSQL(t, at, one.sql)
		if status != http.StatusOK {
			t.Errorf("%s: %s\n%d %s", one.at, strings.TrimSpace(one.sql), status, answer)
		}
	}
	// It would say so.
	if status, answer := askSQL(t, at, "select custmer from orders"); status != http.StatusBadRequest || !strings.Contains(answer, "custmer") {
		t.Errorf("a column that there is not: %d %s", status, answer)
	}
}

func askSQL(t *testing.T, at runFile, sql string) (status int, answer string) {
	t.Helper()
	body, err := json.Marshal(sqlRequest{SQL: sql, TimeoutMs: documentTimeout.Milliseconds()})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.HTTP+"/api/sql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
