package sink

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
)

// errNoRecord says that the tables cannot be made before a record comes which
// names its schema.
var errNoRecord = errors.New("no record names a schema yet")

// firstColumns are the table columns of the first committed value that names its
// schema and fits it, nil if there is none yet. What was looked at is not looked
// at again.
func (s *sink) firstColumns(ctx context.Context) (*arrow.Schema, error) {
	if s.sought == nil {
		s.sought = offsets{}
	}
	for p := range s.topic.Partitions {
		d, err := s.firstDecoder(ctx, p)
		if err != nil {
			return nil, err
		}
		if d != nil {
			return tableColumns(s.keyDecoder(), d, s.topic.JSONExtra), nil
		}
	}
	return nil, nil
}

// firstDecoder looks at what a partition has beyond s.sought.
func (s *sink) firstDecoder(ctx context.Context, partition int32) (schema.Decoder, error) {
	log, err := s.log(ctx, partition)
	if err != nil {
		return nil, err
	}
	limit := log.LastStable()
	at := max(s.sought[partition], log.Start())
	aborted := log.Aborted(at).Below(limit)
	for at < limit {
		b, err := log.Read(ctx, at, readBytes, limit)
		if err != nil {
			return nil, fmt.Errorf("read partition %d at %d: %w", partition, at, err)
		}
		if len(b) == 0 {
			break
		}
		for part, err := range record.Batches(b) {
			if err != nil {
				return nil, fmt.Errorf("partition %d: stored batch: %w", partition, err)
			}
			if committed(part.Header, aborted) {
				if d, err := s.decoderIn(part.Bytes); d != nil || err != nil {
					return d, err
				}
			}
			at = max(at, part.Header.LastOffset()+1)
			s.sought[partition] = at
		}
	}
	return nil, nil
}

// decoderIn is that of the first value of a batch that names its schema and fits
// it, nil if none does.
func (s *sink) decoderIn(batch []byte) (schema.Decoder, error) {
	var rd record.Reader
	if err := rd.Reset(batch, maxUnpacked); err != nil {
		return nil, fmt.Errorf("stored batch: %w", err)
	}
	how, envelopes := s.reading(valuePart), NewUnwrapper(s.topic.Unwrap)
	for rd.Next() {
		r := rd.Record()
		if r.Value == nil {
			continue
		}
		header, has := r.HeaderLast(schema.ValueHeader)
		p, err := s.registry.Read(&how, r.Value, header, has)
		if err != nil || !p.Framed {
			continue
		}
		// What cannot be a row of the table says nothing about its columns.
		if d, err := envelopes.Decoder(p.Decoder); err == nil && d != nil && d.Validate(p.Bytes) == nil {
			return d, nil
		}
	}
	if err := rd.Err(); err != nil {
		return nil, fmt.Errorf("stored batch: %w", err)
	}
	return nil, nil
}
