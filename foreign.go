package main

import (
	"fmt"
	"slices"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

// deadLetters is what the name of a topic's dead-letter table adds to the
// table's.
const deadLetters = "__dead_letters"

// filledBy is the topic that fills an Iceberg table, nil if there is none; home is
// the namespace of topics' tables.
func filledBy(v *topic.View, home, ns, name string) *topic.Topic {
	if ns != home {
		return nil
	}
	for _, t := range v.All() {
		if !slices.Contains(t.Config.TableFormats, topic.FormatIceberg) {
			continue
		}
		if own := t.Table(); name == own || name == own+deadLetters {
			return t
		}
	}
	return nil
}

// foreignCommit is the catalog's guard: what other writers may do to a table that
// a topic fills, as tarn.table.foreign says. Tables of nobody are anybody's.
func foreignCommit(view func() *topic.View, home string) catalog.Guard {
	return func(ns, name string, updates []metadata.Update) error {
		t := filledBy(view(), home, ns, name)
		if t == nil {
			return nil
		}
		var err error
		switch level := t.Config.TableForeign; {
		case level == topic.ForeignAll:
			err = catalog.Reserved(updates)
		case len(updates) == 0:
			err = fmt.Errorf("%w: the broker makes this table", catalog.ErrForbidden)
		case level == topic.ForeignAppend:
			err = catalog.Appends(updates)
		case level == topic.ForeignNone:
			err = fmt.Errorf("%w: the broker owns this table", catalog.ErrForbidden)
		default:
			err = catalog.Maintenance(updates)
		}
		return said(err, t)
	}
}

// foreignDrop is the catalog's guard of drops and renames. A table whose log is
// deleted behind it is the only copy of its rows; any other can be written again.
func foreignDrop(view func() *topic.View, home string) func(ns, name string) error {
	return func(ns, name string) error {
		t := filledBy(view(), home, ns, name)
		switch {
		case t == nil || t.Config.TableForeign == topic.ForeignAll:
			return nil
		case t.Config.TableForeign == topic.ForeignNone:
			return said(fmt.Errorf("%w: the broker owns this table", catalog.ErrForbidden), t)
		case t.Config.TableTrims:
			return said(fmt.Errorf("%w: the table holds the only copy of its rows (tarn.table.log=until_commit)", catalog.ErrForbidden), t)
		}
		return nil
	}
}

// said adds what to change to a refusal.
func said(err error, t *topic.Topic) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; topic %s fills it and has tarn.table.foreign=%s: append lets others add rows, all lets them change everything", err, t.Name, t.Config.TableForeign)
}

// guarded are the options of Tarn's own catalog, whose tables topics fill unless
// they are in another one.
func (n *node) guarded(o catalog.Options) catalog.Options {
	if n.catalogs() != ownCatalog {
		return o
	}
	view := n.broker.Topics().View
	o.Views = topicViews(view, n.cmd.CatalogNamespace)
	o.Guard, o.Drop = foreignCommit(view, n.cmd.CatalogNamespace), foreignDrop(view, n.cmd.CatalogNamespace)
	return o
}
