package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// metricNames finds names of metrics in queries and documents.
var metricNames = regexp.MustCompile(`\b(?:tarn|kafka|process|go)_[a-z0-9_]*[a-z0-9]\b`)

// scrape asks a new broker for its metrics.
func scrape(t *testing.T) string {
	t.Helper()
	n := openNode(t, "--storage", "sqlite://"+filepath.Join(t.TempDir(), "tarn.db"))
	return metricsOf(t.Context(), n)
}

// TestMetricsAreThere holds alert rules, dashboard and documents to what is served.
func TestMetricsAreThere(t *testing.T) {
	served := scrape(t)
	for _, name := range []string{"examples/prometheus-alerts.yaml", "examples/grafana-dashboard.json", "OPERATIONS.md"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := metricNames.FindAllString(string(b), -1)
		if len(found) < 5 {
			t.Errorf("%s names %d metrics", name, len(found))
		}
		for _, metric := range found {
			for _, part := range []string{"_bucket", "_count", "_sum"} { // of a histogram
				if base, ok := strings.CutSuffix(metric, part); ok && strings.Contains(served, "# TYPE "+base+" histogram") {
					metric = base
				}
			}
			if metric != "kafka_exporter" && metric != "tarn_table" && metric != "tarn_trace_spans_total" && !strings.Contains(served, "# TYPE "+metric+" ") {
				t.Errorf("%s names %s, which nobody serves", name, metric)
			}
		}
	}
	for _, want := range []string{"tarn_build_info{version=", "\nkafka_brokers 1\n", "\ntarn_storage_wal_bytes ", "\ntarn_kafka_connections 0\n"} {
		if !strings.Contains(served, want) {
			t.Errorf("missing: %q", want)
		}
	}
	// And what is served stands in a document.
	written := ""
	for _, name := range []string{"OPERATIONS.md", "sink/README.md"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		written += string(b)
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(served, -1) {
		if !regexp.MustCompile("`" + m[1] + "[`{]").MatchString(written) {
			t.Errorf("no document says what %s is", m[1])
		}
	}
	// Each family once, each sample behind its family.
	seen, family := map[string]bool{}, ""
	for line := range strings.Lines(served) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			family, _, _ = strings.Cut(rest, " ")
			if seen[family] {
				t.Errorf("%s is declared twice", family)
			}
			seen[family] = true
		} else if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, family) {
			t.Errorf("%q does not stand behind its family", line)
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		return // the shape has been looked at above
	}
	for _, args := range [][]string{{"check", "rules", "examples/prometheus-alerts.yaml"}, {"test", "rules", "examples/prometheus-alerts.test.yaml"}, {"check", "metrics"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		// kafka_exporter calls a gauge so, which promtool does not like.
		cmd.Stdin = strings.NewReader(strings.ReplaceAll(served, "kafka_consumergroup_lag_sum", "kafka_consumergroup_lag_all"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}
