package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
)

// plainSales is a table of SQLite with the rows that a topic has: what the same query
// costs where rows were put into a database before.
type plainSales struct{ db *sql.DB }

func newPlainSales(ctx context.Context, home string, count int) (*plainSales, error) {
	db := sql.OpenDB(connector{&sqlite.Driver{}, filepath.Join(home, "sales.db")})
	db.SetMaxOpenConns(1)
	p := &plainSales{db}
	_, err := db.ExecContext(ctx, `CREATE TABLE sales (id INTEGER, customer TEXT, amount REAL, state TEXT);
		WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < `+fmt.Sprint(count)+`)
		INSERT INTO sales SELECT i, 'customer-' || (i % `+fmt.Sprint(customers)+`), (i % 1000) / 4.0,
			CASE i % 4 WHEN 0 THEN 'NEW' WHEN 1 THEN 'PAID' WHEN 2 THEN 'SENT' ELSE 'DONE' END FROM n`)
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("rows for the baseline: %w", err)
	}
	return p, nil
}

// Close closes the database; its file goes with the run's folder.
func (p *plainSales) Close() { _ = p.db.Close() }

// ask runs a query to its end.
func (p *plainSales) ask(ctx context.Context, text string) (time.Duration, error) {
	begun := time.Now()
	rows, err := p.db.QueryContext(ctx, text)
	if err != nil {
		return 0, fmt.Errorf("baseline: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
	}
	return time.Since(begun), rows.Err()
}

// connector opens connections without the registry of drivers.
type connector struct {
	driver *sqlite.Driver
	file   string
}

// Connect implements driver.Connector.
func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.file) }

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.driver }
