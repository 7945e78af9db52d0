package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/.ci/process"
)

// idHeader holds the identity of a record of these topics: a tombstone has no
// value to say it.
const idHeader = "id"

// kindLoad is a kind under load.
type kindLoad struct {
	kind
	schemaID int
	ledger   *ledger

	mu    sync.Mutex
	later []int             // guarded by mu: ids of versions beyond the first
	set   int               // guarded by mu: changes of configs that were acknowledged
	notes map[identity]note // guarded by mu: what was sent, where the log forgets it

	turns int // verifications
	kept  int // records that the log had at the last verification
}

// maxVersions bounds how far a schema grows: each version is a column more.
const maxVersions = 12

// versions are the ids of a schema's versions; the n-th has n fields more than the
// first.
func (k *kindLoad) versions() []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]int{k.schemaID}, k.later...)
}

// grow registers the next version: a column comes, and another one widens. Cut off, it may be registered: the next one to
// try gets its id.
func (k *kindLoad) grow(ctx context.Context, api *process.API) {
	n := len(k.versions())
	if n == maxVersions {
		return
	}
	text := strings.TrimSuffix(recordSchema, "]}")
	for i := range n {
		typ := "long" // which widens what the version before has brought
		if i == n-1 {
			typ = "int"
		}
		text += fmt.Sprintf(`,{"name":"more%d","type":["null","%s"],"default":null}`, i, typ)
	}
	id, err := api.Register(ctx, k.name+"-value", text+"]}")
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && len(k.later) == n-1 {
		k.later = append(k.later, id)
	}
}

// variety is the load on all kinds. Safe for concurrent use.
type variety struct {
	kafka string
	kinds []*kindLoad
	// disturbed is what became of what was asked of tables under load.
	disturbed outcomes
}

// newVariety makes the topics.
func newVariety(ctx context.Context, kafka string, api *process.API) (*variety, error) {
	v := &variety{kafka: kafka}
	for _, k := range kinds() {
		l := &kindLoad{kind: k, ledger: newLedger(), notes: map[identity]note{}}
		if !k.bare {
			var err error
			if l.schemaID, err = api.Register(ctx, k.name+"-value", cmp.Or(k.schema, recordSchema)); err != nil {
				return nil, err
			}
		}
		config := map[string]string{"tarn.table.formats": strings.Join(k.formats, ",")}
		maps.Copy(config, k.config)
		if err := createTopic(ctx, kafka, k.name, k.partitions, config); err != nil {
			return nil, err
		}
		v.kinds = append(v.kinds, l)
	}
	return v, nil
}

// change sets a topic's configs, or registers a version of its schema, in the midst
// of whatever its tables are at. What a kill cuts off is done or not, either is fine.
func (v *variety) change(ctx context.Context, api *process.API, rng *rand.Rand) func() {
	var some []*kindLoad
	for _, k := range v.kinds {
		if k.grows || len(k.changes) > 0 {
			some = append(some, k)
		}
	}
	k := some[rng.IntN(len(some))]
	if k.grows && rng.IntN(2) == 0 {
		return func() { k.grow(ctx, api) }
	}
	config := k.changes[rng.IntN(len(k.changes))]
	return func() {
		limited, cancel := context.WithTimeout(ctx, changeLimit)
		defer cancel()
		err := alter(limited, v.kafka, k.name, config)
		var r refusal
		switch {
		case errors.As(err, &r):
			k.ledger.complain(err)
		case err == nil:
			k.mu.Lock()
			k.set++
			k.mu.Unlock()
		}
	}
}

// refusal is what the broker says to a request.
type refusal struct{ error }

// alter sets configs of a topic. The error is a refusal if the broker has answered so.
func alter(ctx context.Context, kafka, topic string, config map[string]string) error {
	var set []kadm.AlterConfig
	for key, value := range config {
		set = append(set, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value})
	}
	cl, err := client(kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	answers, err := kadm.NewClient(cl).AlterTopicConfigs(ctx, set, topic)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Err != nil {
			return refusal{fmt.Errorf("set %v of %s: %w: %s", config, topic, a.Err, a.ErrMessage)}
		}
	}
	return nil
}

// changeLimit is how long a change of configs waits for a broker that is killed.
const changeLimit = 2 * time.Second

// produceVariety sends bursts to one topic after the other until ctx ends.
func (l *load) produceVariety(ctx context.Context, cl *kgo.Client, producer int, rng *rand.Rand) {
	for ctx.Err() == nil {
		l.gate.while(func() {
			k := l.variety.kinds[rng.IntN(len(l.variety.kinds))]
			if k.steady && producer != 0 {
				return
			}
			for range 1 + rng.IntN(40) {
				if ctx.Err() != nil {
					return
				}
				id := k.ledger.next(producer)
				r := k.draw(k, id, rng)
				r.Topic, r.Headers = k.name, []kgo.RecordHeader{{Key: idHeader, Value: fmt.Append(nil, uint64(id))}}
				k.note(id, r)
				cl.Produce(ctx, r, func(r *kgo.Record, err error) { l.answered(ctx, k.ledger, id, r, err) })
			}
		})
		pause(ctx, time.Duration(rng.IntN(30))*time.Millisecond)
	}
}

// progress says how much of each kind is acknowledged, and how much of the log
// is deleted.
func (v *variety) progress(ctx context.Context) string {
	var out []string
	cl, err := client(v.kafka)
	if err != nil {
		return err.Error()
	}
	defer cl.Close()
	for _, k := range v.kinds {
		text := fmt.Sprintf("%s %d", k.name, k.ledger.acknowledged())
		if k.trims {
			gone := int64(0)
			starts, err := kadm.NewClient(cl).ListStartOffsets(ctx, k.name)
			if err == nil {
				starts.Each(func(o kadm.ListedOffset) { gone += o.Offset })
			}
			text += fmt.Sprintf(" (%d of them deleted from the log)", gone)
		}
		if k.compacts {
			text += fmt.Sprintf(" (%d of them left in the log)", k.kept)
		}
		if k.grows || len(k.changes) > 0 {
			versions := len(k.versions())
			k.mu.Lock()
			text += fmt.Sprintf(" (%d versions of its schema, %d changes of configs)", versions, k.set)
			k.mu.Unlock()
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
