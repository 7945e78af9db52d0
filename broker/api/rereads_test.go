package api

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
	inmemory "github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
)

// TestRereads spends the budget for unpacking what is stored: Fetches of old
// clients and ListOffsets by time wait for it, all others and what is produced do
// not; everything is given back, after errors and by those who gave up, too.
func TestRereads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{})
		tp := &topic.Topic{ID: storage.TopicID{1}, Name: "t", Partitions: 1, Config: topic.Config{MaxMessageBytes: 1 << 20}}
		log, err := commitlog.New(commitlog.Config{Engine: inmemory.New()}).Log(t.Context(), storage.TP{Topic: tp.ID})
		if err != nil {
			t.Fatal(err)
		}
		find := func(ts int64) func(context.Context) error {
			return func(ctx context.Context) error {
				_, _, err := h.find(ctx, &kmsg.ListOffsetsRequest{Version: 11}, tp, log, ts)
				return err
			}
		}
		read := func(version int16, offset int64) func(context.Context) error {
			p := &fetching{wanted: wanted{offset: offset}, topic: tp, log: log}
			p.lastEpoch = -1
			return func(ctx context.Context) error {
				_, err := p.read(ctx, h, &kmsg.FetchRequest{Version: version}, maxFetchBytes, true)
				return err
			}
		}
		// As many bombs as there may be are being unpacked.
		var held []*unpacking
		for range DefaultUnpackBytes / unpackLimit(tp) {
			u, err := unpack(t.Context(), h.rereads, unpackLimit(tp))
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, u)
		}
		quick := map[string]func(context.Context) error{"the end": find(-1), "the start": find(-2), "local start": find(-4), "tiered": find(-5), "a new Fetch": read(4, 0)}
		for name, ask := range quick {
			if err := ask(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !h.unpacks.TryAcquire(DefaultUnpackBytes) {
			t.Error("what is produced has no budget of its own")
		}
		slow := []struct {
			name string
			ask  func(context.Context) error
			want error
		}{
			{"by time", find(5), nil}, {"the greatest time", find(-3), nil}, {"an old Fetch", read(3, 0), nil},
			{"the oldest Fetch", read(0, 0), nil}, {"an old Fetch beyond the end", read(3, 7), commitlog.ErrRange},
		}
		for _, c := range slow {
			ctx, cancel := context.WithCancel(t.Context())
			got := make(chan error, 2)
			go func() { got <- c.ask(ctx) }()
			synctest.Wait()
			if len(got) != 0 {
				t.Errorf("%s did not wait: %v", c.name, <-got)
				cancel()
				continue
			}
			cancel()
			if err := <-got; !errors.Is(err, context.Canceled) {
				t.Errorf("%s gave up: %v", c.name, err)
			}
		}
		// One place is enough for all of them, one after the other.
		got := make([]chan error, len(slow))
		for i, c := range slow {
			got[i] = make(chan error, 1)
			go func() { got[i] <- c.ask(t.Context()) }()
		}
		synctest.Wait()
		held[0].release()
		held[0].release()
		for i, c := range slow {
			if err := <-got[i]; !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
		}
		for _, u := range held {
			u.release()
		}
		if !h.rereads.TryAcquire(DefaultUnpackBytes) {
			t.Error("the budget leaks")
		}
		h.rereads.Release(DefaultUnpackBytes)
		// What may become more than the budget takes all of it, and is not stuck.
		tp.Config.MaxMessageBytes = 1 << 30
		if err := find(5)(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
