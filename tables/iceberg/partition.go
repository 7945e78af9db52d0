package iceberg

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/metadata"
)

// layoutUpdates make a table's default spec and sort order those of a layout,
// where they are others; meta has the schema that the layout refers to already.
// A changed spec is partition evolution: files stay under the spec that they were
// written with.
func layoutUpdates(meta *metadata.Table, l tables.Layout) ([]metadata.Update, error) {
	spec, err := specOf(meta, l.Partition)
	if err != nil {
		return nil, err
	}
	order, added := orderOf(l.Sort), -1
	return []metadata.Update{
		{Action: metadata.AddSpec, Spec: &iceberg.UnboundPartitionSpec{PartitionSpec: spec}},
		{Action: metadata.SetDefaultSpec, SpecID: &added},
		{Action: metadata.AddSortOrder, SortOrder: &order},
		{Action: metadata.SetDefaultSortOrder, SortOrderID: &added},
	}, nil
}

// specOf is a partition spec as Iceberg writes it. Fields that a spec of the table
// has already keep their ids, which format version 2 asks for.
func specOf(meta *metadata.Table, fields []tables.PartitionField) (iceberg.PartitionSpec, error) {
	var out []iceberg.PartitionOption
	for _, f := range fields {
		transform, err := iceberg.ParseTransform(f.Transform.String())
		if err != nil {
			return iceberg.PartitionSpec{}, fmt.Errorf("partition field %s: %w: %w", f.Name, tables.ErrUnsupported, err)
		}
		id := 0
		for i := range meta.Specs {
			for _, have := range meta.Specs[i].Fields() {
				if sameField(have, f) {
					id = have.FieldID
				}
			}
		}
		out = append(out, iceberg.AddPartitionFieldBySourceID(f.Source, f.Name, transform, meta.Schema(), &id))
	}
	spec, err := iceberg.NewPartitionSpecOpts(out...)
	if err != nil {
		return spec, fmt.Errorf("partition spec: %w: %w", tables.ErrUnsupported, err)
	}
	return spec, oneDecimal(meta, spec)
}

// oneDecimal refuses a spec with several decimals. The library that writes manifests
// cannot name a second one in Avro, so that no commit would ever succeed.
func oneDecimal(meta *metadata.Table, spec iceberg.PartitionSpec) error {
	first := ""
	for _, f := range spec.Fields() {
		source, ok := meta.Schema().FindTypeByID(f.SourceID())
		if !ok {
			continue
		}
		if _, ok := f.Transform.ResultType(source).(iceberg.DecimalType); !ok {
			continue
		}
		if first != "" {
			return fmt.Errorf("partition fields %s and %s are both decimals, of which a spec can have one here; take a bucket of one of the two: %w",
				first, f.Name, tables.ErrUnsupported)
		}
		first = f.Name
	}
	return nil
}

func sameField(have iceberg.PartitionField, f tables.PartitionField) bool {
	return slices.Equal(have.SourceIDs, []int{f.Source}) && have.Name == f.Name && have.Transform.String() == f.Transform.String()
}

func orderOf(fields []tables.SortField) metadata.SortOrder {
	var out metadata.SortOrder
	for _, f := range fields {
		s := metadata.SortField{
			SourceIDs: []int{f.Source}, Transform: iceberg.IdentityTransform{}, Direction: "asc", NullOrder: "nulls-last",
		}
		if f.Desc {
			s.Direction = "desc"
		}
		if f.NullsFirst {
			s.NullOrder = "nulls-first"
		}
		out.Fields = append(out.Fields, s)
	}
	return out
}

// place is where a file lies: its spec, and its partition values.
type place struct {
	spec   iceberg.PartitionSpec
	values map[int]any // by partition field id
}

// placeOf finds the spec that a file was written with among those of the table,
// and its values: where it says itself, or where the live file lies whose rows it
// has, one of gone. ErrUnsupported: others have removed the spec.
func placeOf(meta *metadata.Table, f tables.DataFile, gone map[string]iceberg.DataFile) (place, error) {
	if f.Like != "" {
		like, ok := gone[f.Like]
		if !ok {
			return place{}, fmt.Errorf("%s is not live: %w", f.Like, tables.ErrConflict)
		}
		spec := meta.Spec(int(like.SpecID()))
		if spec == nil {
			return place{}, fmt.Errorf("partition spec %d is gone: %w", like.SpecID(), tables.ErrBroken)
		}
		return place{*spec, like.Partition()}, nil
	}
	values := f.Partition
	if len(values) == 0 {
		spec, err := unpartitioned(meta)
		return place{spec: spec}, err
	}
	for i := range meta.Specs {
		spec := meta.Specs[i].PartitionSpec
		if spec.NumFields() != len(values) {
			continue
		}
		same := true
		for j, v := range values {
			same = same && sameField(spec.Field(j), v.PartitionField)
		}
		if same {
			data, err := partitionData(meta, spec, values)
			return place{spec, data}, err
		}
	}
	return place{}, fmt.Errorf("the table has no partition spec like that of the files: %w", tables.ErrUnsupported)
}

func partitionData(meta *metadata.Table, spec iceberg.PartitionSpec, values []tables.PartitionValue) (map[int]any, error) {
	out := make(map[int]any, len(values))
	for i, v := range values {
		f := spec.Field(i)
		out[f.FieldID] = nil
		if v.Value == nil {
			continue
		}
		source, ok := meta.Schema().FindTypeByID(f.SourceID())
		if !ok {
			return nil, fmt.Errorf("partition field %s: its column is gone: %w", f.Name, tables.ErrUnsupported)
		}
		value, err := iceberg.LiteralFromBytes(f.Transform.ResultType(source), v.Value)
		if err != nil {
			return nil, fmt.Errorf("value of partition field %s: %w", f.Name, err)
		}
		out[f.FieldID] = value.Any()
	}
	return out, nil
}

// bySpec tells files apart by the id of their spec.
func bySpec(files []iceberg.DataFile) map[int][]iceberg.DataFile {
	out := map[int][]iceberg.DataFile{}
	for _, f := range files {
		out[int(f.SpecID())] = append(out[int(f.SpecID())], f)
	}
	return out
}

// unpartitioned finds the spec of files that lie in no partition.
func unpartitioned(meta *metadata.Table) (iceberg.PartitionSpec, error) {
	for _, s := range meta.Specs {
		if s.NumFields() == 0 {
			return s.PartitionSpec, nil
		}
	}
	for _, s := range meta.Specs {
		if s.IsUnpartitioned() {
			return s.PartitionSpec, nil
		}
	}
	return iceberg.PartitionSpec{}, fmt.Errorf("the table has no unpartitioned spec left: %w", tables.ErrUnsupported)
}

// partitionWord names the partition of a file, for LiveFile.Partition: its spec
// and its values; empty where it lies in none.
func partitionWord(meta *metadata.Table, f iceberg.DataFile) string {
	if spec := meta.Spec(int(f.SpecID())); spec == nil || spec.IsUnpartitioned() {
		return ""
	}
	return strconv.Itoa(int(f.SpecID())) + " " + fmt.Sprintf("%#v", f.Partition())
}

// sortOrderID is the id of the table's sort order that sorts by these fields, 0 if
// it has none.
func sortOrderID(meta *metadata.Table, fields []tables.SortField) int {
	want := orderOf(fields)
	if len(want.Fields) == 0 {
		return 0
	}
	for _, o := range meta.SortOrders {
		if o.SameFields(want) {
			return o.ID
		}
	}
	return 0
}
