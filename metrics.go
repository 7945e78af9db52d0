package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tarn-io/tarn/registry/validate"
)

// metrics answers in Prometheus' text format, version 0.0.4.
func (n *node) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	out := bufio.NewWriter(w)
	writeValidation(out, n.validator.Tallies())
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
	fmt.Fprintln(w, "# HELP tarn_validation_rejected_records_total Records that did not fit, by reason; monitored ones were taken all the same.")
	fmt.Fprintln(w, "# TYPE tarn_validation_rejected_records_total counter")
	for _, t := range all {
		for _, c := range t.Bad {
			fmt.Fprintf(w, "tarn_validation_rejected_records_total{topic=%s,reason=%s,monitored=\"%t\"} %d\n",
				label(t.Topic), label(string(c.Class)), c.Monitored, c.Records)
		}
	}
}

// label quotes a label's value as the format wants it.
func label(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(s) + `"`
}
