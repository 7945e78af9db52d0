package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/.ci/process"
)

const (
	diskBytes    = 96 << 20
	ballastBytes = 32 << 20
	// burstRecords of burstPad bytes are sent and waited for at a time.
	burstRecords = 64
	burstPad     = 4000
	// fillLimit and recoverLimit bound how long filling the disk may take, and
	// how long the broker may go on refusing once there is space again.
	fillLimit    = time.Minute
	recoverLimit = 10 * time.Second
)

// filler fills a small disk under a broker, through the broker.
type filler struct {
	*trial
	disk *disk
	cl   *kgo.Client
}

// diskFull lets the disk run full under a running broker, twice: the first time
// space returns while it runs, the second time it is killed and started on the
// full disk.
func diskFull(ctx context.Context, o options, dir string, t *tally) error {
	d, err := newDisk(filepath.Join(dir, "disk"))
	if err != nil {
		return err
	}
	defer d.close()
	fmt.Println("disk:", d.what)
	r := &trial{opts: o, dir: dir, tally: t, rng: source(o.seed, 1), logged: map[string]int{},
		config: process.Config{Binary: o.binary, Data: filepath.Join(d.dir, "data"), Wrap: d.wrap}}
	if err := d.load(); err != nil {
		return err
	}
	b, err := r.prepareQuiet(ctx)
	if err != nil {
		return err
	}
	f := &filler{trial: r, disk: d}
	f.cl, err = client(r.config.Kafka, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.DisableIdempotentWrite(), kgo.RecordRetries(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer f.cl.Close()
	err = f.whileRunning(ctx, b)
	if err == nil {
		err = f.acrossKill(ctx, b)
	}
	for text, n := range r.logged {
		fmt.Printf("logged %d times: %s\n", n, text)
	}
	return err
}

// whileRunning fills the disk, looks at the broker, and frees space.
func (f *filler) whileRunning(ctx context.Context, b *process.Broker) error {
	t := f.tally
	t.check("a full disk gives a storage error", f.fill(ctx, b))
	fmt.Printf("full after %d acknowledged records\n", f.load.ledger.acknowledged())
	t.check("what was acknowledged is there on the full disk", f.intact(ctx, b))
	t.check("metadata are refused on the full disk", f.refusesMetadata(ctx))
	if err := f.disk.free(b.PID()); err != nil {
		return err
	}
	took, err := f.recovers(ctx)
	t.check("produce goes on when space returns", err)
	fmt.Printf("accepted again %d ms after space returned\n", took.Milliseconds())
	t.check("flush when space has returned", f.api.Flush(ctx, topicName))
	t.check("log and tables when space has returned", f.sound(ctx, b))
	return nil
}

// acrossKill fills the disk again, kills the broker, and starts it while the
// disk is full and then with space.
func (f *filler) acrossKill(ctx context.Context, b *process.Broker) error {
	t := f.tally
	f.disk.refill(b.PID())
	t.check("a second full disk gives a storage error", f.fill(ctx, b))
	if err := f.kill(b, 1); err != nil {
		return err
	}
	b, err := f.ready(ctx, nil)
	if err == nil {
		fmt.Println("a start on the full disk succeeds")
		t.check("what was acknowledged is there after a start on the full disk", f.intact(ctx, b))
		if err := f.kill(b, 2); err != nil {
			return err
		}
	} else {
		fmt.Println("a start on the full disk is refused:", firstLine(err))
		if strings.Contains(err.Error(), "goroutine ") {
			t.check("a start on the full disk", err)
		}
	}
	if err := f.disk.free(0); err != nil {
		return err
	}
	if b, err = f.ready(ctx, nil); err != nil {
		return err
	}
	took, err := f.recovers(ctx)
	t.check("produce goes on after a start with space", err)
	fmt.Printf("accepted again %d ms after the start\n", took.Milliseconds())
	t.check("flush after a start with space", f.api.Flush(ctx, topicName))
	t.check("log and tables after a start with space", f.sound(ctx, b))
	stopCtx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	t.check("a clean stop", b.Stop(stopCtx))
	return nil
}

// burst sends some records and notes what is acknowledged; the error is the
// first refusal.
func (f *filler) burst(ctx context.Context) error {
	var records []*kgo.Record
	ids := map[*kgo.Record]identity{}
	for n := range burstRecords {
		id := f.load.ledger.next(0)
		r := &kgo.Record{Topic: topicName, Partition: int32(n % partitions), Value: encode(f.load.schemaID, id, burstPad)}
		records, ids[r] = append(records, r), id
	}
	limited, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	var first error
	for _, answer := range f.cl.ProduceSync(limited, records...) {
		switch {
		case answer.Err == nil:
			f.load.ledger.acknowledge(ids[answer.Record], place{answer.Record.Partition, answer.Record.Offset})
		case first == nil:
			first = answer.Err
		}
	}
	return first
}

// fill produces until the broker says that it cannot store more, and then some
// more: it must go on answering.
func (f *filler) fill(ctx context.Context, b *process.Broker) error {
	var err error
	for begun := time.Now(); err == nil; err = f.burst(ctx) {
		if time.Since(begun) > fillLimit {
			return errors.New("the disk does not fill")
		}
	}
	for range 20 {
		if !errors.Is(err, kerr.KafkaStorageError) && err != nil {
			return fmt.Errorf("produce on a full disk answers %w", err)
		}
		err = f.burst(ctx)
	}
	if !b.Alive() {
		return fmt.Errorf("the broker is gone:\n%s", b.Noise())
	}
	return nil
}

// intact holds the log against what was acknowledged.
func (f *filler) intact(ctx context.Context, b *process.Broker) error {
	if !b.Alive() {
		return fmt.Errorf("the broker is gone:\n%s", b.Noise())
	}
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	log, err := readLog(ctx, f.config.Kafka)
	if err != nil {
		return err
	}
	return f.load.ledger.compare(log)
}

// refusesMetadata sees that a write other than records is refused too, and not
// half done.
func (f *filler) refusesMetadata(ctx context.Context) error {
	text := strings.Repeat("much text ", 100_000) // more than any slack in the file
	schema := fmt.Sprintf(`{"type":"record","name":"Big","doc":%q,"fields":[]}`, text)
	if _, err := f.api.Register(ctx, "big-value", schema); err == nil {
		return errors.New("a schema of a megabyte was stored on a full disk")
	}
	return f.api.Call(ctx, http.MethodGet, "/subjects", nil, nil)
}

// recovers produces until it is acknowledged again.
func (f *filler) recovers(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	for {
		err := f.burst(ctx)
		took := time.Since(begun)
		if err == nil {
			return took, nil
		}
		if took > recoverLimit {
			return took, fmt.Errorf("still refused after %s: %w", took, err)
		}
	}
}

// sound checks log and tables as the crash test does.
func (f *filler) sound(ctx context.Context, b *process.Broker) error {
	if err := f.intact(ctx, b); err != nil {
		return err
	}
	log, err := readLog(ctx, f.config.Kafka)
	if err != nil {
		return err
	}
	if err := f.ownVerdict(ctx, log); err != nil {
		return err
	}
	for _, format := range formats {
		rows, err := tableRows(ctx, f.api, filepath.Join(f.config.Data, "warehouse"), topicName, format, fromColumns)
		if err == nil {
			err = compareRows(rows, log.places())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	return nil
}

func firstLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return lines[len(lines)-1]
}

// writeBallast takes up to size bytes of a disk.
func writeBallast(path string, size int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	piece := make([]byte, 1<<20)
	for range size / len(piece) {
		if _, err := file.Write(piece); err != nil {
			return err
		}
	}
	return file.Sync()
}
