package debezium

import (
	"fmt"
	"strconv"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// Decoder makes rows of envelopes that another decoder reads. A change becomes the
// row that it leaves behind; a delete the row before it, if the source says it; a
// truncate a row without values. It is immutable and safe for concurrent use.
type Decoder struct {
	from             schema.Decoder
	plan             *plan
	columns, aliased *arrow.Schema
	// rooms are *schema.Rows of the envelope's columns, without a row, for one
	// envelope at a time.
	rooms sync.Pool
}

var (
	_ schema.Decoder = (*Decoder)(nil)
	_ schema.Aliased = (*Decoder)(nil)
)

// New returns a decoder for the envelopes that from reads. The error is a
// *NotEnvelope, or says that the row has no table form.
func New(from schema.Decoder) (*Decoder, error) {
	d := &Decoder{from: from}
	var err error
	if d.plan, err = newPlan(from.Columns()); err != nil {
		return nil, err
	}
	if d.columns, err = d.plan.columns(from.Columns()); err != nil {
		return nil, err
	}
	if d.aliased, err = d.plan.columns(schema.AliasedColumns(from)); err != nil {
		return nil, err
	}
	return d, nil
}

// Columns implements schema.Decoder.
func (d *Decoder) Columns() *arrow.Schema { return d.columns }

// Aliased implements schema.Aliased.
func (d *Decoder) Aliased() *arrow.Schema { return d.aliased }

// Validate implements schema.Validator.
func (d *Decoder) Validate(payload []byte) error {
	room, err := d.open(payload)
	if err != nil {
		return err
	}
	defer d.leave(room)
	_, _, err = d.plan.image(room)
	return err
}

// Decode implements schema.Decoder.
func (d *Decoder) Decode(payload []byte, rows *schema.Rows) error {
	room, err := d.open(payload)
	if err != nil {
		return err
	}
	defer d.leave(room)
	op, image, err := d.plan.image(room)
	if err != nil {
		return err
	}
	d.plan.change(room, op, rows)
	for i, at := range d.plan.beforeAt {
		c := rows.Column(changeColumns + i)
		if image == d.plan.after {
			at = i
		}
		if image < 0 || at < 0 {
			c.Null()
		} else {
			c.Copy(room.Column(image).Child(at), 0)
		}
	}
	if d.plan.extra >= 0 {
		rows.Column(changeColumns+len(d.plan.beforeAt)).Copy(room.Column(d.plan.extra), 0)
	}
	if err := rows.EndRow(); err != nil {
		rows.Undo()
		return err
	}
	return nil
}

// open decodes an envelope; leave gives its room back.
func (d *Decoder) open(payload []byte) (*schema.Rows, error) {
	room, ok := d.rooms.Get().(*schema.Rows)
	if !ok {
		var err error
		if room, err = schema.NewRows(d.from.Columns()); err != nil {
			return nil, err
		}
	}
	if err := d.from.Decode(payload, room); err != nil {
		d.rooms.Put(room)
		return nil, err
	}
	return room, nil
}

func (d *Decoder) leave(room *schema.Rows) {
	room.DropLast()
	d.rooms.Put(room)
}

// image says what the change is, and in which column its row stands; -1 for none.
func (p *plan) image(room *schema.Rows) (op string, at int, err error) {
	c := room.Column(p.op)
	if !c.IsNull(0) {
		op = string(c.BytesAt(0))
	}
	has := func(i int) bool { return i >= 0 && !room.Column(i).IsNull(0) }
	switch op {
	case Create, Update, Read:
		if !has(p.after) {
			return op, -1, lacksAfter(op)
		}
		return op, p.after, nil
	case Delete:
		if !has(p.before) {
			return op, -1, nil
		}
		return op, p.before, nil
	case Truncate:
		return op, -1, nil
	}
	return op, -1, badOp(op)
}

func lacksAfter(op string) error {
	return &schema.Invalid{Path: "$.after", Expected: fmt.Sprintf("the row, since op is %q", op), Found: "null", Pos: -1}
}

// badOp is why an envelope is no change of a row.
func badOp(op string) error {
	e := &schema.Invalid{Path: "$.op", Expected: "c, r, u, d or t", Found: strconv.Quote(preview(op)), Pos: -1}
	switch op {
	case "":
		e.Found = "nothing"
	case "m":
		e.Found += ", a message of the source's log and no change of a row"
	}
	return e
}

// preview is the beginning of a text.
func preview(s string) string {
	const most = 32
	if len(s) > most {
		s = s[:most]
	}
	return s
}

// change appends the columns about a change.
func (p *plan) change(room *schema.Rows, op string, rows *schema.Rows) {
	rows.Column(colOp).String(op)
	at := rows.Column(colTime)
	if c := leaf(room, p.micros); c != nil {
		at.Int64(c.IntAt(0))
	} else if c := leaf(room, p.millis); c != nil {
		at.Int64(micros(c.IntAt(0)))
	} else {
		at.Null()
	}
	var buf [128]byte
	appendWord(rows.Column(colPosition), join(buf[:0], room, p.position, ':'))
	appendWord(rows.Column(colTable), join(buf[:0], room, p.table, '.'))
	word := buf[:0]
	for _, path := range p.transaction {
		if word = join(word, room, [][]int{path}, '.'); len(word) > 0 {
			break
		}
	}
	appendWord(rows.Column(colTransaction), word)
}

// micros turns milliseconds into microseconds; those that lie too far off become
// the furthest there is.
func micros(ms int64) int64 {
	const far = 1<<63 - 1
	return min(max(ms, -far/1000), far/1000) * 1000
}

// appendWord appends a text, null for none.
func appendWord(c *schema.Column, word []byte) {
	if len(word) == 0 {
		c.Null()
	} else {
		c.Bytes(word)
	}
}

// leaf is the column at a path, nil if there is none or it, or what holds it, is
// null.
func leaf(room *schema.Rows, path []int) *schema.Column {
	if len(path) == 0 {
		return nil
	}
	c := room.Column(path[0])
	for _, i := range path[1:] {
		if c.IsNull(0) {
			return nil
		}
		c = c.Child(i)
	}
	if c.IsNull(0) {
		return nil
	}
	return c
}

// join appends the words at paths, with a separator between those that are there.
func join(buf []byte, room *schema.Rows, paths [][]int, between byte) []byte {
	for _, path := range paths {
		c := leaf(room, path)
		if c == nil {
			continue
		}
		before := len(buf)
		if before > 0 {
			buf = append(buf, between)
		}
		begun := len(buf)
		if isText(c.Field().Type) {
			buf = append(buf, c.BytesAt(0)...)
		} else {
			buf = strconv.AppendInt(buf, c.IntAt(0), 10)
		}
		if len(buf) == begun {
			buf = buf[:before]
		}
	}
	return buf
}
