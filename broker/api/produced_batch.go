package api

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// producedBatch is one partition's records on their way in.
type producedBatch struct {
	bytes []byte // one whole v2 batch; ours to write to
	head  record.Header
	dead  *commitlog.Batch // bad records, for the dead-letter topic
}

// incoming returns the request's records as one checked v2 batch. Versions 0–2
// carry the message sets of old clients.
func incoming(req *kmsg.ProduceRequest, b []byte, limit int) (*producedBatch, error) {
	if len(b) == 0 {
		return nil, refuse(wire.InvalidRecord, "no record batch")
	}
	if req.Version < 3 {
		v2, err := record.FromMessageSet(b, limit)
		if err != nil {
			return nil, fmt.Errorf("message set: %w", err)
		}
		b = v2
	}
	head, err := record.CheckProduced(b)
	return &producedBatch{bytes: b, head: head}, err
}

// checkHeader holds the batch's header against the request and the topic.
func (b *producedBatch) checkHeader(req *kmsg.ProduceRequest, t *topic.Topic) error {
	switch {
	case b.head.Transactional() && req.TransactionID == nil:
		return refuse(wire.TransactionalIDAuthorizationFailed, "a transactional batch in a request without transactional id")
	case b.head.Codec() == record.Zstd && req.Version < 7:
		return refuse(wire.UnsupportedCompressionType, "zstd needs Produce version 7 or later")
	}
	return b.checkSize(t)
}

// checkSize holds the batch, as it will be stored, against the topic's limits.
func (b *producedBatch) checkSize(t *topic.Topic) error {
	switch size := int64(b.head.Size()); {
	case size > t.Config.MaxMessageBytes, size > storage.MaxBatchBytes:
		return refuse(wire.MessageTooLarge, "batch has %d bytes, topic %q takes %d (max.message.bytes)",
			size, t.Name, min(t.Config.MaxMessageBytes, storage.MaxBatchBytes))
	case size > t.Config.SegmentBytes:
		return refuse(wire.RecordListTooLarge, "batch has %d bytes, a segment of topic %q %d (segment.bytes)",
			size, t.Name, t.Config.SegmentBytes)
	}
	return nil
}

// checkRecords unpacks the batch once and looks at its records twice: for
// Kafka's rules, then for the topic's schemas.
func (h *Handlers) checkRecords(ctx context.Context, r *Request, t *topic.Topic, partition int32, b *producedBatch) ([]RecordError, error) {
	rd := h.readers.Get().(*record.Reader)
	defer h.readers.Put(rd)
	defer rd.Release()
	if err := rd.Reset(b.bytes, unpackLimit(t)); err != nil {
		return nil, err
	}
	maxMs, bad, err := h.checkRules(t, rd)
	if err != nil {
		return bad, err
	}
	if !t.Config.LogAppendTime {
		b.setMaxTimestamp(maxMs)
	}
	if h.cfg.Validate == nil {
		return nil, nil
	}
	rd.Rewind()
	bad, err = h.cfg.Validate(ctx, t, rd, Origin{
		ClientID: r.ClientID, Software: r.Conn.Software,
		SoftwareVersion: r.Conn.SoftwareVersion, Remote: r.Conn.Remote,
	})
	switch e := (*wire.Error)(nil); {
	case err != nil && !errors.As(err, &e):
		// It could not be told: the client tries again.
		err = fmt.Errorf("%w: check records of topic %q: %w", commitlog.ErrStorage, t.Name, err)
	case err == nil && len(bad) > 0:
		if done, err := h.setAside(ctx, r, t, partition, b, rd, bad); done || err != nil {
			return nil, err
		}
		err = refuse(wire.InvalidRecord, "%d of %d records refused by the schema of topic %q; the first, record %d: %s",
			len(bad), rd.Header().Count, t.Name, bad[0].Index, bad[0].Message)
	}
	return bad, err
}

// maxRecordErrors bounds the record errors of one answer: a batch may hold a
// million bad records of one byte, and nobody reads more than a few.
const maxRecordErrors = 1000

// checkRules walks the records: counts, offset deltas, and the topic's rules
// for keys and timestamps, with an error for each record that breaks one. It
// returns the greatest timestamp.
func (h *Handlers) checkRules(t *topic.Topic, rd *record.Reader) (maxMs int64, bad []RecordError, err error) {
	nowMs := h.cfg.Now().UnixMilli()
	earliest, latest := nowMs-t.Config.TimestampBeforeMaxMs, int64(math.MaxInt64)
	if t.Config.TimestampAfterMaxMs < latest-nowMs {
		latest = nowMs + t.Config.TimestampAfterMaxMs
	}
	code, broken := wire.InvalidRecord, 0
	maxMs = math.MinInt64
	for i := int32(0); rd.Next(); i++ {
		rec := rd.Record()
		maxMs = max(maxMs, rec.Timestamp)
		why := ""
		switch {
		case rec.OffsetDelta != i:
			return 0, nil, fmt.Errorf("record %d has offset delta %d: %w", i, rec.OffsetDelta, record.ErrCorrupt)
		case t.Config.CleanupCompact && rec.Key == nil:
			why = "a compacted topic takes no records without key"
		case !t.Config.LogAppendTime && rec.Timestamp != noTimestamp && (rec.Timestamp > latest || rec.Timestamp < earliest):
			code = wire.InvalidTimestamp
			why = fmt.Sprintf("timestamp %d is outside %d…%d", rec.Timestamp, earliest, latest)
		}
		if why != "" {
			if broken++; len(bad) < maxRecordErrors {
				bad = append(bad, RecordError{Index: i, Message: why})
			}
		}
	}
	if err := rd.Err(); err != nil {
		return 0, nil, err
	}
	if broken > 0 {
		return 0, bad, refuse(code, "%d of %d records refused; the first, record %d: %s",
			broken, rd.Header().Count, bad[0].Index, bad[0].Message)
	}
	return maxMs, nil, nil
}

// noTimestamp is the time of a record that has none.
const noTimestamp = -1

// setMaxTimestamp puts the header right where the client's greatest timestamp is
// not that of its records, as Kafka does: offsets are looked up by it.
func (b *producedBatch) setMaxTimestamp(ms int64) {
	if ms == b.head.MaxTimestamp {
		return
	}
	b.head.MaxTimestamp, b.head.CRC = ms, record.SetMaxTimestamp(b.bytes, ms)
}

// level is at which level batches of a topic are compressed anew with a codec.
func level(t *topic.Topic, c record.Codec) record.Level {
	switch c {
	case record.Gzip:
		return record.Level(t.Config.GzipLevel)
	case record.LZ4:
		return record.Level(t.Config.LZ4Level)
	case record.Zstd:
		return record.Level(t.Config.ZstdLevel)
	}
	return 0
}

// recompress rebuilds the batch if the topic wants another codec.
func (b *producedBatch) recompress(t *topic.Topic) error {
	want := record.None
	switch t.Config.Compression {
	case "producer":
		return nil
	case "uncompressed":
	default:
		var err error
		if want, err = record.ParseCodec(t.Config.Compression); err != nil {
			return err
		}
	}
	if want == b.head.Codec() {
		return nil
	}
	out, err := record.Rebuild(b.bytes, want, level(t, want), unpackLimit(t))
	if err != nil {
		return fmt.Errorf("recompress for topic %q: %w", t.Name, err)
	}
	b.bytes = out
	if b.head, err = record.ParseHeader(out); err != nil {
		return err
	}
	return b.checkSize(t)
}
