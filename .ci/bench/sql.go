package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// sqlRecords are the rows that queries are measured on: a tenth of them is in the
// log alone.
const sqlRecords = 1_000_000

const saleSchema = `{"type":"record","name":"Sale","fields":[
	{"name":"id","type":"long"},{"name":"customer","type":"string"},{"name":"amount","type":"double"},
	{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID","SENT","DONE"]}}]}`

// customers is how many customers the sales have.
const customers = 5000

// sale is a framed record of saleSchema.
func sale(schema, n int) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0}, uint32(schema))
	b = binary.AppendVarint(b, int64(n))
	name := fmt.Sprintf("customer-%d", n%customers)
	b = append(binary.AppendVarint(b, int64(len(name))), name...)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(n%1000)/4))
	return binary.AppendVarint(b, int64(n%4))
}

// sqlQueries are measured, each with a word for what it shows; %s is the table. In
// SQLite's own table the same is asked.
var sqlQueries = [...]struct{ name, text, same string }{
	{"count", "select count(*) from %s", ""},
	{"where a number", "select count(*) from %s where amount > 200", ""},
	{"where a text", "select count(*) from %s where customer = 'customer-77'", ""},
	{"where an offset", "select count(*) from %s where kafka_offset >= 100000", "select count(*) from %s where id >= 800000"},
	{"sum", "select count(*), sum(amount) from %s", ""},
	{"group", "select state, count(*) from %s group by 1", ""},
	{"group by text", "select customer, sum(amount) from %s group by 1 order by 2 desc limit 5", ""},
	{"one offset", "select id from %s where kafka_partition = 0 and kafka_offset = 1000", ""},
	{"limit 50", "select * from %s limit 50", ""},
}

// sqlTables are what a topic is in SQL: all of it, its log, and its lake table.
var sqlTables = [...][2]string{{"view", "sales"}, {"log", "log.sales"}, {"lake", "lake.sales"}}

// sql measures queries over a table and the log behind it, against a table of SQLite
// that holds the same rows.
func (b *bench) sql() error {
	s, err := b.load("sql")
	if err != nil {
		return err
	}
	count := b.amount(sqlRecords)
	plain, err := newPlainSales(b.ctx, b.home, count)
	if err != nil {
		return err
	}
	defer plain.Close()
	if err := s.sales(count); err != nil {
		return err
	}
	for _, q := range sqlQueries {
		for _, t := range sqlTables {
			name := fmt.Sprintf("SQL over %d rows, %s: %s", count, t[0], q.name)
			same := q.same
			if same == "" {
				same = q.text
			}
			err := b.each(func(int) error {
				begun := time.Now()
				first, err := s.ask(b.ctx, fmt.Sprintf(q.text, t[1]))
				took := time.Since(begun)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if n, _ := first.(float64); q.name == "count" && t[0] != "lake" && int(n) != count {
					return fmt.Errorf("%s: %v, want %d", name, first, count)
				}
				base := time.Duration(0)
				if q.name != "one offset" {
					if base, err = plain.ask(b.ctx, fmt.Sprintf(same, "sales")); err != nil {
						return err
					}
				}
				b.table.add(name, "ms", float64(took)/1e6, float64(base)/1e6, "a table of SQLite")
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	if err := s.stop(); err != nil {
		return err
	}
	if s, err = b.serve("sql"); err != nil {
		return err
	}
	if err := b.idle(nameTables, s); err != nil {
		return err
	}
	return s.end()
}

// sales fills the topic sales and its table; the last tenth stays in the log.
func (s *server) sales(count int) error {
	id, err := s.api.Register(s.bench.ctx, "sales-value", saleSchema)
	if err != nil {
		return err
	}
	if err := s.topic("sales", partitions, map[string]string{
		"tarn.table.formats": "iceberg", "tarn.table.commit.interval.ms": "3600000",
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.bench.ctx, patience)
	defer cancel()
	cl, err := s.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed atomic.Pointer[error]
	flush := func() error {
		if err := cl.Flush(ctx); err != nil {
			return err
		}
		if err := failed.Load(); err != nil {
			return fmt.Errorf("produce: %w", *err)
		}
		return nil
	}
	for n := range count {
		if n == count-count/10 {
			if err := flush(); err != nil {
				return err
			}
			if err := s.api.Flush(ctx, "sales"); err != nil {
				return err
			}
		}
		cl.Produce(ctx, &kgo.Record{Topic: "sales", Value: sale(id, n)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	return flush()
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
