package main

import "embed"

// forOperators are the files of examples/ that commands print.
//
//go:embed examples/grafana-dashboard.json examples/prometheus-alerts.yaml
var forOperators embed.FS

// generateGroup makes things: records, and the files that watch over a broker. A topic
// called like one of its commands is reached by tarn generate records.
type generateGroup struct {
	Records generateCmd `cmd:"" default:"withargs" help:"Fill a topic with made-up records that fit its schema, at a rate (this is what tarn generate TOPIC does)."`
	Grafana grafanaCmd  `cmd:"" help:"Print a dashboard for Grafana, as JSON to import, of the metrics that the broker has at /metrics."`
	Alerts  alertsCmd   `cmd:"" help:"Print alert rules for Prometheus, as YAML, of the same metrics."`
}

type grafanaCmd struct{}

// Run writes the dashboard.
func (*grafanaCmd) Run(std stdio) error { return std.print("examples/grafana-dashboard.json") }

type alertsCmd struct{}

// Run writes the rules.
func (*alertsCmd) Run(std stdio) error { return std.print("examples/prometheus-alerts.yaml") }

// print writes a file for operators.
func (s stdio) print(name string) error {
	text, err := forOperators.ReadFile(name)
	if err != nil {
		return err
	}
	_, err = s.out.Write(text)
	return err
}
