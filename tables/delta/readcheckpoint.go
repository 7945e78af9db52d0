package delta

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
)

func (l log) readCheckpoint(ctx context.Context, version int64) ([]action, error) {
	f, err := l.store.Open(ctx, l.key(version, checkSuffix))
	if err != nil {
		return nil, fmt.Errorf("open checkpoint %d: %w", version, err)
	}
	defer f.Close()
	actions, err := decodeCheckpoint(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %d: %w", version, err)
	}
	return actions, nil
}

// decodeCheckpoint reads a classic checkpoint, ours or another writer's: columns
// are found by name, and those it does not know are passed over. Errors are
// tables.ErrBroken, ErrForeign, ErrFeature or those of reading.
func decodeCheckpoint(ctx context.Context, f blob.File) ([]action, error) {
	var actions []action
	for batch, err := range parquet.ReadRows(ctx, f, nil) {
		if err != nil {
			return nil, err
		}
		top := columns{}
		for i, field := range batch.Schema().Fields() {
			top[field.Name] = batch.Column(i)
		}
		readers := actionReaders(top)
		for i := range int(batch.NumRows()) {
			a := action{}
			for _, read := range readers {
				read(&a, i)
			}
			if a == (action{}) {
				continue
			}
			if err := a.check(); err != nil {
				return nil, err
			}
			if len(actions) == maxActions {
				return nil, fmt.Errorf("more than %d actions: %w", maxActions, tables.ErrBroken)
			}
			actions = append(actions, a)
		}
	}
	return actions, nil
}

// actionReaders are functions that fill in an action from a row.
func actionReaders(top columns) []func(a *action, i int) {
	var out []func(a *action, i int)
	on := func(name string, read func(c columns, a *action, i int)) {
		s, ok := top[name].(*array.Struct)
		if !ok {
			return
		}
		c := columnsOf(s)
		out = append(out, func(a *action, i int) {
			if s.IsValid(i) {
				read(c, a, i)
			}
		})
	}
	on("txn", func(c columns, a *action, i int) {
		a.Txn = &txn{c.text("appId", i), c.long("version", i), c.long("lastUpdated", i)}
	})
	on("add", func(c columns, a *action, i int) {
		a.Add = &add{
			Path: c.text("path", i), PartitionValues: c.pairs("partitionValues", i), Size: c.long("size", i),
			ModificationTime: c.long("modificationTime", i), Stats: c.text("stats", i), Tags: c.pairs("tags", i),
		}
		if dv, ok := c["deletionVector"]; ok && dv.IsValid(i) {
			a.Add.DeletionVector = []byte("{}")
		}
	})
	on("remove", func(c columns, a *action, i int) {
		a.Remove = &remove{Path: c.text("path", i), DeletionTimestamp: c.long("deletionTimestamp", i), Size: c.long("size", i)}
	})
	on("metaData", func(c columns, a *action, i int) {
		a.MetaData = &metaData{
			ID: c.text("id", i), Name: c.text("name", i), Description: c.text("description", i),
			Format: formatSpec{"parquet", map[string]string{}}, SchemaString: c.text("schemaString", i),
			PartitionColumns: c.texts("partitionColumns", i), Configuration: plain(c.pairs("configuration", i)), CreatedTime: c.long("createdTime", i),
		}
	})
	on("protocol", func(c columns, a *action, i int) {
		a.Protocol = &protocol{
			int32(c.long("minReaderVersion", i)), int32(c.long("minWriterVersion", i)),
			c.texts("readerFeatures", i), c.texts("writerFeatures", i),
		}
	})
	return out
}

// columns are a struct's, by name. What is missing, null or of another type
// reads as zero; check finds what must not be.
type columns map[string]arrow.Array

func columnsOf(s *array.Struct) columns {
	out := columns{}
	for i, f := range s.DataType().(*arrow.StructType).Fields() {
		out[f.Name] = s.Field(i)
	}
	return out
}

func (c columns) text(name string, i int) string { return textAt(c[name], i) }

func textAt(a arrow.Array, i int) string {
	if s, ok := a.(*array.String); ok && s.IsValid(i) {
		// A copy: the value lies in the batch's memory.
		return string([]byte(s.Value(i)))
	}
	return ""
}

func (c columns) long(name string, i int) int64 {
	switch a := c[name].(type) {
	case *array.Int64:
		if a.IsValid(i) {
			return a.Value(i)
		}
	case *array.Int32:
		if a.IsValid(i) {
			return int64(a.Value(i))
		}
	}
	return 0
}

func (c columns) texts(name string, i int) []string {
	a, ok := c[name].(*array.List)
	if !ok || a.IsNull(i) {
		return nil
	}
	out := []string{}
	start, end := a.ValueOffsets(i)
	for j := start; j < end; j++ {
		out = append(out, textAt(a.ListValues(), int(j)))
	}
	return out
}

func (c columns) pairs(name string, i int) map[string]*string {
	a, ok := c[name].(*array.Map)
	if !ok || a.IsNull(i) {
		return nil
	}
	out := make(map[string]*string)
	start, end := a.ValueOffsets(i)
	for j := int(start); j < int(end); j++ {
		var value *string
		if a.Items().IsValid(j) {
			text := textAt(a.Items(), j)
			value = &text
		}
		out[textAt(a.Keys(), j)] = value
	}
	return out
}

func plain(m map[string]*string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		if v != nil {
			out[k] = *v
		}
	}
	return out
}
