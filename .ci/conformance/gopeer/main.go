// Command gopeer is other Go clients as peers; records.py says what peers read
// and write. It is a module of its own, so that these clients do not stand
// among the broker's requirements.
//
//	gopeer sarama|kafka-go|confluent-kafka-go ADDRESS produce|consume|member|transform TOPIC [setting=value ...]
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// silence ends a consumer that waits for records which do not come.
const silence = time.Minute

// record is a line; offset is set by the log.
type record struct {
	partition  int32
	offset     int64
	timestamp  time.Time
	key, value []byte
	headers    []header
}

type header struct {
	key   string
	value []byte
}

// producer is one producer of a client. send keeps the order of its calls and
// may return before the record is acknowledged; placed is called once for each
// send, after close at the latest.
type producer interface {
	send(r record, placed func(partition int32, offset int64)) error
	flush() error
	begin() error
	commit() error
	abort() error
	close() error
}

// settings are the words key=value of a command.
type settings map[string]string

func parseSettings(words []string) settings {
	s := settings{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		s[k] = v
	}
	return s
}

func (s settings) or(key, other string) string {
	if v, ok := s[key]; ok {
		return v
	}
	return other
}

// client is a library: how it makes producers, and reads records in a group
// until each says that it has enough, or ctx ends. Offsets are committed behind
// each record before it is given to each.
type client struct {
	producer  func(address string, s settings) (producer, error)
	consume   func(ctx context.Context, address, topic string, s settings, each func(record) bool) error
	transform func(ctx context.Context, address, topic string, s settings) error
}

var clients = map[string]client{
	"sarama":             {saramaProducer, saramaConsume, saramaTransform},
	"kafka-go":           {kafkaGoProducer, kafkaGoConsume, nil},
	"confluent-kafka-go": {confluentProducer, confluentConsume, confluentTransform},
}

func main() {
	if len(os.Args) < 5 {
		fail(fmt.Errorf("usage: gopeer CLIENT ADDRESS COMMAND TOPIC [setting=value ...]"))
	}
	c, ok := clients[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("no client %s", os.Args[1]))
	}
	address, topic, s := os.Args[2], os.Args[4], parseSettings(os.Args[5:])
	switch os.Args[3] {
	case "produce":
		fail(produce(c, address, topic))
	case "consume":
		fail(consume(c, address, topic, s))
	case "member":
		fail(member(c, address, topic, s))
	case "transform":
		ctx, stop := context.WithTimeout(context.Background(), 3*silence)
		defer stop()
		fail(c.transform(ctx, address, topic, s))
	default:
		fail(fmt.Errorf("no command %s", os.Args[3]))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// produce runs the script of standard input.
func produce(c client, address, topic string) error {
	type place struct {
		partition int32
		offset    int64
	}
	var mu sync.Mutex
	var places []place
	var p producer
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		line := in.Text()
		var err error
		switch words := strings.Fields(line); words[0] {
		case "!open":
			if p != nil {
				err = p.close()
			}
			if err == nil {
				s := parseSettings(words[1:])
				s["topic"] = topic
				p, err = c.producer(address, s)
			}
		case "!begin":
			err = p.begin()
		case "!flush":
			err = p.flush()
		case "!commit":
			err = p.commit()
		case "!abort":
			if err = p.flush(); err == nil {
				err = p.abort()
			}
		default:
			var r record
			if r, err = parse(line); err != nil {
				break
			}
			mu.Lock()
			i := len(places)
			places = append(places, place{-1, -1})
			mu.Unlock()
			err = p.send(r, func(partition int32, offset int64) {
				mu.Lock()
				defer mu.Unlock()
				places[i] = place{partition, offset}
			})
		}
		if err != nil {
			return fmt.Errorf("%.40s: %w", line, err)
		}
	}
	if err := p.close(); err != nil {
		return err
	}
	for _, pl := range places {
		fmt.Printf("%d\t%d\n", pl.partition, pl.offset)
	}
	return in.Err()
}

func consume(c client, address, topic string, s settings) error {
	n, err := strconv.Atoi(s["n"])
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	quiet := time.AfterFunc(silence, stop)
	got := 0
	err = c.consume(ctx, address, topic, s, func(r record) bool {
		quiet.Reset(silence)
		fmt.Println(r)
		got++
		return got < n
	})
	if err == nil && got < n {
		err = fmt.Errorf("%d of %d records, then silence", got, n)
	}
	return err
}

// member consumes until standard input ends.
func member(c client, address, topic string, s settings) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		for b := make([]byte, 64); ; {
			if _, err := os.Stdin.Read(b); err != nil {
				stop()
				return
			}
		}
	}()
	return c.consume(ctx, address, topic, s, func(r record) bool {
		fmt.Println(r)
		return true
	})
}

func text(b []byte) string {
	if b == nil {
		return "-"
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (r record) String() string {
	headers := make([]string, len(r.headers))
	for i, h := range r.headers {
		headers[i] = text([]byte(h.key)) + ":" + text(h.value)
	}
	return fmt.Sprintf("%d\t%d\t%d\t%s\t%s\t%s", r.partition, r.offset, r.timestamp.UnixMilli(),
		text(r.key), text(r.value), strings.Join(headers, ","))
}

func parse(line string) (record, error) {
	f := strings.Split(line, "\t")
	if len(f) != 6 {
		return record{}, fmt.Errorf("%d fields, want 6", len(f))
	}
	var failed error
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			failed = err
		}
		return n
	}
	bytes := func(s string) []byte {
		if s == "-" {
			return nil
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			failed = err
		}
		return b
	}
	r := record{partition: int32(number(f[0])), timestamp: time.UnixMilli(number(f[2])), key: bytes(f[3]), value: bytes(f[4])}
	for _, h := range strings.Split(f[5], ",") {
		if k, v, ok := strings.Cut(h, ":"); ok {
			r.headers = append(r.headers, header{string(bytes(k)), bytes(v)})
		}
	}
	return r, failed
}
