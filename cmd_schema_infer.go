package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

type schemaInferCmd struct {
	connect
	Topic   string `arg:"" help:"Topic whose records are JSON."`
	Avro    bool   `help:"Propose an Avro schema, for those who want to write the same data in Avro."`
	Key     bool   `help:"Look at keys instead of values."`
	Closed  bool   `help:"Take no properties that no record had. Without it, tables keep them in kafka_extra."`
	Records int    `short:"n" default:"1000" help:"How many of the newest records to look at, at most 100000."`
}

// Run prints a schema that the topic's records fit. What it was made from goes to
// standard error, so that the output can be registered as it is.
func (c *schemaInferCmd) Run(ctx context.Context, std stdio) error {
	q := url.Values{"records": {strconv.Itoa(c.Records)}, "closed": {strconv.FormatBool(c.Closed)}}
	if c.Avro {
		q.Set("format", "avro")
	}
	if c.Key {
		q.Set("part", "key")
	}
	var out inferred
	if err := c.call(ctx, http.MethodGet, "/api/topics/"+url.PathEscape(c.Topic)+"/infer?"+q.Encode(), nil, &out); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, out)
	}
	fmt.Fprint(std.out, strings.TrimSuffix(out.Schema, "\n")+"\n")
	fmt.Fprintf(std.err, "from %d JSON %ss of %s", out.Records, out.Part, out.Topic)
	for _, more := range []struct {
		n    int
		word string
	}{{out.NotJSON, "not JSON"}, {out.Null, "null"}} {
		if more.n > 0 {
			fmt.Fprintf(std.err, ", %d more are %s", more.n, more.word)
		}
	}
	switch {
	case out.NotTable != "":
		fmt.Fprintf(std.err, "\nit has no table form: %s", out.NotTable)
	case out.Fit > 0 && out.Fit == out.Records:
		fmt.Fprint(std.err, ", all of which fit")
	case out.Misfit != "":
		fmt.Fprintf(std.err, ", %d of which fit\nthe first that does not: %s", out.Fit, out.Misfit)
	}
	if out.Subject != "" {
		fmt.Fprintf(std.err, "\nthe topic looks for it under subject %s: tarn schema register %[1]s FILE", out.Subject)
	}
	_, err := fmt.Fprintln(std.err)
	return err
}
