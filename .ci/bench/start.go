package main

import (
	"context"
	"os"
	"os/exec"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// start measures how long a broker takes to be there, and the binary's size.
func (b *bench) start() error {
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	b.table.add("binary, stripped", "MB", float64(info.Size())/1e6, 0, "")
	if err := b.each(func(int) error { return b.startOn("empty", "empty", true) }); err != nil {
		return err
	}
	s, err := b.serve("full")
	if err != nil {
		return err
	}
	if err := s.fill("old", b.amount(diskRecords)); err != nil {
		return err
	}
	// The hard case: nothing was put in order before the end.
	s.Kill()
	if err := b.each(func(int) error { return b.startOn("full", "with data", false) }); err != nil {
		return err
	}
	return os.RemoveAll(s.data)
}

// startOn starts on a data directory, produces one record, and kills the
// broker.
func (b *bench) startOn(data, name string, remove bool) error {
	begun := time.Now()
	if err := exec.CommandContext(b.ctx, b.binary, "version").Run(); err != nil {
		return err
	}
	base := time.Since(begun)
	s, err := b.serve(data)
	if err != nil {
		return err
	}
	ready := time.Since(s.Began)
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	cl, err := s.client(kgo.ProducerLinger(0), kgo.DefaultProduceTopic("first"))
	if err != nil {
		return err
	}
	defer cl.Close()
	// On the second start the topic is there, and the answer says so.
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 1, nil, "first"); err != nil && remove {
		return err
	}
	if err := cl.ProduceSync(ctx, kgo.StringRecord("first")).FirstErr(); err != nil {
		return err
	}
	first := time.Since(s.Began)
	s.Kill()
	b.table.add("start to ready, "+name, "ms", float64(ready)/1e6, float64(base)/1e6, "tarn version")
	b.table.add("start to first produce, "+name, "ms", float64(first)/1e6, float64(base)/1e6, "tarn version")
	if remove {
		return os.RemoveAll(s.data)
	}
	return nil
}
