package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// send produces -n text records to partition 0 with one codec and acks, and
// writes them. Codec "none" and acks "all" are the defaults.
func send(ctx context.Context, p *peer) error {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[p.codec]
	if !ok {
		return fmt.Errorf("no codec %q", p.codec)
	}
	opts := []kgo.Opt{
		kgo.DefaultProduceTopic(p.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codec),
	}
	switch p.acks {
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	cl, err := p.client(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	var records []*kgo.Record
	nowMs := time.Now().UnixMilli()
	for i := range p.count {
		records = append(records, &kgo.Record{
			Key: fmt.Appendf(nil, "go-%d", i), Value: fmt.Appendf(nil, "%s value %d %s", p.codec, i, strings.Repeat("x", i%50)),
			Timestamp: time.UnixMilli(nowMs), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte{byte(i)}}},
		})
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	for _, r := range records {
		if err := p.write(line{Offset: r.Offset, TimestampMs: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}); err != nil {
			return err
		}
	}
	return nil
}
