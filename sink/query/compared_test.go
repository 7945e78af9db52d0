package query_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/sink/query"
)

// TestExactComparisons holds comparisons of long decimals to math/big: many differ in
// their last digit alone.
func TestExactComparisons(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	w, all := exactWorld(t, r, "iceberg")
	for _, c := range []struct {
		name  string
		of    func(*money) *big.Int
		scale int
	}{
		{"big", func(m *money) *big.Int { return m.big }, 4},
		{"whole", func(m *money) *big.Int { return m.whole }, 0},
	} {
		count := func(is func(n *big.Int) bool) string {
			n := 0
			for _, m := range all {
				if v := c.of(m); v != nil && is(v) {
					n++
				}
			}
			return fmt.Sprint(n)
		}
		one := func() *big.Int { // a value that is there, or one beside it
			for {
				if v := c.of(all[r.IntN(len(all))]); v != nil {
					return new(big.Int).Add(v, big.NewInt(int64(r.IntN(3)-1)))
				}
			}
		}
		for range 30 {
			a, b := one(), one()
			low, high := a, b
			if a.Cmp(b) > 0 {
				low, high = b, a
			}
			va, vl, vh := written(a, c.scale), written(low, c.scale), written(high, c.scale)
			for sql, want := range map[string]string{
				"x < " + va:                            count(func(n *big.Int) bool { return n.Cmp(a) < 0 }),
				va + " >= o.x":                         count(func(n *big.Int) bool { return n.Cmp(a) <= 0 }),
				"x != '" + va + "'":                    count(func(n *big.Int) bool { return n.Cmp(a) != 0 }),
				"x is " + va:                           count(func(n *big.Int) bool { return n.Cmp(a) == 0 }),
				"not x > " + va:                        count(func(n *big.Int) bool { return n.Cmp(a) <= 0 }),
				"x between " + vl + " and " + vh:       count(func(n *big.Int) bool { return n.Cmp(low) >= 0 && n.Cmp(high) <= 0 }),
				"x not between " + vl + " and " + vh:   count(func(n *big.Int) bool { return n.Cmp(low) < 0 || n.Cmp(high) > 0 }),
				"x in (" + va + ", 7," + vh + ")":      count(func(n *big.Int) bool { return n.Cmp(a) == 0 || n.Cmp(high) == 0 || isSeven(n, c.scale) }),
				"x = o.x":                              count(func(*big.Int) bool { return true }),
				"case when x == " + va + " then 1 end": count(func(n *big.Int) bool { return n.Cmp(a) == 0 }),
			} {
				sql = "select count(*) from orders o where " + strings.NewReplacer("o.x", "o."+c.name, "x ", c.name+" ").Replace(sql)
				for _, req := range []query.Request{{SQL: sql}, query.Plainly(query.Request{SQL: sql})} {
					if got := w.askWith(req); got != want {
						t.Errorf("%s\ngot  %s\nwant %s", sql, got, want)
					}
				}
			}
		}
	}
}

func isSeven(n *big.Int, scale int) bool {
	return n.Cmp(new(big.Int).Mul(big.NewInt(7), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))) == 0
}

// written is a number of a scale as a statement has it, with all its digits.
func written(n *big.Int, scale int) string {
	s := new(big.Int).Abs(n).String()
	if len(s) <= scale {
		s = strings.Repeat("0", scale+1-len(s)) + s
	}
	if scale > 0 {
		s = s[:len(s)-scale] + "." + s[len(s)-scale:]
	}
	if n.Sign() < 0 {
		s = "-" + s
	}
	return s
}

// TestComparedLikeSQLite asks conditions made up at random of a long decimal and, letter
// for letter the same, of a short one with the same small values, which SQLite compares
// by itself: whatever stands beside a comparison, it is read as SQLite reads it.
func TestComparedLikeSQLite(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", exactSchema)
	for i := range 12 {
		m := money{who: string(rune('a' + i%3)), whole: big.NewInt(int64(i % 4))}
		if i%5 > 0 {
			m.price, m.big = big.NewInt(int64(i%5)*50), big.NewInt(int64(i%5)*5000)
		}
		w.produce(orders, int32(i%2), "k", m.encode(id))
	}
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	var side func(depth int) string
	side = func(depth int) string {
		switch r.IntN(10) {
		case 0, 1, 2, 3:
			return pick("X", "o.X", `"X"`, "X")
		case 4, 5:
			return pick("1", "-1", "+1.5", "1.", "0.5e0", "0x1", "1.50", "- 1")
		case 6:
			return pick("'1'", "'1.5'", "'1e0'", "' 1'", "'b'", "''", "null")
		}
		if depth == 0 {
			return "X"
		}
		switch r.IntN(5) {
		case 0:
			return side(depth-1) + pick(" + ", "-", " * ", " || ", " << ") + side(depth-1)
		case 1:
			return "(" + side(depth-1) + ")"
		case 2:
			return "-" + pick("X", "1")
		case 3:
			return "case " + side(0) + " when " + side(depth-1) + " then " + side(0) + " else " + side(0) + " end"
		}
		return "abs(" + side(depth-1) + ")"
	}
	var condition func(depth int) string
	condition = func(depth int) string {
		switch n := r.IntN(10); {
		case n < 4 || depth == 0:
			return side(2) + pick(" < ", "<=", " = ", "==", " <> ", "!=", " > ", " >= ", " is ", " is not ") + side(2)
		case n == 4:
			return side(1) + pick("", " not") + " between " + side(1) + " and " + side(1)
		case n == 5:
			return side(1) + pick("", " not") + " in (" + side(0) + ", " + side(1) + "," + side(0) + ")"
		case n == 6:
			return condition(depth-1) + pick(" = ", " < ", " is ") + side(0)
		case n == 7:
			return pick("not ", "") + "(" + condition(depth-1) + ")"
		case n == 8:
			return "not " + condition(depth-1)
		}
		return condition(depth-1) + pick(" and ", " or ") + condition(depth-1)
	}
	for range 800 {
		c := condition(3)
		sql := "select kafka_partition, kafka_offset, " + c + " from orders o where " + c + " or kafka_offset = 1 order by 1, 2"
		long, short := strings.ReplaceAll(sql, "X", "big"), strings.ReplaceAll(sql, "X", "price")
		if got, want := w.askWith(query.Request{SQL: long}), w.askWith(query.Request{SQL: short}); got != want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", long, got, want)
		}
	}
}
