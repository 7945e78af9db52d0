package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// sqlRecords are the rows that queries are measured on: a tenth of them is in the
// log alone.
const sqlRecords = 1_000_000

// sqlQueries are measured, each with a word for what it shows.
var sqlQueries = [...][2]string{
	{"count", "select count(*) from orders"},
	{"count and sum", "select count(*), sum(amount) from orders"},
	{"group", "select state, count(*) from orders group by 1"},
	{"one offset", "select id from orders where kafka_partition = 0 and kafka_offset = 1000"},
	{"limit 50", "select * from orders limit 50"},
}

// sql measures queries over a table and the log behind it.
func (b *bench) sql() error {
	s, err := b.load("sql")
	if err != nil {
		return err
	}
	id, err := s.api.Register(b.ctx, "orders-value", orderSchema)
	if err != nil {
		return err
	}
	value, err := order(id)
	if err != nil {
		return err
	}
	if err := s.topic("orders", partitions, map[string]string{
		"tarn.table.formats": "iceberg", "tarn.table.commit.interval.ms": "3600000",
	}); err != nil {
		return err
	}
	count := b.amount(sqlRecords)
	if _, err := s.send("orders", 1, count-count/10, value); err != nil {
		return err
	}
	if err := s.api.Flush(b.ctx, "orders"); err != nil {
		return err
	}
	if _, err := s.send("orders", 1, count/10, value); err != nil {
		return err
	}
	for _, q := range sqlQueries {
		err := b.each(func(int) error {
			begun := time.Now()
			first, err := s.ask(b.ctx, q[1])
			if err != nil {
				return fmt.Errorf("%s: %w", q[1], err)
			}
			if n, _ := first.(float64); q[0] == "count" && int(n) < count {
				return fmt.Errorf("%s: %v, want %d or more", q[1], first, count)
			}
			b.table.add(fmt.Sprintf("SQL over %d rows: %s", count, q[0]), "ms", float64(time.Since(begun))/1e6, 0, "")
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.end()
}

// ask runs a query and returns the first value of its result.
func (s *server) ask(ctx context.Context, sql string) (any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.ready.HTTP+"/api/sql?q="+url.QueryEscape(sql), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out struct {
		Rows    [][]any `json:"rows"`
		Message string  `json:"message"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return nil, err
	}
	if len(out.Rows) == 0 || len(out.Rows[0]) == 0 {
		return nil, fmt.Errorf("no rows: %s", out.Message)
	}
	return out.Rows[0][0], nil
}
