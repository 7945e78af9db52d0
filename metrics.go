package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tarn-io/tarn/registry/validate"
)

// metrics answers in Prometheus' text format, version 0.0.4.
func (n *node) metrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	out := bufio.NewWriter(w)
	all := n.validator.Tallies()
	writeValidation(out, all)
	writeRules(out, all)
	writeTables(out, n.sinks.Measures(r.Context()), time.Now())
	n.writeServer(r.Context(), out)
	writeRequests(out, n.broker.Requests(), n.broker.Traffic())
	n.registryCodes.write(out)
	n.writeTraces(out)
	n.writeKafka(r.Context(), out)
	// The client is gone if this fails; there is nobody to tell.
	_ = out.Flush()
}

// writeValidation writes what was checked, and what was wrong with it by reason.
func writeValidation(w io.Writer, all []validate.Tally) {
	fmt.Fprintln(w, "# HELP tarn_validation_records_total Records held against their schemas.")
	fmt.Fprintln(w, "# TYPE tarn_validation_records_total counter")
	for _, t := range all {
		fmt.Fprintf(w, "tarn_validation_records_total{topic=%s} %d\n", label(t.Topic), t.Records)
	}
	refused := &metricFamily{name: "tarn_records_rejected_total", kind: "counter", help: "Records that were not taken because they did not fit, by reason."}
	for _, t := range all {
		for _, c := range t.Bad {
			if !c.Monitored {
				refused.add(c.Records, "topic", t.Topic, "reason", string(c.Class))
			}
		}
	}
	writeFamilies(w, refused)
	fmt.Fprintln(w, "# HELP tarn_validation_rejected_records_total Records that did not fit, by reason; monitored ones were taken all the same.")
	fmt.Fprintln(w, "# TYPE tarn_validation_rejected_records_total counter")
	for _, t := range all {
		for _, c := range t.Bad {
			fmt.Fprintf(w, "tarn_validation_rejected_records_total{topic=%s,reason=%s,monitored=\"%t\"} %d\n",
				label(t.Topic), label(string(c.Class)), c.Monitored, c.Records)
		}
	}
}

// writeRules writes what rules have taken.
func writeRules(w io.Writer, all []validate.Tally) {
	for _, m := range []struct {
		name, help string
		value      func(*validate.RuleCost) any
	}{
		{"tarn_validation_rule_records_total", "Records that a rule was asked about; the rule (reading) is reading payloads for rules.", func(r *validate.RuleCost) any { return r.Records }},
		{"tarn_validation_rule_violations_total", "Records that broke a rule.", func(r *validate.RuleCost) any { return r.Violations }},
		{"tarn_validation_rule_seconds_total", "Time that rules took.", func(r *validate.RuleCost) any { return float64(r.Nanos) / 1e9 }},
	} {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s counter\n", m.name, m.help, m.name)
		for _, t := range all {
			for i := range t.Rules {
				r := &t.Rules[i]
				fmt.Fprintf(w, "%s{topic=%s,part=%s,schema_id=\"%d\",rule=%s} %v\n", m.name, label(t.Topic), label(r.Part), r.SchemaID, label(r.Rule), m.value(r))
			}
		}
	}
}

// label quotes a label's value as the format wants it.
func label(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(s) + `"`
}
