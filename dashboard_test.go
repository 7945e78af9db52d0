package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// dashboard is what the tests look at of Grafana's dashboard.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type, Query string
			Datasource        struct{ UID string }
		}
	}
	Panels []struct {
		Title, Description string
		Datasource         struct{ UID string }
		Targets            []struct{ Expr string }
	}
}

// TestDashboardChoosesBroker: a Prometheus watches more than one program, so each
// query is about the chosen ones, and its windows fit how often they are scraped.
func TestDashboardChoosesBroker(t *testing.T) {
	b, err := os.ReadFile("examples/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	const of = `{job=~"$job", instance=~"$instance"`
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		if v.Type == "query" && (v.Datasource.UID != "${datasource}" || !strings.HasPrefix(v.Query, "label_values(tarn_build_info")) {
			t.Errorf("variable %s asks %q of %q", v.Name, v.Query, v.Datasource.UID)
		}
	}
	if got := strings.Join(names, " "); got != "datasource job instance" {
		t.Errorf("variables %q", got)
	}
	window := regexp.MustCompile(`\[[^$\]]`)
	for _, p := range d.Panels {
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %q: description %q, data source %q, %d queries", p.Title, p.Description, p.Datasource.UID, len(p.Targets))
		}
		for _, q := range p.Targets {
			metrics := len(metricNames.FindAllString(q.Expr, -1))
			if got := strings.Count(q.Expr, of); metrics == 0 || got != metrics {
				t.Errorf("panel %q: %d metrics, %d of them of the chosen broker: %s", p.Title, metrics, got, q.Expr)
			}
			if window.MatchString(q.Expr) {
				t.Errorf("panel %q: a window of its own, not $__rate_interval: %s", p.Title, q.Expr)
			}
		}
	}
}
