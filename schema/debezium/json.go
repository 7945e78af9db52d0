package debezium

import (
	"bytes"
	"cmp"
	"encoding/json"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/plain"
)

// JSON makes rows of envelopes as JSON without a registered schema: of Kafka
// Connect's JsonConverter, with schemas.enable or without. Which columns a row has
// is not known before its first record, so the row is one column, value, with the
// text of its image. It is immutable and safe for concurrent use; all are equal.
type JSON struct{}

// NewJSON returns the decoder.
func NewJSON() JSON { return JSON{} }

var _ schema.Decoder = JSON{}

// Columns implements schema.Decoder.
func (JSON) Columns() *arrow.Schema {
	return arrow.NewSchema(append(changeFields(), arrow.Field{Name: "value", Type: arrow.BinaryTypes.String, Nullable: true}), nil)
}

// jsonEnvelope is an envelope, or one with its schema around it.
type jsonEnvelope struct {
	Payload     json.RawMessage `json:"payload"`
	Before      json.RawMessage `json:"before"`
	After       json.RawMessage `json:"after"`
	Op          *string         `json:"op"`
	Source      *jsonSource     `json:"source"`
	Transaction *struct {
		ID jsonWord `json:"id"`
	} `json:"transaction"`
}

// jsonSource is what findSource looks for.
type jsonSource struct {
	Micros    *int64   `json:"ts_us"`
	Millis    *int64   `json:"ts_ms"`
	DB        jsonWord `json:"db"`
	Schema    jsonWord `json:"schema"`
	Table     jsonWord `json:"table"`
	Documents jsonWord `json:"collection"`
	LSN       jsonWord `json:"lsn"`
	File      jsonWord `json:"file"`
	Pos       jsonWord `json:"pos"`
	Row       jsonWord `json:"row"`
	ChangeLSN jsonWord `json:"change_lsn"`
	CommitLSN jsonWord `json:"commit_lsn"`
	SCN       jsonWord `json:"scn"`
	VGTID     jsonWord `json:"vgtid"`
	TxID      jsonWord `json:"txId"`
	GTID      jsonWord `json:"gtid"`
}

// jsonWord is a text or a number; anything else is none.
type jsonWord string

// UnmarshalJSON implements json.Unmarshaler.
func (w *jsonWord) UnmarshalJSON(b []byte) error {
	*w = ""
	if len(b) == 0 {
		return nil
	}
	switch c := b[0]; {
	case c == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*w = jsonWord(s)
	case c == '-' || c >= '0' && c <= '9':
		*w = jsonWord(b)
	}
	return nil
}

// Validate implements schema.Validator.
func (j JSON) Validate(payload []byte) error {
	_, _, err := j.parse(payload)
	return err
}

// parse reads an envelope and picks the image of its row; nil for none.
func (JSON) parse(payload []byte) (*jsonEnvelope, []byte, error) {
	text, err := plain.New(plain.JSON)
	if err != nil {
		return nil, nil, err
	}
	if err := text.Validate(payload); err != nil {
		return nil, nil, err
	}
	e := &jsonEnvelope{}
	if err := json.Unmarshal(payload, e); err != nil {
		return nil, nil, notEnvelope("$", err)
	}
	if isObject(e.Payload) && e.Op == nil {
		inner := e.Payload
		e = &jsonEnvelope{}
		if err := json.Unmarshal(inner, e); err != nil {
			return nil, nil, notEnvelope("$.payload", err)
		}
	}
	var op string
	if e.Op != nil {
		op = *e.Op
	}
	switch op {
	case Create, Update, Read:
		if isNull(e.After) {
			return nil, nil, lacksAfter(op)
		}
		return e, e.After, nil
	case Delete:
		if isNull(e.Before) {
			return e, nil, nil
		}
		return e, e.Before, nil
	case Truncate:
		return e, nil, nil
	}
	return nil, nil, badOp(op)
}

func notEnvelope(path string, err error) error {
	return &schema.Invalid{Path: path, Expected: "a change envelope of Debezium", Found: "something else (" + preview(err.Error()) + ")", Pos: -1}
}

func isNull(b []byte) bool   { return len(b) == 0 || bytes.Equal(b, []byte("null")) }
func isObject(b []byte) bool { return len(b) > 0 && b[0] == '{' }

// Decode implements schema.Decoder.
func (j JSON) Decode(payload []byte, rows *schema.Rows) error {
	e, image, err := j.parse(payload)
	if err != nil {
		return err
	}
	e.change(rows)
	if image == nil {
		rows.Column(changeColumns).Null()
	} else {
		rows.Column(changeColumns).Bytes(image)
	}
	if err := rows.EndRow(); err != nil {
		rows.Undo()
		return err
	}
	return nil
}

// change appends the columns about a change.
func (e *jsonEnvelope) change(rows *schema.Rows) {
	rows.Column(colOp).String(*e.Op)
	s := e.Source
	if s == nil {
		s = &jsonSource{}
	}
	switch at := rows.Column(colTime); {
	case s.Micros != nil:
		at.Int64(*s.Micros)
	case s.Millis != nil:
		at.Int64(micros(*s.Millis))
	default:
		at.Null()
	}
	position := cmp.Or(s.LSN, jsonWord(joined(':', s.File, s.Pos, s.Row)), s.ChangeLSN, s.CommitLSN, s.SCN, s.VGTID)
	appendWord(rows.Column(colPosition), []byte(position))
	appendWord(rows.Column(colTable), []byte(joined('.', s.DB, s.Schema, s.Table, s.Documents)))
	var id jsonWord
	if e.Transaction != nil {
		id = e.Transaction.ID
	}
	appendWord(rows.Column(colTransaction), []byte(cmp.Or(id, s.TxID, s.GTID)))
}

// joined are the words that are there, with a separator between.
func joined(between byte, words ...jsonWord) string {
	var out []byte
	for _, w := range words {
		if w == "" {
			continue
		}
		if len(out) > 0 {
			out = append(out, between)
		}
		out = append(out, w...)
	}
	return string(out)
}
