package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestOutputForms asks every command that lists or shows for its JSON and its CSV: JSON is
// one envelope, CSV one table with a header.
func TestOutputForms(t *testing.T) {
	n := openNode(t, "--auth.acl", "--auth.super-users", "User:ANONYMOUS")
	c := cliOn{t, n.addresses()}
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	if err := os.WriteFile("o.avsc", []byte(orderSchema), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"topic create orders -p 1 -c tarn.value.schema.validation=payload -c tarn.table.formats=iceberg,delta", "schema register orders-value o.avsc",
		"group seek readers orders --to end", "quota set --for-user ann producer_byte_rate=1000",
		"acl create --principal ann --operation read --topic orders", "client subscribe some",
	} {
		c.do(0, line)
	}
	c.with(0, `{"id":1,"who":"ann"}`+"\n", "produce", "orders")
	c.with(1, "none\n", "produce", "orders", "--raw")
	c.with(0, "secret\n", "user", "create", "ann")
	c.do(0, "table flush orders")
	for _, line := range []string{
		"topic list", "topic describe orders", "topic describe -r .*", "topic size", "topic trim orders --before start --dry-run",
		"topic delete orders --dry-run", "consume orders", "consume orders -n 1",
		"group list", "group describe readers", "group seek readers --to end --dry-run", "group config describe readers --all", "group delete readers --dry-run",
		"schema list", "schema get orders-value", "schema level", "schema mode", "schema report orders", "schema describe orders", "schema check orders-value o.avsc",
		"rejections orders", "table list", "table status orders", "table files orders", "table history orders", "table explain orders",
		"table verify orders", "table wait orders", "table flush orders", "user list", "acl list", "quota list", "txn list", "txn producers orders",
		"client list", "client metrics", "client subscriptions", "listener list", "config describe --all", "log-level",
	} {
		for _, form := range []string{"json", "csv"} {
			out, _ := c.do(0, line+" --output "+form)
			if form == "csv" {
				rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
				if err != nil || len(rows) == 0 || rows[0][0] != strings.ToUpper(rows[0][0]) || rows[0][0] == "" {
					t.Errorf("%s: %v: %.200s", line, err, out)
				}
				continue
			}
			var answer struct {
				Command string
				Version int
			}
			if strings.HasPrefix(line, "consume") { // a line a record
				out, _, _ = strings.Cut(out, "\n")
				answer.Version = envelopeVersion
			}
			if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Version != envelopeVersion {
				t.Errorf("%s: %v: %.200s", line, err, out)
			}
		}
	}
}
