package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ioTimeout is how long one answer may take.
const ioTimeout = 15 * time.Second

// conn is a bare connection that sends requests without waiting.
type conn struct {
	net.Conn
	format *kmsg.RequestFormatter
}

func dial(ctx context.Context, addr string) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{c, kmsg.NewRequestFormatter(kmsg.FormatterClientID("conformance"))}, nil
}

// append adds a request to b. (The formatter writes the length at the start of
// what it is given, so it is given nothing.)
func (c *conn) append(b []byte, r kmsg.Request, id int32) []byte {
	return append(b, c.format.AppendRequest(nil, r, id)...)
}

// roundTrip sends one request and decodes its answer.
func (c *conn) roundTrip(req kmsg.Request) (kmsg.Response, error) {
	if _, err := c.Write(c.append(nil, req, 1)); err != nil {
		return nil, err
	}
	_, b, err := c.answer()
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	if resp.IsFlexible() {
		// The answer's header ends with tags: there are none.
		if len(b) == 0 || b[0] != 0 {
			return nil, errors.New("header of the answer has tags")
		}
		b = b[1:]
	}
	return resp, resp.ReadFrom(b)
}

// answer reads one frame and returns its correlation id and the rest.
func (c *conn) answer() (int32, []byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return 0, nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint32(head[:])) - 4
	if size < 0 || size > 64<<20 {
		return 0, nil, fmt.Errorf("answer of %d bytes", size)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(c, b)
	return int32(binary.BigEndian.Uint32(head[4:])), b, err
}

// pipelined writes -n rounds of requests of several kinds in one go, with a
// Fetch that waits in front of quick ones and Produce with acks=0 between, and
// checks that answers come in the order of the requests and none for acks=0.
func pipelined(ctx context.Context, p *peer) error {
	c, err := dial(ctx, p.brokers)
	if err != nil {
		return err
	}
	defer c.Close()
	var out []byte
	var wanted []int32
	id := int32(1)
	add := func(r kmsg.Request, version int16, answered bool) {
		r.SetVersion(version)
		out = c.append(out, r, id)
		if answered {
			wanted = append(wanted, id)
		}
		id++
	}
	produced := 0
	for round := range p.count {
		record := []line{{Key: fmt.Appendf(nil, "p-%d", round), Value: junk(uint64(round), 100)}}
		fetch := kmsg.NewPtrFetchRequest()
		fetch.MaxWaitMillis, fetch.MinBytes, fetch.MaxBytes = 20, 1<<30, 1<<20
		add(fetch, 11, true)
		for _, acks := range []int16{-1, 0, 1} {
			req := produceRequest(p.topic, [16]byte{}, rawRequest{Partition: 0, Acks: acks, Records: record})
			add(req, 7, acks != 0)
			produced++
		}
		add(kmsg.NewPtrApiVersionsRequest(), 0, true)
		meta := kmsg.NewPtrMetadataRequest()
		meta.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(p.topic)}}
		add(meta, 5, true)
	}
	go func() { _, _ = c.Write(out) }() // the answers show whether it arrived
	for i, want := range wanted {
		got, _, err := c.answer()
		if err != nil {
			return fmt.Errorf("answer %d of %d: %w", i, len(wanted), err)
		}
		if got != want {
			return fmt.Errorf("answer %d has correlation id %d, want %d", i, got, want)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		return err
	}
	if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("after the last answer came %d bytes more, error %v", n, err)
	}
	return p.write(map[string]int{"answers": len(wanted), "produced": produced})
}

// hostile sends frames that no client sends. Each may be refused by an answer
// or by closing the connection within the timeout; then the broker must still
// answer a good request on a new connection.
func hostile(ctx context.Context, p *peer) error {
	u32 := func(n uint32, rest ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), rest...) }
	frames := map[string][]byte{
		"length of 2 GiB":         u32(0x7fffffff, 0, 0, 0, 0),
		"negative length":         u32(0xffffffff, 0, 0, 0, 0),
		"length 0":                u32(0),
		"header cut off":          u32(3, 0, 3, 0),
		"unknown key 9999":        u32(10, 0x27, 0x0f, 0, 0, 0, 0, 0, 1, 0xff, 0xff),
		"Metadata version 999":    u32(10, 0, 3, 0x03, 0xe7, 0, 0, 0, 1, 0xff, 0xff),
		"Produce version -1":      u32(10, 0, 0, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff),
		"client id beyond frame":  u32(10, 0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff),
		"array of 2^31-1 topics":  u32(14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff),
		"ApiVersions v3 cut off":  u32(11, 0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0),
		"an HTTP request":         []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"a TLS client hello":      append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, junk(1, 505)...),
		"random bytes":            junk(2, 4096),
		"Produce of random bytes": append(u32(4106, 0, 0, 0, 7, 0, 0, 0, 1, 0xff, 0xff), junk(3, 4096)...),
		"Fetch of random bytes":   append(u32(4106, 0, 1, 0, 11, 0, 0, 0, 1, 0xff, 0xff), junk(4, 4096)...),
	}
	for name, frame := range frames {
		ended, err := poke(ctx, p.brokers, frame)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := p.alive(ctx); err != nil {
			return fmt.Errorf("after %s: %w", name, err)
		}
		if err := p.write(map[string]string{"frame": name, "broker": ended}); err != nil {
			return err
		}
	}
	return nil
}

// poke sends one frame and says how the broker took it.
func poke(ctx context.Context, addr string, frame []byte) (string, error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Write(frame); err != nil {
		return "closed the connection", nil
	}
	if err := c.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return "", err
	}
	n, err := c.Read(make([]byte, 64<<10))
	switch {
	case n > 0:
		return "answered", nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", errors.New("neither answered nor closed the connection")
	}
	return "closed the connection", nil
}

func (p *peer) alive(ctx context.Context) error {
	cl, err := p.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	_, err = kadm.NewClient(cl).ListTopics(ctx)
	return err
}
