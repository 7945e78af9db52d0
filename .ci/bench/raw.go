package main

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"
)

// rawAppend appends pieces to a new file and flushes each: the least that
// durable storage costs on this disk. It goes on until total bytes are written
// or, if total is 0, for the given time, and returns how long each piece took.
func (b *bench) rawAppend(piece []byte, total int, long time.Duration) ([]time.Duration, error) {
	f, err := os.Create(filepath.Join(b.home, "raw"))
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	for begun := time.Now(); (total == 0 && time.Since(begun) < long) || len(took)*len(piece) < total; {
		at := time.Now()
		if _, err := f.Write(piece); err != nil {
			return nil, err
		}
		if err := flushData(f); err != nil {
			return nil, err
		}
		took = append(took, time.Since(at))
	}
	return took, nil
}

// rawLoopback sends a file's first total bytes over a TCP connection of this
// machine and reads them: the least that a fetch costs.
func rawLoopback(path string, total int64) (time.Duration, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	sent := make(chan error, 1)
	go func() {
		sent <- func() error {
			c, err := ln.Accept()
			if err != nil {
				return err
			}
			defer c.Close()
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			buf := make([]byte, 1<<20)
			for left := total; left > 0; {
				n, err := f.Read(buf[:min(left, int64(len(buf)))])
				if errors.Is(err, io.EOF) {
					_, err = f.Seek(0, io.SeekStart) // files may be shorter than what they hold for readers
				}
				if err != nil {
					return err
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return err
				}
				left -= int64(n)
			}
			return nil
		}()
	}()
	begun := time.Now()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	buf := make([]byte, 1<<20)
	for got := int64(0); got < total; {
		n, err := c.Read(buf)
		if err != nil {
			return 0, errors.Join(err, <-sent)
		}
		got += int64(n)
	}
	return time.Since(begun), <-sent
}

// sum adds up durations.
func sum(d []time.Duration) (total time.Duration) {
	for _, one := range d {
		total += one
	}
	return total
}

// mbs is megabytes (10^6 bytes) a second.
func mbs(bytes int, took time.Duration) float64 {
	return float64(bytes) / 1e6 / took.Seconds()
}
