package query_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink/query"
)

const exactSchema = `{"type":"record","name":"M","fields":[
	{"name":"who","type":"string"},
	{"name":"price","type":["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}]},
	{"name":"big","type":["null",{"type":"bytes","logicalType":"decimal","precision":36,"scale":4}]},
	{"name":"whole","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":0}}]}`

// money is a record of exactSchema; nil is null.
type money struct {
	who               string
	price, big, whole *big.Int // without their points
	partition, offset int
}

func (m *money) encode(id int) []byte {
	b := schema.AppendPrefix(nil, int32(id))
	put := func(n *big.Int) {
		raw := twosComplement(n)
		b = append(binary.AppendVarint(b, int64(len(raw))), raw...)
	}
	maybe := func(n *big.Int) {
		if n == nil {
			b = append(b, 0)
			return
		}
		b = append(b, 2)
		put(n)
	}
	b = append(binary.AppendVarint(b, int64(len(m.who))), m.who...)
	maybe(m.price)
	maybe(m.big)
	put(m.whole)
	return b
}

// twosComplement is a number as Avro has decimals.
func twosComplement(n *big.Int) []byte {
	size := n.BitLen()/8 + 1
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	return n.FillBytes(make([]byte, size))
}

// someDigits is a number of up to so many digits, often one that is near to others.
func someDigits(r *rand.Rand, most int) *big.Int {
	s := strings.Repeat("7", r.IntN(most)) + fmt.Sprint(r.IntN(10))
	n, _ := new(big.Int).SetString(s, 10)
	if r.IntN(3) == 0 {
		n.Neg(n)
	}
	return n
}

// shown is a number of a scale as CSV has it: floats without zeros behind the point, where
// they have all digits.
func shown(n *big.Int, scale int) string {
	s := new(big.Int).Abs(n).String()
	long := len(s) > 15 && scale > 0
	if len(s) <= scale {
		s = strings.Repeat("0", scale+1-len(s)) + s
	}
	if scale > 0 {
		s = s[:len(s)-scale] + "." + s[len(s)-scale:]
		if !long {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
	}
	if n.Sign() < 0 {
		s = "-" + s
	}
	return s
}

// bunch is what aggregates of a column should give.
type bunch struct {
	n                int64
	sum, least, most *big.Int
	scale            int
}

func (b *bunch) add(n *big.Int) {
	if n == nil {
		return
	}
	if b.n++; b.n == 1 {
		b.sum, b.least, b.most = new(big.Int), n, n
	}
	b.sum.Add(b.sum, n)
	if n.Cmp(b.least) < 0 {
		b.least = n
	}
	if n.Cmp(b.most) > 0 {
		b.most = n
	}
}

func (b *bunch) shown() []string {
	if b.n == 0 {
		return []string{"", "", "", ""}
	}
	return []string{shown(b.sum, b.scale), shown(b.least, b.scale), shown(b.most, b.scale), b.average()}
}

// average is the nearest float if that has a digit more than the column for sure, else
// four more digits.
func (b *bunch) average() string {
	q := new(big.Rat).SetFrac(b.sum, new(big.Int).Mul(big.NewInt(b.n), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(b.scale)), nil)))
	near := strings.TrimLeft(strings.NewReplacer(".", "", "-", "").Replace(q.FloatString(b.scale+1)), "0")
	if len(near) > 15 {
		return q.FloatString(b.scale + 4)
	}
	f, _ := q.Float64()
	return string(query.AppendFloat(nil, f))
}

// exactWorld fills a topic with records, of which some are in the table.
func exactWorld(t *testing.T, r *rand.Rand, format string) (*world, []*money) {
	w := newWorld(t, format)
	id := w.register("orders-value", exactSchema)
	var all []*money
	offsets := [2]int{}
	for n := range 8 {
		var values [][]byte
		p := n % 2
		for range 1 + r.IntN(9) {
			m := &money{who: string(rune('a' + r.IntN(3))), whole: someDigits(r, 30), partition: p, offset: offsets[p]}
			if r.IntN(5) > 0 {
				m.price = someDigits(r, 9)
			}
			if r.IntN(5) > 0 {
				m.big = someDigits(r, 36)
			}
			offsets[p]++
			all = append(all, m)
			values = append(values, m.encode(id))
		}
		w.produce(orders, int32(p), "k", values...)
		if n == 3 {
			w.flush()
		}
	}
	return w, all
}

// TestExact holds sums, averages, the least and the greatest of decimals to what math/big
// makes of them: folded, of SQLite, in groups, windows, filters and choices.
func TestExact(t *testing.T) {
	for _, format := range []string{"iceberg", "delta", "parquet"} {
		t.Run(format, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			w, all := exactWorld(t, r, format)
			for _, c := range []struct {
				name string
				of   func(*money) *big.Int
				n    int
			}{
				{"price", func(m *money) *big.Int { return m.price }, 2},
				{"big", func(m *money) *big.Int { return m.big }, 4},
				{"whole", func(m *money) *big.Int { return m.whole }, 0},
			} {
				groups := map[string]*bunch{}
				one := func(name string) *bunch {
					if groups[name] == nil {
						groups[name] = &bunch{scale: c.n}
					}
					return groups[name]
				}
				for _, m := range all {
					one("all").add(c.of(m))
					one(m.who).add(c.of(m))
				}
				var rows []string
				for _, who := range []string{"a", "b", "c"} {
					if groups[who] != nil {
						rows = append(rows, who+","+strings.Join(groups[who].shown(), ","))
					}
				}
				whole, grouped := strings.Join(groups["all"].shown(), ","), strings.Join(rows, "\n")
				const calls = "sum(x), min(x), max(x), avg(x)"
				for sql, want := range map[string]string{
					"select " + calls + " from orders":                                                                                                                                                                     whole,
					"select who, " + calls + " from orders group by who order by who":                                                                                                                                      grouped,
					"select who, " + calls + " from orders group by who having count(*) > 0 order by 1":                                                                                                                    grouped,
					"select " + calls + " from orders o, (select 1)":                                                                                                                                                       whole,
					"select o.who w, sum(o.x) as x, min(o.x) x, max(x) y, avg(x) from orders o where o.who > '' group by 1 order by w":                                                                                     grouped,
					"select who, sum(x) filter (where 1), min(x) filter (where 1), max(x) filter (where 1), avg(x) filter (where 1) from orders group by who order by who":                                                 grouped,
					"select distinct who, sum(x) over w, min(x) over (partition by who), max(x) over w, avg(x) over w from orders window w as (partition by who) order by who":                                             grouped,
					"select who, sum(case when who = 'a' then x when who <> 'a' then x else 0 end), min(coalesce(x, null)), max(case who when who then x end), ifnull(avg(x), -1.5) from orders group by who order by who": strings.ReplaceAll(grouped, ",,,,", ",0,,,-1.5"),
					"select 'all', " + calls + " from orders union all select 'none', " + calls + " from orders where 0":                                                                                                   "all," + whole + "\nnone,,,,",
					"with o as (select x, who from orders) select " + calls + " from o":                                                                                                                                    whole,
				} {
					sql = strings.NewReplacer("(x", "("+c.name, ".x", "."+c.name, " x ", " "+c.name+" ", " x,", " "+c.name+",").Replace(sql)
					for _, req := range []query.Request{{SQL: sql}, query.Plainly(query.Request{SQL: sql})} {
						if got := w.askWith(req); got != want {
							t.Errorf("%s\ngot  %s\nwant %s", sql, got, want)
						}
					}
				}
			}
		})
	}
}

// TestExactOrder sorts by decimals, of which many differ in their last digits alone.
func TestExactOrder(t *testing.T) {
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
		sorted := slices.Clone(all)
		slices.SortFunc(sorted, func(a, b *money) int {
			x, y := c.of(a), c.of(b)
			switch {
			case x == nil || y == nil:
				if x == y {
					return cmp.Or(a.partition-b.partition, a.offset-b.offset)
				}
				if x == nil {
					return -1
				}
				return 1
			}
			return cmp.Or(x.Cmp(y), a.partition-b.partition, a.offset-b.offset)
		})
		var rows, running []string
		for i, m := range sorted {
			if c.of(m) != nil {
				rows = append(rows, shown(c.of(m), c.scale))
			} else {
				rows = append(rows, `""`)
			}
			sum := new(big.Int)
			some := false
			for _, near := range sorted[max(0, i-2) : i+1] {
				if n := c.of(near); n != nil {
					some = true
					sum.Add(sum, n)
				}
			}
			if !some {
				running = append(running, `""`)
				continue
			}
			running = append(running, shown(sum, c.scale))
		}
		for sql, want := range map[string][]string{
			"select x from orders order by x, kafka_partition, kafka_offset":                                                                        rows,
			"select y from (select x y, * from orders) order by x, kafka_partition, kafka_offset":                                                   rows,
			"select max(x) from orders group by kafka_partition, kafka_offset order by 1, kafka_partition, kafka_offset":                            rows,
			"select sum(x) s from orders group by kafka_partition, kafka_offset order by s asc, kafka_partition, kafka_offset":                      rows,
			"select min(x) x from orders group by kafka_partition, kafka_offset order by min(x), kafka_partition, kafka_offset":                     rows,
			"select sum(x) over (order by x, kafka_partition, kafka_offset rows 2 preceding) from orders order by x, kafka_partition, kafka_offset": running,
		} {
			sql = strings.NewReplacer("(x", "("+c.name, " x ", " "+c.name+" ", " x,", " "+c.name+",").Replace(sql)
			for _, req := range []query.Request{{SQL: sql}, query.Plainly(query.Request{SQL: sql})} {
				if got := w.askWith(req); got != strings.Join(want, "\n") {
					t.Errorf("%s\ngot  %s\nwant %s", sql, got, strings.Join(want, "\n"))
				}
			}
		}
	}
}

// TestExactPlaces holds which aggregates are exact, and that what is reckoned or compared
// with is a number.
func TestExactPlaces(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", exactSchema)
	n := func(s string) *big.Int { n, _ := new(big.Int).SetString(s, 10); return n }
	for i, m := range []money{
		{who: "a", price: n("10"), big: n("1234567890123456789012"), whole: n("9007199254740993")},
		{who: "a", price: n("20"), big: n("1234567890123456789013"), whole: n("9223372036854775807")},
		{who: "b", price: n("5"), big: n("95000"), whole: n("-1")},
	} {
		w.produce(orders, int32(i%2), "k", m.encode(id))
	}
	const most, both = "123456789012345678.9013", "246913578024691357.8025"
	for _, c := range []struct{ sql, want string }{
		{"select sum(price), avg(price) from orders", "0.35,0.11666666666666667"},
		{"select who, max(big), price from orders where who = 'a'", "a," + most + ",0.2"}, // the row's that has the greatest
		{"select who, sum(big) as total from orders group by who order by total desc", "a," + both + "\nb,9.5"},
		{"select who, sum(big) as total from orders group by who order by 2 limit 1", "b,9.5"},
		{"select who, sum(big) from orders group by who having sum(big) > 1000", "a," + both},
		{"select who, sum(big) as total from orders group by who having total > 1000 and not total = 9.5", "a," + both},
		{"select who, sum(big) as total from orders group by who order by total / 2 desc limit 1", "a," + both},
		{"select who, sum(big) as total from (select * from orders) group by who having total > 1000", "a,2.4691357802469136e+17"},
		{"select who, sum(big) as big from orders group by who order by big", "b,9.5\na," + both},
		{"select * from (select who, sum(big) as total from orders group by who) where total > 1000", "a,2.4691357802469136e+17"},
		{"select who, sum(big) as total from orders group by who having total > (select avg(total) from (select 1 as total))", "a,2.4691357802469136e+17\nb,9.5"},
		{"select sum(big) / 2 from orders where who = 'a'", "1.2345678901234568e+17"},
		{"select big from orders where big = (select max(big) from orders) order by big desc limit 1", most},
		{"select count(*) from orders where big = 123456789012345678.9013", "1"},
		{"select sum(distinct price), min(price), max(price) from orders", "0.35000000000000003,0.05,0.2"},
		{"select sum(whole), max(whole), min(whole) from orders", "9232379236109516799,9223372036854775807,-1"},
		{"select sum(big) from orders union select 1", "1\n2.4691357802469136e+17"},
		{"select sum(big) from orders union all select 7 union all select sum(big) from orders where who = 'b' order by 1 desc", "2.4691357802469136e+17\n9.5\n7"},
		{"select min(whole) filter (where who = 'a') + max(whole) filter (where who = 'b') from orders", "9007199254740992"},
		{"select max(whole) - 1, who from orders where (select max(whole) from orders) > 0", "9223372036854775806,a"},
		{"select sum(big * 1) from orders where who = 'a'", "2.4691357802469136e+17"},
		{"with t(big) as (select 0.1234567 union all select 2) select sum(big), max(big), avg(big) from t, (select 1 from orders limit 1)", "2.1234567,2,1.06172835"},
		{"select who as big, sum(big) from orders group by who order by big", "a," + both + "\nb,9.5"},
		{"select sum(big), * from (select big from orders where who = 'b')", "9.5,9.5"},
		{"select count(*) over (order by big range between 1 preceding and current row) from orders order by big", "1\n2\n2"},
		{"select tarn_sum(x, 2), tarn_avg(x, 2), typeof(tarn_order(max(x))) from (select replace(hex(zeroblob(1000000)), '0', '9') x union all select '7x' union all select 1e300 union all select -1e-300)", "1e+300,2.5e+299,text"},
		{"select tarn_decimal(tarn_order(x), 2) from (select 1.5 x union all select 'b' union all select null union all select -7 union all select x'00') order by tarn_order(x)", "\"\"\nb\n\\x00\n-7\n1.5"},
	} {
		for _, req := range []query.Request{{SQL: c.sql}, query.Plainly(query.Request{SQL: c.sql})} {
			if got := w.askWith(req); got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.sql, got, c.want)
			}
		}
	}
	for sql, want := range map[string]bool{
		"select who, sum(big), min(big), avg(o.big) from orders o group by 1 order by 2": false,
		"select sum(big) / 2 from orders":                                                true,
		"select big from orders order by big":                                            false,
		"select -o.big from orders o":                                                    true,
		"select max(big) m from orders union select 1":                                   true,
		"select who, sum(big) from orders group by who having sum(big) > 1000":           true,
		"select * from (select sum(big) from orders)":                                    true,
		"select sum(big) / 2 from orders where who = 'b'":                                false, // no value is so long
		"select sum(price) / 2, count(big) from orders":                                  false,
	} {
		got, err := w.engine.Query(t.Context(), query.Request{SQL: sql})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := got.Write(&b, "json"); err != nil || strings.HasPrefix(got.Note, "big has") != want || strings.Contains(b.String(), `,"note":"big has decimals`) != want {
			t.Errorf("%s: note %q, %v\n%s", sql, got.Note, err, b.String())
		}
	}
	got, err := w.engine.Query(t.Context(), query.Request{SQL: "select who, sum(big), min(big), avg(big) a, coalesce(sum(price), 0) p from orders group by who"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := got.Write(&b, "arrow-stream"); err != nil {
		t.Fatal(err)
	}
	if r, err := ipc.NewReader(&b); err != nil || strings.Join(strings.Fields(r.Schema().String()), " ") != "schema: fields: 5 - who: type=utf8, nullable - sum(big): type=decimal(38, 4), nullable - min(big): type=decimal(38, 4), nullable - a: type=utf8, nullable - p: type=decimal(38, 2), nullable" {
		t.Errorf("arrow: %v, %v", err, r.Schema())
	}
}
