package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

type rejectionsCmd struct {
	connect
	Topic  string `arg:"" help:"Topic."`
	Follow bool   `short:"f" help:"Go on as they come."`
	Limit  int    `default:"20" help:"How many of the last ones to begin with."`
	Wide   bool   `short:"w" help:"Show software, address, schema, field and a preview too, as csv and json always do."`
}

// Run lists the last records that did not fit the topic's schema, oldest first.
func (c *rejectionsCmd) Run(ctx context.Context, std stdio) error {
	path := "/api/topics/" + url.PathEscape(c.Topic) + "/rejections?limit=" + strconv.Itoa(c.Limit)
	if c.Follow {
		return c.follow(ctx, std, path)
	}
	var list []rejection
	if err := c.call(ctx, http.MethodGet, path, nil, &list); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, list)
	}
	s := sheet{Columns: []string{"TIME", "CLIENT", "RECORD", "OUTCOME", "MESSAGE"}}
	if c.Wide || c.Output == "csv" {
		s.Columns = []string{"TIME", "CLIENT", "SOFTWARE", "ADDRESS", "RECORD", "PART", "SCHEMA", "REASON", "OUTCOME", "PATH", "EXPECTED", "FOUND", "MESSAGE", "PREVIEW"}
	}
	for _, r := range list {
		at := r.Time.Format("2006-01-02T15:04:05.000Z")
		if len(s.Columns) == 5 {
			s.add(at, r.Client, r.Record, outcome(r.Monitored), r.Message)
			continue
		}
		s.add(at, r.Client, strings.TrimSpace(r.Software+" "+r.SoftwareVersion), r.Remote, r.Record, r.Part,
			r.SchemaID, r.Reason, outcome(r.Monitored), r.Path, r.Expected, r.Found, r.Message, r.Preview)
	}
	return s.write(std.out, c.Output)
}

// outcome says what became of a record that did not fit.
func outcome(monitored bool) string {
	if monitored {
		return "taken"
	}
	return "refused"
}

// follow prints events until the broker or the user ends it.
func (c *rejectionsCmd) follow(ctx context.Context, std stdio, path string) error {
	base, err := c.httpAddress()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return fmt.Errorf("address %s (--http): %w", base, err)
	}
	req.Header.Set("Accept", "text/event-stream")
	c.sign(req)
	web, err := c.httpClient()
	if err != nil {
		return err
	}
	resp, err := web.Do(req)
	if err != nil {
		return fmt.Errorf("no broker answers at %s (start one with tarn serve, or give --http URL): %w", base, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", base+path, resp.Status)
	}
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		text, ok := strings.CutPrefix(in.Text(), "data: ")
		if !ok {
			continue
		}
		if c.Output == "json" {
			fmt.Fprintln(std.out, text)
			continue
		}
		var r rejection
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return fmt.Errorf("event of %s: %w", base+path, err)
		}
		fmt.Fprintf(std.out, "%s  %s  %s  record %d: %s\n", r.Time.Format("15:04:05.000"), r.Client, outcome(r.Monitored), r.Record, r.Message)
	}
	if ctx.Err() != nil {
		return nil
	}
	return in.Err()
}

type schemaReportCmd struct {
	connect
	Topic string `arg:"" help:"Topic."`
}

// Run says what a topic's schema has kept out since the broker started, or with
// monitor would have, by client and cause.
func (c *schemaReportCmd) Run(ctx context.Context, std stdio) error {
	var r validationReport
	if err := c.call(ctx, http.MethodGet, "/api/topics/"+url.PathEscape(c.Topic)+"/report", nil, &r); err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(std.out, r)
	}
	if c.Output == "text" {
		fmt.Fprintf(std.out, "%s: %d records checked since the broker started, %d refused or set aside, %d taken that would be refused\n",
			r.Topic, r.Checked, r.Rejected, r.Monitored)
	}
	if c.Output == "text" && len(r.Rules) > 0 {
		s := sheet{Columns: []string{"RULE", "TYPE", "PART", "SCHEMA", "RECORDS", "BROKEN", "NS-PER-RECORD"}}
		for _, one := range r.Rules {
			s.add(one.Rule, one.Type, one.Part, one.SchemaID, one.Records, one.Violations, one.Nanos/max(one.Records, 1))
		}
		if err := s.write(std.out, c.Output); err != nil {
			return err
		}
	}
	for _, one := range r.SchemaRules {
		if c.Output == "text" && one.Idle != "" {
			fmt.Fprintf(std.out, "not run here: rule %s (%s) of the %s: %s\n", one.Rule, one.Type, one.Part, one.Idle)
		}
	}
	if len(r.Causes) == 0 && c.Output == "text" {
		return nil
	}
	s := sheet{Columns: []string{"RECORDS", "CLIENT", "SOFTWARE", "OUTCOME", "PART", "WHAT"}}
	for _, n := range r.Causes {
		what, became := n.Reason, "refused or set aside"
		if n.Path != "" {
			what = n.Path + ": expected " + n.Expected
		}
		if n.Monitored {
			became = "taken, would be refused"
		}
		s.add(n.Records, n.ClientID, strings.TrimSpace(n.Software+" "+n.SoftwareVersion), became, n.Part, what)
	}
	return s.write(std.out, c.Output)
}

type topicRedriveCmd struct {
	connect
	Topic string `arg:"" help:"Topic whose dead letters are meant."`
	dryRunFlag
	Limit int64  `placeholder:"N" help:"Stop after looking at about so many; default: go to the end."`
	From  string `placeholder:"PARTITION/OFFSET" help:"Begin there, where an earlier run stopped."`
}

// Run redrives a topic's dead letters, one bounded request after the other, and
// says what became of them. Stopped in between, it can be run again: what was
// produced is not produced twice.
func (c *topicRedriveCmd) Run(ctx context.Context, std stdio) error {
	total := redriven{Next: c.From}
	for {
		q := url.Values{"from": {total.Next}, "dry_run": {strconv.FormatBool(c.DryRun)}}
		if left := c.Limit - total.Looked; c.Limit > 0 && left < redriveStep {
			q.Set("limit", strconv.FormatInt(left, 10))
		}
		var r redriven
		if err := c.call(ctx, http.MethodPost, "/api/topics/"+url.PathEscape(c.Topic)+"/redrive?"+q.Encode(), nil, &r); err != nil {
			if total.Looked > 0 {
				return fmt.Errorf("after %d dead letters, at %s: %w", total.Looked, total.Next, err)
			}
			return err
		}
		r.add(&total)
		if total = r; r.Next == "" || c.Limit > 0 && r.Looked >= c.Limit {
			return c.print(std, &total)
		}
	}
}

// add counts what came before.
func (r *redriven) add(earlier *redriven) {
	r.Looked += earlier.Looked
	r.Passed += earlier.Passed
	r.Invalid += earlier.Invalid
	r.Earlier += earlier.Earlier
	if r.Reason == "" {
		r.Reason = earlier.Reason
	}
}

func (c *topicRedriveCmd) print(std stdio, r *redriven) error {
	if c.Output == "json" {
		return writeJSON(std.out, r)
	}
	if c.Output == "csv" {
		return c.sayFields(std, []field{{"topic", r.Topic}, {"from", r.From}, {"looked", r.Looked}, {"passed", r.Passed}, {"still_invalid", r.Invalid}, {"earlier", r.Earlier}, {"next", r.Next}}, "")
	}
	verb := "produced again"
	if r.DryRun {
		verb = "would be produced again"
	}
	fmt.Fprintf(std.out, "%s: %d dead letters %s, %d still do not fit, %d were produced earlier\n", r.Topic, r.Passed, verb, r.Invalid, r.Earlier)
	if r.Reason != "" {
		fmt.Fprintf(std.out, "  %s\n", r.Reason)
	}
	if r.Next != "" {
		fmt.Fprintf(std.out, "  there is more: go on with --from %s\n", r.Next)
	}
	return nil
}
