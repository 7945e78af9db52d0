package jsonschema

import (
	"strconv"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// How two schemas are compared.
//
// form (diff_form.go) says what a schema is about. A walk (diff_rules.go and the
// files after it) takes two forms through the rules and notes differences, each of
// a type that differenceTypes (diff_types.go) judges. There are two ways to walk:
//
//   - to judge, it stops at the first difference that keeps old data from being
//     read, and remembers the verdict of each pair of forms;
//   - to list, it goes down into the pairs with a bad verdict and keeps what it
//     notes on the way.
//
// Schemas may refer to themselves, so a pair can come up inside its own
// comparison. It is then taken to be fine; where that turns out wrong, the verdicts
// that leaned on it are forgotten and the comparison begins again. A bad verdict
// found on good assumptions stays bad, since a rule never turns good because
// something below it turns bad; so bad verdicts only grow in number, and the
// rounds end.
//
// Confluent's registry has no types for changes in contains, patternProperties,
// propertyNames, if, then, else and format, so these are not seen here either.

// Limits of one comparison. Members of oneOf, anyOf and allOf are tried against
// one another, and through references all of that can be anywhere below itself:
// without a bound, a schema of some kilobytes keeps a core busy for hours.
const (
	// maxWork is in steps, one for each verdict looked up; it comes to a second or so.
	maxWork = 10_000_000
	// pairSteps is what a pair costs that is compared for the first time; it bounds
	// the verdicts that are remembered to maxWork/pairSteps, some 50 MB.
	pairSteps = 20
	// bytesPerStep is how much text is read or matched for one step.
	bytesPerStep = 64
	// maxOpen bounds pairs inside one another, so that the stack stays small.
	maxOpen = 5000
	// maxDifferences bounds the list; no one reads on after so many.
	maxDifferences = 1000
	// maxPathBytes cuts a path in a description.
	maxPathBytes = 1000
)

// pair is two forms: what data was written by, and what is to read it.
type pair struct{ old, new *form }

// stage is how far a round is with a pair.
type stage uint8

const (
	stageNew stage = iota
	stageOpen
	stageLeanedOn // open, and taken to be fine by some pair inside
	stageFine
)

// comparison compares schemas with one another. Not safe for concurrent use.
type comparison struct {
	lenient bool
	types   map[string]differenceType
	made    map[*js.Schema]*form
	verdict map[pair]bool  // for good: true is fine
	round   map[pair]stage // of the round that is going on
	wrong   bool           // something was taken to be fine in this round and is not
	open    int            // pairs inside one another
	work    int            // steps so far
	spent   bool           // a limit was reached: all answers since are worth nothing
}

func newComparison(lenient bool) *comparison {
	c := &comparison{lenient: lenient, types: map[string]differenceType{}, made: map[*js.Schema]*form{}, verdict: map[pair]bool{}}
	for _, k := range differenceTypes {
		c.types[k.name] = k
	}
	return c
}

// spend counts steps and says whether there were any left.
func (c *comparison) spend(steps int) bool {
	c.work += steps
	c.spent = c.spent || c.work > maxWork
	return !c.spent
}

// fine says whether data of old can be read with new. It is asked from outside of
// judging walks, which ask judge.
func (c *comparison) fine(old, new *form) bool {
	for {
		c.round, c.wrong = map[pair]stage{}, false
		ok := c.judge(old, new)
		if c.spent {
			return true
		}
		if !c.wrong {
			for p := range c.round {
				c.verdict[p] = true
			}
		}
		if !ok || !c.wrong {
			return ok
		}
	}
}

// judge is the verdict on a pair as far as this round knows.
func (c *comparison) judge(old, new *form) bool {
	p := pair{old, new}
	if ok, known := c.verdict[p]; known {
		c.spend(1)
		return ok
	}
	switch c.round[p] {
	case stageOpen, stageLeanedOn:
		c.round[p] = stageLeanedOn
		return true
	case stageFine:
		c.spend(1)
		return true
	}
	if !c.spend(pairSteps) || !c.enter() {
		return true
	}
	c.round[p] = stageOpen
	w := walk{comparison: c}
	w.compare(old, new)
	c.open--
	if !w.bad {
		c.round[p] = stageFine
		return true
	}
	c.wrong = c.wrong || c.round[p] == stageLeanedOn
	delete(c.round, p)
	c.verdict[p] = false
	return false
}

// enter goes one level down; every success is followed by a c.open--.
func (c *comparison) enter() bool {
	if c.open >= maxOpen {
		c.spent = true
		return false
	}
	c.open++
	return true
}

// difference is one difference, with what its description says beyond its type.
type difference struct {
	kind, path, detail string
}

// walk takes pairs of forms through the rules.
type walk struct {
	*comparison
	bad bool // a difference keeps old data from being read

	// Of walks that list:
	listing bool
	all     bool // differences that do no harm, too
	path    []string
	inside  map[pair]int // how often a pair is on the way here
	found   []difference
}

// list walks for a list of the differences between two forms. Without all, it
// holds what keeps data from being read. It is empty where that is all but the
// comparison ran into a limit.
func (c *comparison) list(old, new *form, all bool) []difference {
	w := walk{comparison: c, listing: true, all: all, inside: map[pair]int{}}
	w.below(old, new)
	return w.found
}

// below compares what stands at a path below the forms of this walk, and says
// whether data can be read there.
func (w *walk) below(old, new *form, at ...string) bool {
	if !w.listing {
		ok := w.judge(old, new)
		w.bad = w.bad || !ok
		return ok
	}
	ok, p := w.fine(old, new), pair{old, new}
	// Where a schema is inside itself, its differences are listed once more there:
	// this shows the reader that the change reaches further than the first level.
	if ok && !w.all || w.inside[p] > 1 || w.full() || !w.spend(pairSteps) || !w.enter() {
		return ok
	}
	w.inside[p]++
	w.path = append(w.path, at...)
	w.compare(old, new)
	w.path = w.path[:len(w.path)-len(at)]
	w.inside[p]--
	w.open--
	return ok
}

// fits is below for what is only tried: a bad verdict is no difference yet.
func (w *walk) fits(old, new *form) bool {
	if w.listing {
		return w.fine(old, new)
	}
	return w.judge(old, new)
}

// full says that nothing more needs to be looked at.
func (w *walk) full() bool {
	return w.spent || !w.listing && w.bad || len(w.found) >= maxDifferences
}

// note records a difference at a path below the forms of this walk. detail, which
// may be nil, says more about it; it is called only where it is wanted.
func (w *walk) note(kind string, detail func() string, at ...string) {
	harm := w.types[kind].harms(w.lenient)
	w.bad = w.bad || harm
	if !w.listing || !harm && !w.all || len(w.found) >= maxDifferences {
		return
	}
	d := difference{kind: kind, path: pointer(w.path, at)}
	if detail != nil {
		d.detail = detail()
	}
	w.found = append(w.found, d)
}

// pointer writes path segments as a JSON pointer in a URI fragment's place,
// without the leading "#": RFC 6901 §3.
func pointer(above, at []string) string {
	var b strings.Builder
	for _, list := range [][]string{above, at} {
		for _, name := range list {
			if b.Len()+len(name) > maxPathBytes {
				b.WriteString("/...")
				return b.String()
			}
			b.WriteByte('/')
			b.WriteString(escapePointer(name))
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

func itoa(i int) string { return strconv.Itoa(i) }
