package sink

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/formula"
	"github.com/tarn-io/tarn/tables"
)

// generatedKey is the config that says which columns are computed.
const generatedKey = "tarn.table.generated"

// generator computes the columns of one group that are made of others. Owned by
// the group.
type generator struct {
	programs []*formula.Program
	rows     *schema.Rows
}

// errClash is why a schema and the columns that are computed do not go together.
var errClash = errors.New("the schema has a column that is computed (" + generatedKey + ")")

// formulas are the columns that the topic has computed.
func (t *Topic) formulas() ([]formula.Formula, error) {
	if t.Generated == "" {
		return nil, nil
	}
	list, err := formula.Parse(t.Generated)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", generatedKey, err)
	}
	return list, nil
}

// generated adds to the columns that records bring those that are computed of them
// and of what else the table has; nil stands for no table yet.
func generated(list []formula.Formula, table *tables.Schema, columns *arrow.Schema) (*arrow.Schema, error) {
	if len(list) == 0 {
		return columns, nil
	}
	programs, err := compile(list, table, columns, func(int) *schema.Column { return nil })
	if err != nil {
		return nil, err
	}
	return withGenerated(columns, programs), nil
}

// withGenerated adds the columns of programs.
func withGenerated(columns *arrow.Schema, programs []*formula.Program) *arrow.Schema {
	fields := slices.Clone(columns.Fields())
	for _, p := range programs {
		fields = append(fields, p.Field)
	}
	return arrow.NewSchema(fields, nil)
}

// compile types the formulas against what records bring, and where that lacks a
// column against the table. at finds the rows of a column that records bring; nil
// where there are none.
func compile(list []formula.Formula, table *tables.Schema, columns *arrow.Schema, at func(i int) *schema.Column) ([]*formula.Program, error) {
	computed := func(name string) bool {
		return slices.ContainsFunc(list, func(f formula.Formula) bool { return strings.EqualFold(f.Name, name) })
	}
	for _, f := range columns.Fields() {
		if computed(f.Name) {
			return nil, fmt.Errorf("%w: %s; give the computed one another name", errClash, f.Name)
		}
	}
	var have []arrow.Field
	if table != nil {
		have = table.Arrow.Fields()
	}
	find := func(path []string) (arrow.DataType, *schema.Column, error) {
		if computed(path[0]) {
			return nil, nil, fmt.Errorf("column %s is computed itself, and none is computed of another such", path[0])
		}
		t, places := lookup(columns.Fields(), path)
		wide, _ := lookup(have, path)
		switch {
		case t == nil && wide == nil:
			return nil, nil, fmt.Errorf("there is no column %s", strings.Join(path, "."))
		case t == nil:
			return wide, nil, nil
		case wide == nil:
			wide = t
		}
		c := at(places[0])
		for _, i := range places[1:] {
			if c != nil {
				c = c.Child(i)
			}
		}
		return wide, c, nil
	}
	out := make([]*formula.Program, len(list))
	for i, f := range list {
		p, err := f.Compile(find)
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

// lookup finds a field by its path: its type and the places that lead to it; nil if
// there is none.
func lookup(fields []arrow.Field, path []string) (arrow.DataType, []int) {
	var places []int
	for {
		at := slices.IndexFunc(fields, func(f arrow.Field) bool { return f.Name == path[0] })
		if at < 0 {
			return nil, nil
		}
		places = append(places, at)
		if path = path[1:]; len(path) == 0 {
			return fields[at].Type, places
		}
		st, ok := fields[at].Type.(*arrow.StructType)
		if !ok {
			return nil, nil
		}
		fields = st.Fields()
	}
}

// newGenerator makes ready to compute the columns of a group, whose other columns
// are called as in columns.
func (g *group) newGenerator(list []formula.Formula, table *tables.Schema, columns *arrow.Schema, extra bool) error {
	programs, err := compile(list, table, columns, func(i int) *schema.Column { return g.column(i, extra) })
	if err != nil {
		return err
	}
	fields := make([]arrow.Field, len(programs))
	for i, p := range programs {
		fields[i] = p.Field
	}
	rows, err := schema.NewRows(arrow.NewSchema(fields, nil))
	if err != nil {
		return fmt.Errorf("computed columns: %w", err)
	}
	g.gen = &generator{programs, rows}
	return nil
}

// column is where the rows of the i-th column of the group stand. extra says whether
// the members of open objects are one of them.
func (g *group) column(i int, extra bool) *schema.Column {
	kafka := g.kafka.Columns().NumFields()
	if i < kafka {
		return g.kafka.Column(i)
	}
	i -= kafka
	if g.keyRows != nil {
		if i == 0 {
			return g.keyRows.Top()
		}
		i--
	}
	if g.valueRows == nil {
		return nil
	}
	for at, f := range g.valueRows.Columns().Fields() {
		if f.Name == nameExtra && !extra {
			continue
		}
		if i == 0 {
			return g.valueRows.Column(at)
		}
		i--
	}
	return nil
}

// add computes the columns of the group's last row. On an error nothing is kept.
func (g *generator) add(row int) error {
	for i, p := range g.programs {
		if err := p.Append(row, g.rows.Column(i)); err != nil {
			g.rows.Undo()
			return err
		}
	}
	if err := g.rows.EndRow(); err != nil {
		g.rows.Undo()
		return err
	}
	return nil
}
