package sink_test

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/tarn-io/tarn/tables/catalog"
)

// TestDropped drops tables, or gives them another name, while they are written to:
// they are made anew, as after a restart.
func TestDropped(t *testing.T) {
	for how, gone := range map[string]func(w *world) error{
		"dropped": func(w *world) error {
			return formatsOver(w.store, w.items)["iceberg"].Drop(t.Context(), "default", "orders")
		},
		"letters too": func(w *world) error {
			f := formatsOver(w.store, w.items)["iceberg"]
			return errors.Join(f.Drop(t.Context(), "default", "orders"), f.Drop(t.Context(), "default", "orders__dead_letters"))
		},
		"renamed": func(w *world) error {
			_, err := catalog.New(catalog.Config{Items: w.items, Store: w.store}).RenameTable(t.Context(), ident, catalog.Identifier{"default", "older"})
			return err
		},
	} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			w.level = slog.LevelError
			id := w.register("orders-value", orderV1)
			w.run()
			w.produce(0, order(id, 1, "a"), []byte("bad"), order(id, 2, "b"))
			w.verify(2, 1)
			if err := gone(w); err != nil {
				t.Fatal(err)
			}
			w.produce(1, order(id, 3, "c"), []byte("bad too"))
			w.flushOn()
			w.check(3, 2)
			w.produce(0, order(id, 4, "d"))
			w.verify(4, 2)
			w.noPending()
		})
	}
}
