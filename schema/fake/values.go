package fake

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
)

// references is how many things a field such as user_id refers to: few, so that
// joins and groups find each other.
const references = 100

// appendString appends s as JSON. json.Marshal of a string never fails.
func appendString(out []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return append(out, `""`...)
	}
	return append(out, b...)
}

// words splits a field's name: user_id, userId and UserID are "user", "id".
func words(name string) []string {
	var out []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			out = append(out, word.String())
			word.Reset()
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		// A new word begins where small letters end, and before the last of capitals.
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			flush()
		}
		word.WriteRune(unicode.ToLower(r))
	}
	flush()
	return out
}

// place is where a value stands: its field, and the record around it.
type place struct {
	field, record string
	depth         int
}

// below is a field of a record inside this place.
func (p place) below(record, field string) place {
	return place{field: field, record: record, depth: p.depth + 1}
}

// meaning is what a field's name says: the last words first.
func (p place) meaning() (last, before string) {
	all := words(p.field)
	if len(all) == 0 {
		return "", ""
	}
	last = all[len(all)-1]
	if len(all) > 1 {
		before = all[len(all)-2]
	}
	return last, before
}

// identity reports whether the place names a thing, which thing, and whether it is
// the document's own: the field id, or order_id at the top of an Order.
func (p place) identity() (thing string, own, ok bool) {
	last, before := p.meaning()
	record := words(p.record)
	switch {
	case last != "id" && last != "uuid":
		return "", false, false
	case before == "" && len(record) > 0:
		return record[len(record)-1], p.depth <= 1, true
	case before == "":
		return "id", p.depth <= 1, true
	}
	return before, p.depth <= 1 && len(record) > 0 && before == record[len(record)-1], true
}

// number is the number of the thing that a place names.
func (g *Generator) number(own bool) int64 {
	if own {
		return g.seq
	}
	// Some are met more often than others.
	return 1 + int64(math.Pow(g.rand.Float64(), 2)*references)
}

// text makes a text for a place.
func (g *Generator) text(p place) string {
	if thing, own, ok := p.identity(); ok {
		return fmt.Sprintf("%s-%06d", thing, g.number(own))
	}
	last, before := p.meaning()
	if list, ok := lists()[last]; ok {
		return pick(g, list)
	}
	first, family := pick(g, firstNames()), pick(g, familyNames())
	switch last {
	case "name", "customer", "user", "author", "owner", "contact", "person":
		switch before {
		case "first", "given":
			return first
		case "last", "family":
			return family
		case "user":
			return strings.ToLower(first) + fmt.Sprint(g.between(1, 99))
		case "product", "item":
			return pick(g, lists()["product"])
		case "company":
			return family + " " + pick(g, []string{"Ltd", "GmbH", "Inc", "& Co"})
		}
		return first + " " + family
	case "email", "mail":
		return strings.ToLower(first+"."+family) + "@example." + pick(g, []string{"com", "org", "net"})
	case "username", "login", "handle", "nick":
		return strings.ToLower(first) + fmt.Sprint(g.between(1, 99))
	case "phone", "mobile", "tel":
		return fmt.Sprintf("+1-555-01%02d", g.between(0, 99)) // numbers kept for fiction
	case "company", "merchant", "vendor", "supplier":
		return family + " " + pick(g, []string{"Ltd", "GmbH", "Inc", "& Co"})
	case "street", "address":
		return fmt.Sprintf("%d %s Street", g.between(1, 200), family)
	case "zip", "postcode", "postal":
		return fmt.Sprintf("%05d", g.between(10000, 99999))
	case "ip", "host", "addr":
		return fmt.Sprintf("198.51.100.%d", g.between(1, 254)) // RFC 5737: documentation
	case "url", "link", "href", "referrer", "referer":
		return "https://example.com" + pick(g, lists()["page"])
	case "sku":
		return fmt.Sprintf("SKU-%04d", g.between(1, 500))
	case "uuid", "guid":
		return g.uuid()
	case "date", "day":
		return g.moment(p).Format(time.DateOnly)
	case "at", "time", "timestamp", "ts", "created", "updated":
		return g.moment(p).Format("2006-01-02T15:04:05.000Z")
	case "description", "comment", "note", "message", "title", "text", "body":
		return g.sentence()
	}
	return pick(g, plainWords()) + "-" + pick(g, plainWords())
}

func (g *Generator) sentence() string {
	out := make([]string, 3+g.rand.IntN(4))
	for i := range out {
		out[i] = pick(g, plainWords())
	}
	out[0] = strings.ToUpper(out[0][:1]) + out[0][1:]
	return strings.Join(out, " ")
}

// uuid is a random UUID (RFC 9562, version 4).
func (g *Generator) uuid() string {
	high, low := g.rand.Uint64(), g.rand.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", high>>32, high>>16&0xffff, high&0xfff, low>>48&0x3fff|0x8000, low&0xffffffffffff)
}

// moment is a time for a place: the last seconds, or for what is born or valid, a day
// of years before.
func (g *Generator) moment(p place) time.Time {
	now := g.now().UTC()
	for _, w := range words(p.field) {
		switch w {
		case "birth", "birthday", "born":
			return now.AddDate(-18-g.rand.IntN(60), 0, -g.rand.IntN(365))
		case "signup", "joined", "registered", "since":
			return now.AddDate(0, 0, -g.rand.IntN(1000))
		}
	}
	return now.Add(-time.Duration(g.rand.IntN(2000)) * time.Millisecond)
}

// integer is a whole number for a place, within bounds.
func (g *Generator) integer(p place, low, high int64) int64 {
	v := g.between(0, 1000)
	last, before := p.meaning()
	if _, own, ok := p.identity(); ok {
		v = g.number(own)
	} else {
		switch last {
		case "at", "time", "timestamp", "ts", "ms", "millis", "created", "updated":
			if last == "ms" && before != "" && before != "time" && before != "timestamp" {
				break // a duration
			}
			v = g.moment(p).UnixMilli()
		case "quantity", "qty", "count", "items", "pieces":
			v = g.between(1, 9)
		case "age":
			v = g.between(18, 90)
		case "year":
			v = int64(g.moment(p).Year())
		case "percent", "score", "level":
			v = g.between(0, 100)
		case "cents", "amount", "price", "total":
			v = g.between(100, 50_000)
		case "port":
			v = g.between(1024, 65535)
		}
	}
	if v < low || v > high {
		return g.between(low, min(high, max(low, low+1000, low)))
	}
	return v
}

// real is a number with a fraction for a place, of so many decimals.
func (g *Generator) real(p place, decimals int) float64 {
	last, before := p.meaning()
	low, high := 0.0, 1000.0
	switch last {
	case "latitude", "lat":
		low, high, decimals = -90, 90, 5
	case "longitude", "lon", "lng":
		low, high, decimals = -180, 180, 5
	case "rate", "ratio", "share", "probability":
		high, decimals = 1, 4
	case "amount", "price", "total", "cost", "value":
		low, high = 1, 500
	case "temperature", "celsius":
		low, high, decimals = -20, 40, 1
	case "percent", "score":
		high, decimals = 100, 1
	case "rating":
		low, high, decimals = 1, 5, 1
	}
	if before == "exchange" {
		decimals = 4
	}
	scale := math.Pow10(decimals)
	return math.Round((low+g.rand.Float64()*(high-low))*scale) / scale
}
