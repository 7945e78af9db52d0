package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/.ci/process"
)

const (
	// transfersName is the topic that only transactions write to.
	transfersName       = "transfers"
	transfersPartitions = 2
	// transactors live through all kills. One more is new after every start
	// and leaves its transaction open: only its timeout ends that.
	transactors = 2
	leaver      = transactors
	// maxTransfers is how many records a transaction has at most; a record's
	// sequence number is the transaction's times this, and its own.
	maxTransfers = 16
	// openTimeout is the timeout of transactions that are left open: some end
	// before the kill, most after the next start.
	openTimeout = 500 * time.Millisecond
	// openLimit is how long an open transaction may hold up readers.
	openLimit = openTimeout + 20*time.Second
)

// fate is what is known of a transaction's end.
type fate int

const (
	never fate = iota // nobody has asked for its commit: it must not be there
	maybe             // its commit has an unknown outcome: whole, or not there
	whole             // its commit was acknowledged
)

// transaction is one transaction as its producer knows it.
type transaction struct {
	records int
	fate    fate
}

// transactions commits and aborts through all kills. Safe for concurrent use.
type transactions struct {
	kafka    string
	schemaID int

	mu   sync.Mutex
	sent map[int][]transaction // guarded by mu: by producer
	lost map[string]int        // guarded by mu: why clients could not go on
}

func newTransactions(kafka string, schemaID int) *transactions {
	return &transactions{kafka: kafka, schemaID: schemaID, sent: map[int][]transaction{}, lost: map[string]int{}}
}

// next notes a transaction that is about to begin and returns its number.
func (x *transactions) next(producer, records int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent[producer] = append(x.sent[producer], transaction{records: records})
	return len(x.sent[producer]) - 1
}

func (x *transactions) note(producer, number int, f fate) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent[producer][number].fate = f
}

func (x *transactions) client(id string, timeout time.Duration) (*kgo.Client, error) {
	return client(x.kafka,
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.TransactionalID(id), kgo.TransactionTimeout(timeout),
		kgo.ProducerLinger(time.Millisecond))
}

// run makes transactions until ctx ends. After an error it goes on with a new
// client of the same id, as a program does that starts again.
func (x *transactions) run(ctx context.Context, g *gate, producer int, rng *rand.Rand) {
	for ctx.Err() == nil {
		cl, err := x.client(fmt.Sprintf("transactor-%d", producer), time.Minute)
		if err != nil {
			return // of options that do not change
		}
		// What is on its way waits for the broker, whatever ctx says.
		closed := context.AfterFunc(ctx, cl.Close)
		for well := true; well && ctx.Err() == nil; {
			g.while(func() {
				if well = x.one(ctx, cl, producer, rng); !well && ctx.Err() == nil {
					x.end(ctx, producer)
				}
			})
			pause(ctx, time.Duration(rng.IntN(20))*time.Millisecond)
		}
		if closed() {
			cl.Close()
		}
	}
}

// end ends the transaction that a client which cannot go on has left open, as
// the next one would. It comes before the gate closes behind the client: what
// is open then would stay so until its timeout.
func (x *transactions) end(ctx context.Context, producer int) {
	for ctx.Err() == nil { // the broker may be away
		cl, err := x.client(fmt.Sprintf("transactor-%d", producer), time.Minute)
		if err != nil {
			return // of options that do not change
		}
		_, _, err = cl.ProducerID(ctx)
		cl.Close()
		if err == nil {
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

func (x *transactions) lose(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lost[err.Error()]++
}

// one makes one transaction and reports whether the client can make another.
func (x *transactions) one(ctx context.Context, cl *kgo.Client, producer int, rng *rand.Rand) bool {
	number, err := x.fill(ctx, cl, producer, 1+rng.IntN(maxTransfers), rng)
	if err != nil || rng.IntN(10) < 3 {
		aborted := cl.EndTransaction(ctx, kgo.TryAbort)
		if aborted != nil {
			x.lose(fmt.Errorf("abort after %v: %w", err, aborted))
		}
		return aborted == nil && ctx.Err() == nil
	}
	x.note(producer, number, maybe)
	if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		x.lose(fmt.Errorf("commit: %w", err))
		return false
	}
	x.note(producer, number, whole)
	return true
}

// fill begins a transaction and waits until its records are acknowledged.
func (x *transactions) fill(ctx context.Context, cl *kgo.Client, producer, records int, rng *rand.Rand) (int, error) {
	number := x.next(producer, records)
	if err := cl.BeginTransaction(); err != nil {
		return number, err
	}
	var all []*kgo.Record
	for i := range records {
		id := identify(producer, int64(number*maxTransfers+i))
		all = append(all, &kgo.Record{
			Topic: transfersName, Partition: int32(rng.IntN(transfersPartitions)), Value: encode(x.schemaID, id, padding(rng)),
		})
	}
	return number, cl.ProduceSync(ctx, all...).FirstErr()
}

// leave fills a transaction and never ends it.
func (x *transactions) leave(ctx context.Context, life int, rng *rand.Rand) (*kgo.Client, error) {
	cl, err := x.client(fmt.Sprintf("leaver-%d", life), openTimeout)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, cl.Close)()
	// If the kill comes first, some of it is there, or nothing.
	_, _ = x.fill(ctx, cl, leaver, 1+rng.IntN(maxTransfers), rng)
	return cl, nil
}

// read waits until no transaction is open and reads all that is committed.
func (x *transactions) read(ctx context.Context) (map[place]identity, error) {
	from := map[int32]kgo.Offset{}
	for p := range int32(transfersPartitions) {
		from[p] = kgo.NewOffset().At(0)
	}
	cl, err := client(x.kafka, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{transfersName: from}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := closed(ctx, cl)
	if err != nil {
		return nil, err
	}
	out := map[place]identity{}
	for len(ends) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read committed: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= ends[r.Partition] {
				delete(ends, r.Partition) // the last one is a marker
			}
			if r.Attrs.IsControl() || err != nil {
				return
			}
			var id identity
			if id, err = decode(r.Value); err == nil {
				out[place{r.Partition, r.Offset}] = id
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// closed waits until no transaction is open any more: all that the kills have
// left open must time out. It returns where the partitions end that hold
// anything.
func closed(ctx context.Context, cl *kgo.Client) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	adm := kadm.NewClient(cl)
	for {
		stable, err1 := adm.ListCommittedOffsets(ctx, transfersName)
		ends, err2 := adm.ListEndOffsets(ctx, transfersName)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("ends of the log of transactions: %w", err)
		}
		out, open := map[int32]int64{}, false
		ends.Each(func(o kadm.ListedOffset) {
			if at, ok := stable.Lookup(transfersName, o.Partition); !ok || at.Offset != o.Offset {
				open = true
			}
			if o.Offset > 0 {
				out[o.Partition] = o.Offset
			}
		})
		if !open {
			return out, errors.Join(stable.Error(), ends.Error())
		}
		if pause(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return nil, fmt.Errorf("transactions are still open %s after the kill", openLimit)
		}
	}
}

// compare holds what is committed against what was done: each transaction whole
// or not there at all, as its end says.
func (x *transactions) compare(log map[place]identity) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	seen := map[int]map[int64]bool{}
	for p, id := range log {
		number, i := int(id.seq())/maxTransfers, int(id.seq())%maxTransfers
		if sent := x.sent[id.producer()]; number >= len(sent) || i >= sent[number].records {
			return fmt.Errorf("partition %d offset %d holds %s, which was never sent", p.partition, p.offset, id)
		}
		if seen[id.producer()] == nil {
			seen[id.producer()] = map[int64]bool{}
		}
		if seen[id.producer()][id.seq()] {
			return fmt.Errorf("partition %d offset %d holds %s, which is there already", p.partition, p.offset, id)
		}
		seen[id.producer()][id.seq()] = true
	}
	for producer, sent := range x.sent {
		for number, t := range sent {
			have := 0
			for i := range t.records {
				if seen[producer][int64(number*maxTransfers+i)] {
					have++
				}
			}
			switch {
			case have != 0 && have != t.records:
				return fmt.Errorf("transaction %d of producer %d is there with %d of %d records", number, producer, have, t.records)
			case have != 0 && t.fate == never:
				return fmt.Errorf("transaction %d of producer %d is there, but nobody committed it", number, producer)
			case have == 0 && t.fate == whole:
				return fmt.Errorf("transaction %d of producer %d was acknowledged and is lost", number, producer)
			}
		}
	}
	return nil
}

// compareRows holds a table's rows against the records that should be there: each
// once, as itself, and nothing else.
func compareRows(rows []row, want map[place]identity) error {
	seen := map[place]bool{}
	for _, r := range rows {
		at := place{r.partition, r.offset}
		id, ok := want[at]
		switch {
		case !ok:
			return fmt.Errorf("%s holds %s from partition %d offset %d, which should not be there", r.file, r.id, at.partition, at.offset)
		case seen[at]:
			return fmt.Errorf("%s holds partition %d offset %d, which is there already", r.file, at.partition, at.offset)
		case id != r.id:
			return fmt.Errorf("%s: partition %d offset %d is %s, in the log %s", r.file, at.partition, at.offset, r.id, id)
		}
		seen[at] = true
	}
	for at, id := range want {
		if !seen[at] {
			return fmt.Errorf("the table has %d rows and not %d: it lacks %s of partition %d offset %d", len(seen), len(want), id, at.partition, at.offset)
		}
	}
	return nil
}

// verify checks log and tables of transactions. Their producers are held up.
func (x *transactions) verify(ctx context.Context, api *process.API, warehouse string, check func(string, error)) {
	log, err := x.read(ctx)
	check("reading transactions", err)
	if err != nil {
		return
	}
	check("transactions", x.compare(log))
	check("flush of transactions", api.Flush(ctx, transfersName))
	report, err := api.Verify(ctx, transfersName)
	if err == nil && report.Verdict != "ok" {
		err = fmt.Errorf("the broker says %+v", report)
	}
	check("table verify of transactions", err)
	for _, format := range formats {
		rows, err := tableRows(ctx, api, warehouse, transfersName, format, fromColumns)
		if err == nil {
			err = compareRows(rows, log)
		}
		check("the "+format+" table of transactions", err)
	}
}

// progress says how many transactions ended how.
func (x *transactions) progress() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var n [whole + 1]int
	for _, sent := range x.sent {
		for _, t := range sent {
			n[t.fate]++
		}
	}
	text := fmt.Sprintf("%d committed, %d of unknown outcome, %d aborted or left open", n[whole], n[maybe], n[never])
	for _, why := range slices.Sorted(maps.Keys(x.lost)) {
		text += fmt.Sprintf("\n  a client could not go on, %d times: %s", x.lost[why], why)
	}
	return text
}
