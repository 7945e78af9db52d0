package query

import (
	"bytes"
	"errors"
	"math"
	"strings"
)

// call is an aggregate of a statement.
type call struct {
	name     string // count, sum, total, avg, min, max, tarn_sum, tarn_avg
	at       int    // its column; -1 of count(*)
	distinct bool   // count alone
	decimal  bool   // of a column of decimals, whose texts are in another order
	key      bool   // of its keys, which are in the right one
	scale    int    // of tarn_sum, tarn_avg
}

// accumulator is what an aggregate has of one group so far. Sums are taken as SQLite
// takes them, with the same compensation for what floats lose, in the same order: so
// the results are the same to the last bit.
type accumulator struct {
	n    int64 // values that are not null
	ints int64
	// sum and lost are of floats, once one has come.
	sum, lost float64
	floats    bool
	seen      map[string]struct{} // of distinct
	exact     *total              // of tarn_sum, tarn_avg

	shape shape // of the best value so far, of min and max
	best  any   // of texts, and of shapeAny
	of    *span
}

// errUnfit says that a statement meets values that only SQLite takes as SQLite does:
// it is run there then.
var errUnfit = errors.New("this is left to SQLite")

// addFloat is SQLite's sum by Kahan, Babuška and Neumaier.
func (a *accumulator) addFloat(r float64) {
	if !a.floats {
		a.floats = true
		a.startFloats()
	}
	t := a.sum + r
	if math.Abs(a.sum) > math.Abs(r) {
		a.lost += (a.sum - t) + r
	} else {
		a.lost += (r - t) + a.sum
	}
	a.sum = t
}

// exactInts is the most that SQLite takes into a sum of floats in one piece.
const exactInts = 4503599627370496

// startFloats goes on with the sum of whole numbers as one of floats.
func (a *accumulator) startFloats() {
	if n := a.ints; n <= -exactInts || n >= exactInts {
		small := n % 16384
		a.sum, a.lost = float64(n-small), float64(small)
		return
	}
	a.sum, a.lost = float64(a.ints), 0
}

func (a *accumulator) addInt(n int64) error {
	if a.floats {
		if n <= -exactInts || n >= exactInts {
			small := n % 16384
			a.addFloat(float64(n - small))
			a.addFloat(float64(small))
			return nil
		}
		a.addFloat(float64(n))
		return nil
	}
	sum := a.ints + n
	if (sum > a.ints) != (n > 0) && n != 0 {
		return errUnfit // an overflow, of which SQLite has its own ideas
	}
	a.ints = sum
	return nil
}

func (a *accumulator) total() float64 {
	if !a.floats {
		return float64(a.ints)
	}
	if math.IsInf(a.lost, 0) || math.IsNaN(a.lost) {
		return a.sum
	}
	return a.sum + a.lost
}

// result is what the aggregate gives.
func (a *accumulator) result(c *call) any {
	switch c.name {
	case "count":
		if c.distinct {
			return int64(len(a.seen))
		}
		return a.n
	case sumName:
		if a.exact == nil {
			return nil
		}
		return a.exact.result()
	case avgName:
		if a.exact == nil {
			return nil
		}
		return a.exact.average()
	case "total":
		return number(a.total())
	case "sum":
		switch {
		case a.n == 0:
			return nil
		case !a.floats:
			return a.ints
		}
		return number(a.total())
	case "avg":
		if a.n == 0 {
			return nil
		}
		return number(a.total() / float64(a.n))
	}
	return a.bestValue()
}

func (a *accumulator) bestValue() any {
	switch a.shape {
	case shapeInts:
		return a.ints
	case shapeStamps:
		return a.of.text(a.ints)
	case shapeFloats:
		return a.sum
	case shapeTexts:
		return textOrBytes(a.best.(string))
	}
	return a.best
}

// extreme takes a row's value if it is better than the best so far; most says that
// greater is better. Of equals the first stays.
func (a *accumulator) extreme(v *vector, i int, most bool) {
	if v.shape != shapeAny && a.shape == v.shape {
		var c int
		switch v.shape {
		case shapeInts, shapeStamps:
			c = orderInts(v.ints(i), a.ints)
		case shapeFloats:
			c = compare(v.floats(i), a.sum)
		case shapeTexts:
			text := v.texts(i)
			best := a.best.(string)
			if c = strings.Compare(text, best); c != 0 && (strings.IndexByte(text, 0) >= 0) != (strings.IndexByte(best, 0) >= 0) {
				c = order(textOrBytes(text), textOrBytes(best))
			}
		}
		if c != 0 && (c > 0) == most {
			a.setBest(v, i)
		}
		return
	}
	if a.shape == shapeNone {
		a.setBest(v, i)
		return
	}
	if c := order(v.value(i), a.bestValue()); c != 0 && (c > 0) == most {
		a.setBest(v, i)
	}
}

func (a *accumulator) setBest(v *vector, i int) {
	a.shape, a.of = v.shape, v.of
	switch v.shape {
	case shapeInts, shapeStamps:
		a.ints = v.ints(i)
	case shapeFloats:
		a.sum = v.floats(i)
	case shapeTexts:
		a.best = strings.Clone(v.texts(i))
	default:
		a.best = cloned(v.value(i))
	}
}

func cloned(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Clone(v)
	case []byte:
		return append([]byte{}, v...)
	}
	return v
}

// take adds rows of a chunk; group[k] is where rows[k] belongs, and all belong to the
// first of into if group is nil. rows nil are the first n.
func (c *call) take(v *vector, n int, rows, group []int32, into []accumulator, grow func(bytes int) error) error {
	if rows != nil {
		n = len(rows)
	}
	step := c.step(v, grow)
	for k := range n {
		i := k
		if rows != nil {
			i = int(rows[k])
		}
		if v.isNull(i) {
			continue
		}
		a := &into[0]
		if group != nil {
			a = &into[group[k]]
		}
		a.n++
		if step == nil {
			continue
		}
		if err := step(a, i); err != nil {
			return err
		}
	}
	return nil
}

// step is what the aggregate does with a value that is not null, nil if nothing.
func (c *call) step(v *vector, grow func(bytes int) error) func(a *accumulator, i int) error {
	switch c.name {
	case "count":
		if !c.distinct {
			return nil
		}
		var key []byte
		return func(a *accumulator, i int) (err error) {
			if key, err = v.appendKey(key[:0], i); err != nil {
				return err
			}
			if _, there := a.seen[string(key)]; there {
				return nil
			}
			if a.seen == nil {
				a.seen = map[string]struct{}{}
			}
			a.seen[string(key)] = struct{}{}
			return grow(len(key) + keyOverhead)
		}
	case sumName, avgName:
		return func(a *accumulator, i int) (err error) {
			if a.exact == nil {
				a.exact, err = &total{want: c.scale, scale: c.scale}, grow(totalOverhead)
			}
			if v.decimals != nil && v.scale == c.scale {
				a.exact.addDecimal(v.decimals(i))
				return err
			}
			a.exact.add(v.value(i), 1)
			return err
		}
	case "min", "max":
		most := c.name == "max"
		if c.key {
			return func(a *accumulator, i int) error {
				key, isKey := numberKey(v.value(i)).([]byte)
				if !isKey {
					return errUnfit
				}
				best, there := a.best.([]byte)
				if c := bytes.Compare(key, best); !there || c != 0 && (c > 0) == most {
					a.best = key
				}
				return nil
			}
		}
		return func(a *accumulator, i int) error {
			if c.decimal {
				if _, long := v.value(i).(string); long {
					return errUnfit
				}
			}
			a.extreme(v, i, most)
			return nil
		}
	}
	switch v.shape {
	case shapeInts:
		return func(a *accumulator, i int) error { return a.addInt(v.ints(i)) }
	case shapeFloats:
		return func(a *accumulator, i int) error { a.addFloat(v.floats(i)); return nil }
	}
	return func(a *accumulator, i int) error {
		switch n := v.value(i).(type) {
		case int64:
			return a.addInt(n)
		case float64:
			a.addFloat(n)
			return nil
		}
		return errUnfit
	}
}
