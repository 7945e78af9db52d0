package topic

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxLayout bounds the fields of a partition spec and of a sort order.
const maxLayout = 16

// PartitionTerm is a field of tarn.table.partition: a transform of a column.
type PartitionTerm struct {
	Transform string // identity, bucket, truncate, year, month, day, hour, void
	N         int    // of bucket and truncate
	Column    string
}

// SortTerm is a key of tarn.table.sort.
type SortTerm struct {
	Column           string
	Desc, NullsFirst bool
}

// layoutKeys say how the rows of a topic's tables are put into files.
func layoutKeys() []Definition {
	return []Definition{
		choice("tarn.table.compression", "zstd", []string{"zstd", "snappy", "gzip", "lz4", "none"},
			func(c *Config, s string) { c.TableCompression = s },
			"How data files are compressed. Files that merging makes are compressed as the first of those that they are made of."),
		between("tarn.table.compression.level", 0, 0, 22, func(c *Config) *int64 { return &c.TableCompressionLevel },
			"The level of zstd (1 to 22) or gzip (1 to 9, higher ones count as 9); 0: zstd's 1, which is nearly as small as the higher ones on rows, or gzip's own default."),
		long("tarn.table.file.bytes", 128<<20, 1<<20, func(c *Config) *int64 { return &c.TableFileBytes },
			"About how large a data file becomes at most when it is written, in bytes. What is committed at a time is mostly less, see tarn.table.commit.bytes; merging has a size of its own, see tarn.table.compact.bytes."),
		{Name: "tarn.table.partition", Kind: String, Allowed: "fields like region, day(kafka_timestamp), bucket(16, id), truncate(4, name)",
			Doc: "How the tables are partitioned: a list of columns and of transforms of columns, which are year, month, day, hour, bucket(N, column), truncate(W, column) and void, as Iceberg defines them; empty: not at all. Dots lead to columns in structs. A change counts for later files; a Delta table keeps what it was made with.",
			set: func(c *Config, s string) (err error) {
				c.TablePartition, err = ParsePartition(s)
				return err
			}},
		{Name: "tarn.table.sort", Kind: String, Allowed: "columns like id desc nulls last, name",
			Doc: "In which order rows lie in each data file: a list of columns, each with asc or desc and nulls first or nulls last; empty: as in the log. Nulls are first where the order is ascending, unless it says otherwise. Merged files are not sorted.",
			set: func(c *Config, s string) (err error) {
				c.TableSort, err = ParseSort(s)
				return err
			}},
	}
}

// ParsePartition reads tarn.table.partition.
func ParsePartition(s string) ([]PartitionTerm, error) {
	items, err := splitOutside(s)
	if err != nil {
		return nil, err
	}
	var out []PartitionTerm
	for _, it := range items {
		t, err := parseTerm(it)
		if err != nil {
			return nil, err
		}
		for _, have := range out {
			if have == t || have.Column == t.Column && have.timed() && t.timed() {
				return nil, fmt.Errorf("%q says no more than a field before it", it)
			}
		}
		out = append(out, t)
	}
	if len(out) > maxLayout {
		return nil, fmt.Errorf("at most %d fields", maxLayout)
	}
	return out, nil
}

func (t PartitionTerm) timed() bool {
	return slices.Contains([]string{"year", "month", "day", "hour"}, t.Transform)
}

// splitOutside cuts a list at its commas, but for those in parentheses.
func splitOutside(s string) ([]string, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var out []string
	depth, from := 0, 0
	for i, r := range s {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out, from = append(out, strings.TrimSpace(s[from:i])), i+1
			}
		}
		if depth < 0 || depth > 1 {
			return nil, errors.New("parentheses that do not fit")
		}
	}
	if depth != 0 {
		return nil, errors.New("a parenthesis is not closed")
	}
	return append(out, strings.TrimSpace(s[from:])), nil
}

// parseTerm reads one field. The number of bucket and truncate may come first, as
// Spark has it, or last, as Trino has it.
func parseTerm(s string) (PartitionTerm, error) {
	name, rest, call := strings.Cut(s, "(")
	name = strings.TrimSpace(name)
	if !call {
		return PartitionTerm{Transform: "identity", Column: name}, checkColumn(name)
	}
	inside, after, _ := strings.Cut(rest, ")")
	if strings.TrimSpace(after) != "" {
		return PartitionTerm{}, fmt.Errorf("%q: nothing may follow the parenthesis", s)
	}
	var args []string
	for a := range strings.SplitSeq(inside, ",") {
		args = append(args, strings.TrimSpace(a))
	}
	// Spark's names of functions are plural.
	transform := strings.TrimSuffix(strings.ToLower(name), "s")
	switch transform {
	case "identity", "year", "month", "day", "hour", "void":
		if len(args) != 1 {
			return PartitionTerm{}, fmt.Errorf("%q: %s takes one column", s, transform)
		}
		return PartitionTerm{Transform: transform, Column: args[0]}, checkColumn(args[0])
	case "bucket", "truncate":
		if len(args) != 2 {
			return PartitionTerm{}, fmt.Errorf("%q: %s takes a number and a column", s, transform)
		}
		n, err := strconv.ParseInt(args[0], 10, 32)
		column := args[1]
		if err != nil {
			n, err = strconv.ParseInt(args[1], 10, 32)
			column = args[0]
		}
		if err != nil || n < 1 {
			return PartitionTerm{}, fmt.Errorf("%q: %s takes a number from 1 to 2147483647", s, transform)
		}
		return PartitionTerm{Transform: transform, N: int(n), Column: column}, checkColumn(column)
	}
	return PartitionTerm{}, fmt.Errorf("%q: the transforms are identity, year, month, day, hour, bucket, truncate and void", s)
}

// checkColumn refuses what cannot be a column's name here. Whether there is such a
// column is seen when the tables are written: it may come with a later schema.
func checkColumn(name string) error {
	if name == "" {
		return errors.New("a column's name is missing")
	}
	if strings.ContainsAny(name, " \t\n()") {
		return fmt.Errorf("%q is no column's name", name)
	}
	return nil
}

// ParseSort reads tarn.table.sort.
func ParseSort(s string) ([]SortTerm, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var out []SortTerm
	for item := range strings.SplitSeq(s, ",") {
		words := strings.Fields(item)
		if len(words) == 0 {
			return nil, errors.New("a column's name is missing")
		}
		t := SortTerm{Column: words[0], NullsFirst: true}
		if err := checkColumn(t.Column); err != nil {
			return nil, err
		}
		for _, have := range out {
			if have.Column == t.Column {
				return nil, fmt.Errorf("%s stands there twice", t.Column)
			}
		}
		rest := strings.ToLower(strings.Join(words[1:], " "))
		direction, nulls, _ := strings.Cut(rest, "nulls ")
		switch strings.TrimSpace(direction) {
		case "desc":
			t.Desc, t.NullsFirst = true, false
		case "", "asc":
		default:
			return nil, fmt.Errorf("%q: after the column come asc or desc, then nulls first or nulls last", strings.TrimSpace(item))
		}
		switch nulls {
		case "first":
			t.NullsFirst = true
		case "last":
			t.NullsFirst = false
		default:
			if strings.Contains(rest, "nulls") {
				return nil, fmt.Errorf("%q: nulls first or nulls last", strings.TrimSpace(item))
			}
		}
		out = append(out, t)
	}
	if len(out) > maxLayout {
		return nil, fmt.Errorf("at most %d columns", maxLayout)
	}
	return out, nil
}
