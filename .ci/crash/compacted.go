package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/.ci/process"
)

// compactionCheck is how often the broker looks whether a log is to be compacted;
// by its default few lives would see it happen.
const compactionCheck = "100ms"

// fenceProducer sends the last records of compacted logs before they are read.
const fenceProducer = 2

// note is what a record was that the log may have forgotten.
type note struct {
	key  string
	gone bool // it has no value
}

// note remembers a record of a log that is compacted.
func (k *kindLoad) note(id identity, r *kgo.Record) {
	if !k.compacts {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notes[id] = note{string(r.Key), r.Value == nil}
}

// fence puts a record at the end of each partition that stays, so that a reader sees
// where the log ends: what stood there may be compacted away.
func (k *kindLoad) fence(ctx context.Context, kafka string) error {
	cl, err := producerClient(kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	for p := range k.partitions {
		id := k.ledger.next(fenceProducer)
		r := &kgo.Record{Topic: k.name, Partition: p, Key: fmt.Appendf(nil, "fence-%d", p), Value: encode(k.schemaID, id, 0),
			Headers: []kgo.RecordHeader{{Key: idHeader, Value: fmt.Append(nil, uint64(id))}}}
		k.note(id, r)
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			return err
		}
		k.ledger.acknowledge(id, place{p, r.Offset})
	}
	return nil
}

// verifyCompacted holds tables and log against each other and against what was
// acknowledged. A table of all records has them longer than the log, so that log is
// judged by it; of one of latest values, what was acknowledged says what it holds.
func (k *kindLoad) verifyCompacted(ctx context.Context, kafka string, api *process.API, warehouse string, check func(string, error)) {
	log := map[place]identity{}
	err := readAll(ctx, kafka, k.name, k.partitions, func(r *kgo.Record) error {
		id, err := identityOf(r)
		log[place{r.Partition, r.Offset}] = id
		return err
	})
	if check("reading the log", err); err != nil {
		return
	}
	k.kept = len(log)
	for _, format := range k.formats {
		rows, err := k.rows(ctx, api, warehouse, format, "")
		if err == nil {
			var all copyLog
			if k.column == "" {
				all, err = dense(rows, k.partitions)
			} else {
				all, err = k.ledger.whole(k.partitions)
			}
			if err == nil {
				err = k.compareCompacted(all, log, rows)
			}
		}
		check("the "+format+" table", err)
	}
}

// compareCompacted holds a compacted log, and the rows of latest values if the table
// has those, against all records that ever were.
func (k *kindLoad) compareCompacted(all copyLog, log map[place]identity, rows []row) error {
	if err := k.ledger.compare(all); err != nil {
		return err
	}
	records := all.places()
	for at, id := range log {
		if records[at] != id {
			return fmt.Errorf("the log has %s in partition %d offset %d, where %s was", id, at.partition, at.offset, records[at])
		}
	}
	want := expected{rows: map[place]identity{}, keys: map[place]string{}}
	k.mu.Lock()
	defer k.mu.Unlock()
	for part, ids := range all {
		last := map[string]int{}
		for offset, id := range ids {
			last[k.notes[id].key] = offset
		}
		for key, offset := range last {
			at, id := place{int32(part), int64(offset)}, ids[offset]
			if k.notes[id].gone {
				continue // the tombstone goes too, in time
			}
			if log[at] != id {
				return fmt.Errorf("the log lacks %s of partition %d offset %d, the last one with the key %q", id, part, offset, key)
			}
			want.rows[at], want.keys[at] = id, key
		}
	}
	if k.column == "" {
		return nil
	}
	return want.compare(rows, k.column)
}

// whole is the log that acknowledgements tell of, where the fate of all records is
// known.
func (l *ledger) whole(partitions int32) (copyLog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rows []row
	for producer, sent := range l.sent {
		for seq, at := range sent {
			if at != unknown {
				rows = append(rows, row{partition: at.partition, offset: at.offset, id: identify(producer, int64(seq))})
			}
		}
	}
	return dense(rows, partitions)
}
