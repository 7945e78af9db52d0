// Package registry keeps schemas: subjects with versions, ids, compatibility
// levels and modes, as Confluent's Schema Registry has them. It knows no HTTP
// (registry/rest) and no Kafka (registry/validate).
//
// From the door to the store:
//
//	register.go    Register, Lookup: a text becomes a version
//	compare.go     compatibility levels over schema.Schema.Reads
//	fields.go      reserved names of fields
//	delete.go      soft and permanent deletion
//	settings.go    compatibility levels and modes
//	query.go       what the lists of the HTTP API need
//	resolve.go     the hot path: a record's bytes → its decoder
//	references.go  referenced texts, transitively
//	tags.go        tags within texts
//	contexts.go    contexts; the immutable state of all of them that readers take
//	pmap.go        maps of which a changed copy costs little
//	view.go        the state of one context; apply
//	load.go        start-up: one pass over the store
//	commit.go      one change = one Engine.Commit, then apply
//	items.go       keys and values in the store
//
// Readers load the state from an atomic pointer and lock nothing. Changes are
// computed from a context's view, committed at the item versions that the view has seen,
// and applied after that by the same function that start-up uses; so a change
// that fails needs no undo, and a second process on the same store is noticed.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
)

// Limits of one registry. The whole state but the parsed schemas is in memory,
// and every list goes over it.
const (
	// MaxSchemaBytes bounds one schema text. Confluent's cloud takes as much;
	// with JSON's escapes it fits an item of storage.MaxValueBytes many times.
	MaxSchemaBytes = 1 << 20
	// MaxSubjects bounds the subjects of a context, those with settings only
	// included: a list sorts their names, some tens of milliseconds.
	MaxSubjects = 100_000
	// MaxContexts bounds the contexts: every change looks at each of them.
	MaxContexts = 1000
	// MaxVersions bounds the versions of a subject, deleted ones included: they
	// lie in one item, which each registration writes anew.
	MaxVersions = 10_000
	// MaxSubjectBytes bounds a subject's name, which is part of an item's key.
	MaxSubjectBytes = 1024
	// MaxContextBytes bounds a context's name, which is part of that key too.
	MaxContextBytes = 256
	// MaxReferences bounds the texts that one schema refers to, transitively.
	MaxReferences = 1000
	// maxReferenceDepth bounds chains of references. Texts nest no deeper.
	maxReferenceDepth = schema.MaxDepth
	// maxAttempts bounds how often a change is tried again because another
	// process was faster. Each attempt reads the whole state.
	maxAttempts = 16
)

// Config is what a Registry stands on.
type Config struct {
	// Engine is required. The registry's items begin with "registry/".
	Engine storage.Engine
	// Log may be nil.
	Log *slog.Logger
	// Now is the clock of Version.CreatedMs; nil is time.Now.
	Now func() time.Time
}

// Registry is a schema registry on a storage engine. It is safe for concurrent
// use; what only reads never waits.
type Registry struct {
	engine storage.Engine
	lg     *slog.Logger
	now    func() time.Time

	world atomic.Pointer[world] // replaced by who holds turn

	turn  chan struct{} // one token: who has it may change things
	stale bool          // the store may know more than world; owned by who holds turn
}

// Open reads the stored schemas. The error is the engine's, or wraps
// storage.ErrBroken for an item that cannot be read.
func Open(ctx context.Context, cfg Config) (*Registry, error) {
	if cfg.Engine == nil {
		return nil, errors.New("registry: no storage engine")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Registry{engine: cfg.Engine, lg: cfg.Log, now: cfg.Now, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	r.world.Store(newWorld())
	if err := r.reload(ctx, nil); err != nil {
		return nil, fmt.Errorf("open the registry: %w", err)
	}
	return r, nil
}

// Changed returns a channel that is closed when something was registered,
// deleted or configured after the call.
func (r *Registry) Changed() <-chan struct{} { return r.world.Load().changed }

// Version is one version of a subject, with its schema.
type Version struct {
	Context    string // that its id belongs to
	Subject    string // with its context, unless that is the default one
	Version    int
	ID         int
	GUID       string
	Type       schema.Type
	Text       string
	References []schema.Reference
	Metadata   *schema.Metadata
	Rules      *schema.RuleSet
	Deleted    bool // softly: it can still be read
	CreatedMs  int64
}

// Request is a schema as it comes to be registered, looked up or compared.
type Request struct {
	Type schema.Type // "" is Avro
	// Text is the schema; an empty one, to register or compare, is that of the
	// subject's latest version: then only metadata and rules are new.
	Text       string
	References []schema.Reference // a version of -1 is the latest
	Metadata   *schema.Metadata
	Rules      *schema.RuleSet
	// Normalize takes the text in its normalized form; the subject's settings
	// may ask for that too.
	Normalize bool
	// AddTags and RemoveTags change the text's tags first; PropagateTags takes
	// over those of the latest version, as far as the text has their places.
	AddTags, RemoveTags []schema.Tagged
	PropagateTags       bool
	// Force registers what the subject's compatibility level refuses.
	Force bool
	// Version, if above zero, is the version number that the schema must get.
	Version int
	// ID, if above zero, is the id that the schema must get: in import mode.
	ID int
}
