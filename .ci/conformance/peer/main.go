// Command peer is the Go side of the conformance scenarios: franz-go as a
// producer and consumer, and raw Kafka requests where a client would hide what
// the broker answers. Each command writes JSON lines.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// peer is one run of a command.
type peer struct {
	brokers, http, topic, group, codec, acks string
	listen, user, ca, cert, key              string

	count, rate, start int

	out *bufio.Writer
}

func main() {
	commands := map[string]func(context.Context, *peer) error{
		"produce": produce, "send": send, "consume": consume, "raw": raw, "ends": ends, "versions": versions,
		"pipelined": pipelined, "hostile": hostile, "stream": stream, "descriptors": descriptors,
		"signin": signin, "admin": admin, "serdes-write": serdesWrite, "serdes-read": serdesRead,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: peer produce|send|consume|raw|ends|versions|pipelined|hostile|stream|descriptors|signin|admin|serdes-write|serdes-read [flags]")
		os.Exit(2)
	}
	p := &peer{out: bufio.NewWriter(os.Stdout)}
	f := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	f.StringVar(&p.brokers, "b", "", "Kafka address")
	f.StringVar(&p.http, "http", "", "registry URL")
	f.StringVar(&p.topic, "topic", "", "topic")
	f.StringVar(&p.group, "group", "", "consumer group; none: all partitions")
	f.StringVar(&p.codec, "codec", "none", "codec of batches")
	f.StringVar(&p.acks, "acks", "all", "0, 1 or all")
	f.IntVar(&p.count, "n", 0, "records to stop at")
	f.IntVar(&p.rate, "rate", 1000, "records a second")
	f.IntVar(&p.start, "start", 0, "first number")
	f.StringVar(&p.listen, "listen", "", "address that signin listens on")
	f.StringVar(&p.user, "user", "", "user that signin is; the password stands in PASSWORD")
	f.StringVar(&p.ca, "ca", "", "authorities to trust (PEM)")
	f.StringVar(&p.cert, "cert", "", "certificate to show (PEM)")
	f.StringVar(&p.key, "key", "", "key of the certificate (PEM)")
	_ = f.Parse(os.Args[2:]) // exits on error

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := commands[os.Args[1]](ctx, p)
	if ferr := p.out.Flush(); err == nil {
		err = ferr
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write writes one JSON line.
func (p *peer) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = p.out.Write(append(b, '\n'))
	return err
}

func (p *peer) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(strings.Split(p.brokers, ",")...)}, opts...)...)
}

func (p *peer) registry() (*sr.Client, error) { return sr.NewClient(sr.URLs(p.http)) }

// readLines calls each with every JSON line of standard input.
func readLines[T any](each func(T) error) error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var v T
		if err := json.Unmarshal(in.Bytes(), &v); err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if err := each(v); err != nil {
			return err
		}
	}
	return in.Err()
}
