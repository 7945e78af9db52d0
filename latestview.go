package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/tables/catalog"
)

// latestView is what the name of the view of latest records adds to the table's.
const latestView = "__latest"

// topicViews are the catalog's views: of a compacted topic whose table keeps every
// record, what compaction would leave, which is the last record of each key
// unless that is a tombstone. home is the namespace of topics' tables.
func topicViews(view func() *topic.View, home string) func(ns string) []catalog.View {
	return func(ns string) []catalog.View {
		var out []catalog.View
		if ns != home {
			return nil
		}
		for _, t := range view().All() {
			c := &t.Config
			if !c.CleanupCompact || c.TableMode == topic.ModeUpsert || !slices.Contains(c.TableFormats, topic.FormatIceberg) {
				continue
			}
			table := t.Table()
			out = append(out, catalog.View{
				Name: table + latestView, Table: table,
				Comment: fmt.Sprintf("The last record of each key of topic %s, as compaction leaves it", t.Name),
				SQL:     func(columns []catalog.Column) map[string]string { return latestSQL(ns, table, columns) },
			})
		}
		return out
	}
}

// latestSQL is the query in the dialects of engines that read Iceberg's views. A
// record's key is in one partition, and the offsets there say which is the last.
// Trino finds tables without a catalog's name in none: there it is called tarn, as
// in the snippets of tarn table status.
func latestSQL(ns, table string, columns []catalog.Column) map[string]string {
	backticks := func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
	quotes := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	query := func(quote func(string) string, from string) string {
		var names []string
		for _, c := range columns {
			names = append(names, quote(c.Name))
		}
		list := strings.Join(names, ", ")
		return fmt.Sprintf("SELECT %s FROM (SELECT %s, row_number() OVER (PARTITION BY kafka_partition, kafka_key ORDER BY kafka_offset DESC) AS kafka_rank FROM %s WHERE kafka_key IS NOT NULL) ranked WHERE kafka_rank = 1%s",
			list, list, from, notTombstone(columns, quote))
	}
	return map[string]string{
		"spark":  query(backticks, backticks(table)),
		"trino":  query(quotes, "tarn."+quotes(ns)+"."+quotes(table)),
		"duckdb": query(quotes, quotes(table)),
	}
}

// notTombstone leaves out rows of records without a value: they have no schema
// and nothing in any column of the value's. Where such a column is never empty,
// there are none.
func notTombstone(columns []catalog.Column, quote func(string) string) string {
	var empty []string
	for _, c := range columns {
		switch {
		case strings.HasPrefix(c.Name, "kafka_"):
		case c.Required:
			return ""
		default:
			empty = append(empty, quote(c.Name)+" IS NULL")
		}
	}
	if len(empty) == 0 {
		return ""
	}
	return " AND NOT (kafka_schema_id IS NULL AND " + strings.Join(empty, " AND ") + ")"
}
