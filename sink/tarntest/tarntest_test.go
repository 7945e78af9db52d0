package tarntest_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/sink/tarntest"
)

const order = `{"type":"record","name":"Order","fields":[{"name":"customer","type":"string"},{"name":"amount","type":"long"}]}`

// TestWhole goes from a schema to rows, with a record on the way that does not fit.
func TestWhole(t *testing.T) {
	x := tarntest.New(t, brokertest.WithAuth("alice", "pw"))
	id := x.RegisterAvro(t, "orders-value", order)
	x.Topic(t, "orders", 1, "tarn.table.formats=iceberg,delta,parquet", "tarn.value.schema.validation=payload")
	cl := x.Client(t)
	value := func(payload string) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(id)), payload...)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: value("\x06ada\x54")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: value("\x06ada")}).FirstErr(); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("a record that does not fit: %v", err)
	}
	rows := x.Table(t, "orders").Rows()
	if len(rows) != 1 || rows[0]["customer"] != "ada" || rows[0]["amount"] != int64(42) || rows[0]["kafka_offset"] != int64(0) {
		t.Errorf("rows: %v", rows)
	}
	if got := x.Rejections("orders"); len(got) != 1 || got[0].Path != "$.amount" {
		t.Errorf("rejections: %+v", got)
	}
	if got := x.SQL(t, "select sum(amount) as total from orders"); got[0]["total"] != int64(42) {
		t.Errorf("SQL: %v", got)
	}
	if got := x.Records(t, "orders"); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
	reg, err := sr.NewClient(sr.URLs(x.RegistryURL()))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := reg.SchemaByID(t.Context(), id); err != nil || got.Schema != order {
		t.Errorf("schema %d: %v, %v", id, got.Schema, err)
	}
}

// BenchmarkNew is what a test pays for it, from nothing to gone again.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		tarntest.New(b).Stop()
	}
}
