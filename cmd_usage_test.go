package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestWrongUsage exits 2 where the command line is what is wrong.
func TestWrongUsage(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, tt := range []struct{ line, want string }{
		{"profile set p broker=x", `unknown key "broker", did you mean brokers?`},
		{"profile set p brokers", "is not KEY=VALUE"},
		{"profile set - brokers=x", `cannot be called "-"`},
		{"topic create t --config retention.ms=1", "-c KEY=VALUE (--set)"},
		{"produce t -f cmd_usage_test.go", "files are arguments, tarn produce t cmd_usage_test.go"},
		{"topic delete t -y", "unknown flag -y: tarn topic delete asks nothing before it does its work"},
		{"topic delete t --yes", "unknown flag --yes: tarn topic delete asks nothing"},
		{"consume t -G g", "tarn: unknown flag -G\nusage: tarn consume <topic> [flags]\nsee tarn consume --help"},
		{"consume t --bootstrap-server localhost:9092", "unknown flag --bootstrap-server: the brokers are --brokers (-b)"},
		{"serve --memory", "unknown flag --memory: tarn dev keeps nothing"},
		{"group seek g --to-earliest --execute", "unknown flag --to-earliest: where to is --to start"},
		{"topic create t --replication-factor 3", "one replica of each partition"},
		{"consume t --from-beginning", "it begins at the start of the log"},
		{"group describe g --watch=often", "no interval such as 2s"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), stdio{in: strings.NewReader(""), out: &out, err: &errs})
		if code != 2 || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%s: exit %d: %s", tt.line, code, errs.String())
		}
	}
}

// TestDataOfNoBroker refuses to look elsewhere where a directory was named, on the command
// line or in a profile, and no broker runs on it.
func TestDataOfNoBroker(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, name := range []string{"TARN_BROKERS", "TARN_HTTP", "TARN_DATA"} {
		t.Setenv(name, "")
	}
	named := &profiles{Profiles: map[string]map[string]string{"p": {"data": "there"}}}
	if err := named.write(); err != nil {
		t.Fatal(err)
	}
	const kafka, web = "give -b HOST:PORT in place of --data", "give --http URL in place of --data"
	for _, tt := range []struct{ line, want string }{
		{"topic list --data there", kafka},
		{"topic list --profile p", kafka},
		{"topic list --data there --http http://127.0.0.1:1", kafka},
		{"schema list --data there", web},
		{"schema list --data there -b 127.0.0.1:1", web},
		{"table list --data there --output json", web},
		{"doctor --data there", kafka},
		{"backup --data there file", "there is no store either"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), stdio{in: strings.NewReader(""), out: &out, err: &errs})
		if code != 1 || !strings.Contains(errs.String(), "no broker runs on there: start one with tarn serve --data there, or give ") || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%s: exit %d: %s%s", tt.line, code, out.String(), errs.String())
		}
	}

	// What runs on a directory that is named is found, and what nobody named is the usual.
	here := runFile{Kafka: "127.0.0.1:1", HTTP: "http://127.0.0.1:2"}
	if err := here.write("."); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ line, kafka, http string }{
		{"topic list --data .", here.Kafka, here.HTTP},
		{"topic list --data there -b x:1 --http y", "x:1", "http://y"},
		{"topic list", "localhost:9092", "http://localhost:8081"},
	} {
		var c cli
		k, err := newParser(&c, stdio{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Parse(strings.Fields(tt.line)); err != nil {
			t.Fatal(err)
		}
		kafka, err := c.Topic.List.kafkaAddress()
		web, webErr := c.Topic.List.httpAddress()
		if kafka != tt.kafka || web != tt.http || err != nil || webErr != nil {
			t.Errorf("%s: %q and %q: %v, %v", tt.line, kafka, web, err, webErr)
		}
	}
}

// TestWatchInterval takes an interval, or none: what follows is then what it was.
func TestWatchInterval(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"group describe g":              0,
		"group describe g --watch":      2 * time.Second,
		"group describe --watch g":      2 * time.Second,
		"group describe --watch 5s g":   5 * time.Second,
		"group describe g --watch=1m":   time.Minute,
		"group describe g --watch -b x": 2 * time.Second,
	} {
		var c cli
		k, err := newParser(&c, stdio{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Parse(strings.Fields(line)); err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := c.Group.Describe; time.Duration(got.Watch) != want || got.Name != "g" {
			t.Errorf("%s: every %v of group %q, want %v", line, time.Duration(got.Watch), got.Name, want)
		}
	}
}

// TestSheet keeps columns in line behind wide characters, and says what is not known.
func TestSheet(t *testing.T) {
	s := sheet{Columns: []string{"NAME", "N"}, Rows: [][]any{{"東京タワー", nil}, {"b", 2}}}
	for form, want := range map[string]string{
		"text": "NAME        N\n東京タワー  -\nb           2\n",
		"csv":  "NAME,N\n東京タワー,\nb,2\n",
		"json": "[\n  {\n    \"n\": null,\n    \"name\": \"東京タワー\"\n  },\n  {\n    \"n\": 2,\n    \"name\": \"b\"\n  }\n]\n",
	} {
		var out strings.Builder
		if err := s.write(&out, form); err != nil || out.String() != want {
			t.Errorf("%s: got\n%swant\n%s%v", form, out.String(), want, err)
		}
	}
}

// TestLastWord completes a word that is said by the flag, as PowerShell's script does.
func TestLastWord(t *testing.T) {
	for last, want := range map[string]string{"": "create\t", "li": "list\t"} {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"complete-words", "--last=" + last, "--", "topic"}, stdio{out: &out, err: &errs})
		if code != 0 || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%q: exit %d: %s%s", last, code, out.String(), errs.String())
		}
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"completion", "powershell"}, stdio{out: &out, err: &out}); code != 0 || !strings.Contains(out.String(), "Register-ArgumentCompleter -Native -CommandName tarn") {
		t.Errorf("exit %d: %s", code, out.String())
	}
}
