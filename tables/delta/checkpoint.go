package delta

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// checkpointRows is how many actions are built at a time.
const checkpointRows = 20_000

// checkpointPointer is _last_checkpoint (protocol, "Last Checkpoint File").
type checkpointPointer struct {
	Version       int64 `json:"version"`
	Size          int64 `json:"size"`
	SizeInBytes   int64 `json:"sizeInBytes"`
	NumOfAddFiles int64 `json:"numOfAddFiles"`
}

// checkpoint writes the state as a classic V1 checkpoint, points to it, and
// cleans up what lies below older ones. t.mu is held.
func (t *table) checkpoint(ctx context.Context) error {
	now := t.config.Now()
	actions := t.state.actions(now.Add(-max(fileRetention, t.config.LogRetention)).UnixMilli())
	data, err := encodeCheckpoint(actions)
	if err != nil {
		return fmt.Errorf("checkpoint version %d: %w", t.state.version, err)
	}
	if err := t.store.Put(ctx, t.log.key(t.state.version, checkSuffix), data); err != nil {
		return fmt.Errorf("checkpoint version %d: %w", t.state.version, err)
	}
	t.state.checkpoint = t.state.version
	pointer, err := json.Marshal(checkpointPointer{
		t.state.version, int64(len(actions)), int64(len(data)), int64(len(t.state.byPath)),
	})
	if err != nil {
		return fmt.Errorf("encode checkpoint pointer: %w", err)
	}
	if err := t.store.Put(ctx, t.log.prefix+lastCheckpoint, pointer); err != nil {
		return fmt.Errorf("point to checkpoint %d: %w", t.state.version, err)
	}
	oldest, err := t.log.clean(ctx, now.Add(-t.config.LogRetention).UnixMilli(), false)
	if err != nil {
		return err
	}
	t.state.oldest = max(t.state.oldest, oldest)
	return nil
}

// actions lists what a checkpoint of the state holds, removals since a time in
// Unix ms among them.
func (s *state) actions(sinceMs int64) []action {
	out := []action{{Protocol: &s.protocol}, {MetaData: s.meta}}
	for _, id := range slices.Sorted(maps.Keys(s.txns)) {
		x := s.txns[id]
		out = append(out, action{Txn: &x})
	}
	for _, r := range s.tombstones(sinceMs) {
		out = append(out, action{Remove: &r})
	}
	for _, a := range s.live() {
		out = append(out, action{Add: a})
	}
	return out
}

// checkpointSchema is that of the checkpoint file (protocol, "Checkpoint
// Schema"): one column for each kind of action, of which each row fills one.
func checkpointSchema() *arrow.Schema {
	null := func(name string, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true}
	}
	text, long, flag := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64, arrow.FixedWidthTypes.Boolean
	texts := arrow.ListOfField(null("element", text))
	pairs := arrow.MapOf(text, text)
	return arrow.NewSchema([]arrow.Field{
		null("txn", arrow.StructOf(null("appId", text), null("version", long), null("lastUpdated", long))),
		null("add", arrow.StructOf(null("path", text), null("partitionValues", pairs), null("size", long),
			null("modificationTime", long), null("dataChange", flag), null("stats", text), null("tags", pairs))),
		null("remove", arrow.StructOf(null("path", text), null("deletionTimestamp", long), null("dataChange", flag), null("size", long))),
		null("metaData", arrow.StructOf(null("id", text), null("name", text), null("description", text),
			null("format", arrow.StructOf(null("provider", text), null("options", pairs))),
			null("schemaString", text), null("partitionColumns", texts), null("configuration", pairs), null("createdTime", long))),
		null("protocol", arrow.StructOf(null("minReaderVersion", arrow.PrimitiveTypes.Int32), null("minWriterVersion", arrow.PrimitiveTypes.Int32),
			null("readerFeatures", texts), null("writerFeatures", texts))),
	}, nil)
}

func encodeCheckpoint(actions []action) ([]byte, error) {
	var out bytes.Buffer
	schema := checkpointSchema()
	w, err := pqarrow.NewFileWriter(schema, &out,
		pq.NewWriterProperties(pq.WithCompression(compress.Codecs.Snappy), pq.WithDictionaryDefault(false), pq.WithDataPageVersion(pq.DataPageV1)),
		pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, err
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for part := range slices.Chunk(actions, checkpointRows) {
		for _, a := range part {
			for i, row := range []any{txnRow(a.Txn), addRow(a.Add), removeRow(a.Remove), metaRow(a.MetaData), protocolRow(a.Protocol)} {
				appendValue(b.Field(i), row)
			}
		}
		batch := b.NewRecordBatch()
		err := w.Write(batch)
		batch.Release()
		if err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// row is a struct's values in the order of its fields, nil for a null.
type row []any

func txnRow(t *txn) row {
	if t == nil {
		return nil
	}
	return row{t.AppID, t.Version, t.LastUpdated}
}

func addRow(a *add) row {
	if a == nil {
		return nil
	}
	var stats any
	if a.Stats != "" {
		stats = a.Stats
	}
	// Its data is no change to who reads the checkpoint.
	return row{a.Path, nonNil(a.PartitionValues), a.Size, a.ModificationTime, false, stats, a.Tags}
}

func removeRow(r *remove) row {
	if r == nil {
		return nil
	}
	return row{r.Path, r.DeletionTimestamp, false, r.Size}
}

func metaRow(m *metaData) row {
	if m == nil {
		return nil
	}
	return row{m.ID, m.Name, m.Description, row{m.Format.Provider, pointers(m.Format.Options)},
		m.SchemaString, m.PartitionColumns, pointers(m.Configuration), m.CreatedTime}
}

func protocolRow(p *protocol) row {
	if p == nil {
		return nil
	}
	var reader, writer any // columns that only versions 3 and 7 fill
	if p.MinReaderVersion >= 3 {
		reader = p.ReaderFeatures
	}
	if p.MinWriterVersion >= 7 {
		writer = p.WriterFeatures
	}
	return row{p.MinReaderVersion, p.MinWriterVersion, reader, writer}
}

func nonNil(m map[string]*string) map[string]*string {
	if m == nil {
		return map[string]*string{}
	}
	return m
}

func pointers(m map[string]string) map[string]*string {
	out := make(map[string]*string, len(m))
	for k, v := range m {
		out[k] = &v
	}
	return out
}

// appendValue appends one of the values that the rows above are made of.
func appendValue(b array.Builder, v any) {
	switch b := b.(type) {
	case *array.StructBuilder:
		values, _ := v.(row)
		if values == nil {
			b.AppendNull()
			return
		}
		b.Append(true)
		for i, x := range values {
			appendValue(b.FieldBuilder(i), x)
		}
	case *array.MapBuilder:
		pairs, _ := v.(map[string]*string)
		if pairs == nil {
			b.AppendNull()
			return
		}
		b.Append(true)
		for _, key := range slices.Sorted(maps.Keys(pairs)) {
			appendValue(b.KeyBuilder(), key)
			if value := pairs[key]; value != nil {
				appendValue(b.ItemBuilder(), *value)
			} else {
				b.ItemBuilder().AppendNull()
			}
		}
	case *array.ListBuilder:
		texts, ok := v.([]string)
		if !ok {
			b.AppendNull()
			return
		}
		b.Append(true)
		for _, x := range texts {
			appendValue(b.ValueBuilder(), x)
		}
	default:
		appendLeaf(b, v)
	}
}

func appendLeaf(b array.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.(*array.StringBuilder).Append(v)
	case int64:
		b.(*array.Int64Builder).Append(v)
	case int32:
		b.(*array.Int32Builder).Append(v)
	case bool:
		b.(*array.BooleanBuilder).Append(v)
	default:
		b.AppendNull()
	}
}
