// Package fake makes documents that a schema accepts, with values that look like what
// the fields are called: an email for email, one of few users for user_id, now for
// created_at. It is for demonstrations, load and tests.
//
// Documents are JSON in the form in which Tarn's command line shows and takes
// records of each language: unions of Avro with more than null and one type are
// tagged, its bytes are text of one character a byte, Protobuf is protojson.
//
// The same schema, options and clock give the same documents in the same order.
package fake

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/tarn-io/tarn/schema"
)

// Limits of documents.
const (
	// deep is the depth from which on everything that may be left out is: schemas
	// that hold themselves end there.
	deep = 5
	// maxItems bounds lists and maps, unless a schema asks for more.
	maxItems = 4
	// maxForced bounds what a schema may ask for: items of a list, characters of a
	// text, bytes of a fixed.
	maxForced = 10_000
	// maxBytes bounds a document.
	maxBytes = 1 << 20
	// maxTries bounds how often a document is made again that the schema refuses.
	maxTries = 30
	// maxRefs bounds how many references and unions follow each other without a
	// value in between.
	maxRefs = 20
)

// ErrUnable says that no document was found that the schema accepts: it asks for
// something, such as a pattern, that this package cannot make.
var ErrUnable = errors.New("no fitting document found")

// Options say how documents are made.
type Options struct {
	// Seed is where randomness begins.
	Seed uint64
	// Message is the Protobuf message, by its full name or its name within the
	// package; "" is the first of the file.
	Message string
	// Now is the clock for times in documents; nil means time.Now.
	Now func() time.Time
}

// Generator makes documents. Not safe for concurrent use.
type Generator struct {
	rand  *rand.Rand
	now   func() time.Time
	make  func(*Generator) error
	check schema.Validator // nil: documents fit by the way they are made
	out   []byte
	seq   int64 // how many documents were begun
	over  error // why this one cannot be finished
}

// New compiles a generator of documents for src, whose references are resolved. The
// error is a *schema.ParseError, or says what is not there to be made.
func New(src schema.Source, o Options) (*Generator, error) {
	g := &Generator{rand: rand.New(rand.NewPCG(o.Seed, 0x7461726e)), now: o.Now}
	if g.now == nil {
		g.now = time.Now
	}
	var err error
	switch src.Type {
	case schema.Avro, "":
		g.make, err = ofAvro(src)
	case schema.Protobuf:
		g.make, err = ofProtobuf(src, o.Message)
	case schema.JSON:
		g.make, g.check, err = ofJSONSchema(src)
	default:
		err = &schema.ParseError{Msg: fmt.Sprintf("schema type %q is unknown", src.Type)}
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Next makes the next document, which belongs to the caller. The error is ErrUnable
// with the last reason.
func (g *Generator) Next() ([]byte, error) {
	g.seq++
	var last error
	for range maxTries {
		g.out, g.over = nil, nil
		if last = errors.Join(g.make(g), g.over); last == nil && g.check != nil {
			last = g.check.Validate(g.out)
		}
		if last == nil {
			return g.out, nil
		}
		if g.over != nil {
			break // chance does not help
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrUnable, last)
}

// fits reports whether a list or text may have so many items, and ends the document
// if not.
func (g *Generator) fits(n int) bool {
	switch {
	case n > maxForced:
		g.over = fmt.Errorf("%d items or characters are asked for, above %d", n, maxForced)
	case len(g.out) > maxBytes:
		g.over = fmt.Errorf("the document is larger than %d bytes", maxBytes)
	}
	return g.over == nil
}

// raw writes JSON as it stands.
func (g *Generator) raw(s string) { g.out = append(g.out, s...) }

// sep writes a comma unless it is the first.
func (g *Generator) sep(first *bool) {
	if !*first {
		g.out = append(g.out, ',')
	}
	*first = false
}

// name writes the name of a member.
func (g *Generator) name(s string) {
	g.string(s)
	g.out = append(g.out, ':')
}

// string writes a JSON text.
func (g *Generator) string(s string) { g.out = appendString(g.out, s) }

func (g *Generator) int(v int64) { g.out = strconv.AppendInt(g.out, v, 10) }
func (g *Generator) float(v float64) {
	g.out = strconv.AppendFloat(g.out, v, 'f', -1, 64)
}
func (g *Generator) bool(v bool) { g.out = strconv.AppendBool(g.out, v) }

// between gives a number from low to high, both included.
func (g *Generator) between(low, high int64) int64 {
	if high <= low {
		return low
	}
	if span := uint64(high) - uint64(low); span+1 != 0 {
		return int64(uint64(low) + g.rand.Uint64N(span+1))
	}
	return int64(g.rand.Uint64())
}

// count is how many items a list has that may be of any length.
func (g *Generator) count(depth int) int {
	if depth >= deep {
		return 0
	}
	return 1 + g.rand.IntN(maxItems-1)
}

// chance is true in so many of a hundred cases.
func (g *Generator) chance(percent int) bool { return g.rand.IntN(100) < percent }

func pick[T any](g *Generator, from []T) T { return from[g.rand.IntN(len(from))] }
