package sink

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
)

// deadSuffix is what the table of dead letters adds to the table's name.
const deadSuffix = "__dead_letters"

// maxReason bounds the text of a reason in bytes.
const maxReason = 4096

// Columns of a dead letter behind Kafka's own.
const (
	colTopic = colSchemaID + 1 + iota
	colValue
	colReason
	colPath
)

// deadColumns are the columns of every table of dead letters: Kafka's own, and
// the record's bytes as they are with why it is here.
func deadColumns() *arrow.Schema {
	return arrow.NewSchema(append(kafkaColumns(),
		arrow.Field{Name: "kafka_topic", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "kafka_value", Type: arrow.BinaryTypes.Binary, Nullable: true},
		arrow.Field{Name: "reason", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "path", Type: arrow.BinaryTypes.String, Nullable: true},
	), nil)
}

// addDead appends a dead letter.
func addDead(rows *schema.Rows, topic string, partition int32, r *record.Record, schemaID int, why error) error {
	appendKafka(rows, partition, r, schemaID)
	rows.Column(colTopic).String(topic)
	appendBytes(rows.Column(colValue), r.Value)
	reason := why.Error()
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	rows.Column(colReason).String(strings.ToValidUTF8(reason, "\uFFFD"))
	var invalid *schema.Invalid
	if errors.As(why, &invalid) {
		rows.Column(colPath).String(strings.ToValidUTF8(invalid.Path, "\uFFFD"))
	} else {
		rows.Column(colPath).Null()
	}
	if err := rows.EndRow(); err != nil {
		rows.Undo()
		return err
	}
	return nil
}

// validUTF8 makes a header's key a string that every reader takes.
func validUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return []byte(strings.ToValidUTF8(string(b), "\uFFFD"))
}
