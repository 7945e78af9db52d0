package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// tailRecords fit into the broker's cache of newest records.
	tailRecords = 24_000
	tailRounds  = 10
	diskRecords = 256_000
)

// fetch measures reading: what was just written, and what only the disk has.
func (b *bench) fetch() error {
	if err := b.tail(); err != nil {
		return err
	}
	s, err := b.load("fetch")
	if err != nil {
		return err
	}
	count := b.amount(diskRecords)
	if err := s.fill("old", count); err != nil {
		return err
	}
	bytes := count * recordBytes
	err = b.each(func(int) error {
		// Nothing is in the broker's memory after a restart; the operating
		// system still has the file.
		if err := s.stop(); err != nil {
			return err
		}
		if s, err = b.load("fetch"); err != nil {
			return err
		}
		effort, err := s.effort()
		if err != nil {
			return err
		}
		took, err := s.consume("old", count)
		if err != nil {
			return err
		}
		used, err := effort()
		if err != nil {
			return err
		}
		base, err := rawLoopback(filepath.Join(s.data, "tarn.db"), int64(bytes))
		if err != nil {
			return err
		}
		b.table.add("fetch from disk", "MB/s", mbs(bytes, took), mbs(bytes, base), "the file over loopback")
		b.addEffort("fetch from disk", used, bytes)
		return nil
	})
	if err != nil {
		return err
	}
	return s.end()
}

func (b *bench) tail() error {
	s, err := b.load("tail")
	if err != nil {
		return err
	}
	if err := s.fill("new", tailRecords); err != nil {
		return err
	}
	bytes := tailRecords * recordBytes
	err = b.each(func(int) error {
		var took, base time.Duration
		effort, err := s.effort()
		if err != nil {
			return err
		}
		for range tailRounds {
			one, err := s.consume("new", tailRecords)
			if err != nil {
				return err
			}
			took += one
			if one, err = rawLoopback(filepath.Join(s.data, "tarn.db"), int64(bytes)); err != nil {
				return err
			}
			base += one
		}
		used, err := effort()
		if err != nil {
			return err
		}
		b.table.add("fetch from tail", "MB/s", mbs(tailRounds*bytes, took), mbs(tailRounds*bytes, base), "a file over loopback")
		b.addEffort("fetch from tail", used, tailRounds*bytes)
		return nil
	})
	if err != nil {
		return err
	}
	return s.end()
}

// fill makes a topic and puts count records into it.
func (s *server) fill(topic string, count int) error {
	if err := s.topic(topic, partitions, nil); err != nil {
		return err
	}
	_, err := s.send(topic, 1, count, noise(recordBytes))
	return err
}

// consume reads a topic from its start and returns how long count records took.
func (s *server) consume(topic string, count int) (time.Duration, error) {
	cl, err := s.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxPartitionBytes(4<<20))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(s.bench.ctx, patience)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		return 0, err
	}
	begun := time.Now()
	for left := count; left > 0; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return 0, fmt.Errorf("fetch: %w", err)
		}
		left -= fetches.NumRecords()
	}
	return time.Since(begun), nil
}
