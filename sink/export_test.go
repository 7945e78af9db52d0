package sink

import (
	"encoding/json"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
)

// Encoding has data files made by another encoder.
func Encoding(c Config, e func(*tables.Schema, []arrow.RecordBatch, parquet.Options) (parquet.File, error)) Config {
	c.encode = e
	return c
}

// CountOnly makes data files that say how many rows they have and hold none.
func CountOnly(c Config) Config {
	c.encode = func(_ *tables.Schema, batches []arrow.RecordBatch, _ parquet.Options) (parquet.File, error) {
		f := parquet.File{Bytes: []byte("rows")}
		for _, b := range batches {
			f.Rows += b.NumRows()
		}
		return f, nil
	}
	return c
}

// IdleAgain asks for the next look at a table without commits as of now, and
// says when it is due; zero: never.
func IdleAgain(m *Manager, id storage.TopicID, now time.Time) time.Time {
	m.mu.Lock()
	u, topic := m.sinks[id].upkeep, m.sinks[id].topic
	m.mu.Unlock()
	u.begin()
	u.idle(topic, now)
	return u.dueAt()
}

// PerCommit is what Explain thinks a commit of a format sends.
func PerCommit(format string) (puts, gets float64) {
	r := perCommit(format)
	return r.puts, r.gets
}

// AtInterval is how many commits a day Explain expects at another interval.
func AtInterval(e Explained, ms int64) float64 {
	return e.at(time.Duration(ms) * time.Millisecond).CommitsPerDay
}

// StoredFiles reads the files of a format's part of a stored entry.
func StoredFiles(text []byte) ([]tables.DataFile, error) {
	var f entryFormat
	err := json.Unmarshal(text, &f)
	return f.Files, err
}
