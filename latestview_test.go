package main

import (
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/tables/catalog"
)

// TestTopicViews has a view for compacted topics that keep all records in a table,
// and for no others.
func TestTopicViews(t *testing.T) {
	b := brokertest.New(t)
	for name, configs := range map[string]map[string]string{
		"users":   {"cleanup.policy": "compact", "tarn.table.formats": "iceberg,delta"},
		"both":    {"cleanup.policy": "compact,delete", "tarn.table.formats": "iceberg"},
		"events":  {"tarn.table.formats": "iceberg"},
		"lake":    {"cleanup.policy": "compact", "tarn.table.formats": "delta"},
		"upserts": {"cleanup.policy": "compact", "tarn.table.formats": "iceberg", "tarn.table.mode": "upsert"},
	} {
		if _, err := b.Topics().Create(t.Context(), topic.Spec{Name: name, Partitions: 1, Configs: configs}); err != nil {
			t.Fatal(err)
		}
	}
	views := topicViews(b.Topics().View, "lake.here")
	var got []string
	for _, v := range views("lake.here") {
		got = append(got, v.Name+" of "+v.Table)
	}
	if want := "both__latest of both, users__latest of users"; strings.Join(got, ", ") != want {
		t.Errorf("views %v, want %s", got, want)
	}
	if other := views("default"); len(other) != 0 {
		t.Errorf("views of another namespace: %v", other)
	}
}

func TestLatestSQL(t *testing.T) {
	columns := []catalog.Column{{Name: "kafka_offset", Required: true}, {Name: `a"b`}, {Name: "c`d"}}
	got := latestSQL("default", "users", columns)
	for dialect, want := range map[string]string{
		"spark":  "SELECT `kafka_offset`, `a\"b`, `c``d` FROM (SELECT `kafka_offset`, `a\"b`, `c``d`, row_number() OVER (PARTITION BY kafka_partition, kafka_key ORDER BY kafka_offset DESC) AS kafka_rank FROM `users` WHERE kafka_key IS NOT NULL) ranked WHERE kafka_rank = 1 AND NOT (kafka_schema_id IS NULL AND `a\"b` IS NULL AND `c``d` IS NULL)",
		"trino":  `SELECT "kafka_offset", "a""b", "c` + "`" + `d" FROM (SELECT "kafka_offset", "a""b", "c` + "`" + `d", row_number() OVER (PARTITION BY kafka_partition, kafka_key ORDER BY kafka_offset DESC) AS kafka_rank FROM tarn."default"."users" WHERE kafka_key IS NOT NULL) ranked WHERE kafka_rank = 1 AND NOT (kafka_schema_id IS NULL AND "a""b" IS NULL AND "c` + "`" + `d" IS NULL)`,
		"duckdb": `FROM "users" WHERE`,
	} {
		if dialect == "duckdb" && strings.Contains(got[dialect], want) || got[dialect] == want {
			continue
		}
		t.Errorf("%s\n%s\nwant\n%s", dialect, got[dialect], want)
	}
	for _, columns := range [][]catalog.Column{{{Name: "kafka_offset"}}, {{Name: "a"}, {Name: "b", Required: true}}} {
		if sql := latestSQL("default", "t", columns)["spark"]; !strings.HasSuffix(sql, "kafka_rank = 1") {
			t.Errorf("without tombstones: %s", sql)
		}
	}
}
