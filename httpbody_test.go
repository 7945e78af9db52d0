package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTimely has clients send bodies slowly, not at all, and in time to a handler
// that takes long.
func TestTimely(t *testing.T) {
	for _, c := range []struct {
		name  string
		send  func(c net.Conn)
		after time.Duration // when the handler has the body, or why not
		err   error
	}{
		{"whole", func(c net.Conn) { io.WriteString(c, "12345") }, 0, nil},
		{"never", func(net.Conn) {}, bodyGrace, os.ErrDeadlineExceeded},
		{"half", func(c net.Conn) { io.WriteString(c, "12") }, bodyGrace + 2*time.Second/bodyRate, os.ErrDeadlineExceeded},
		{"late", func(c net.Conn) {
			io.WriteString(c, "12")
			time.Sleep(20 * time.Second)
			io.WriteString(c, "345")
		}, 20 * time.Second, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				begun := time.Now()
				got := make(chan error, 1)
				srv := &http.Server{Handler: timely(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, err := io.ReadAll(r.Body)
					if d := time.Since(begun); d != c.after {
						t.Errorf("after %v, want %v", d, c.after)
					}
					got <- err
					if err == nil {
						time.Sleep(10 * bodyGrace) // work
						if r.Context().Err() != nil {
							t.Error("the deadline of the body has ended its request")
						}
					}
				}))}
				ln := &oneListener{c: make(chan net.Conn, 1), end: make(chan struct{})}
				ln.c <- server
				served := make(chan error, 1)
				go func() { served <- srv.Serve(ln) }()
				if _, err := io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				go c.send(client)
				if err := <-got; !errors.Is(err, c.err) {
					t.Errorf("got %v, want %v", err, c.err)
				}
				if c.err == nil {
					line, err := bufio.NewReader(client).ReadString('\n')
					if err != nil || !strings.Contains(line, "200") {
						t.Errorf("answer %q, %v", line, err)
					}
				}
				client.Close()
				srv.Close()
				if err := <-served; !errors.Is(err, http.ErrServerClosed) {
					t.Error(err)
				}
			})
		})
	}
}

// oneListener gives one connection, and then waits for its end.
type oneListener struct {
	c   chan net.Conn
	end chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.c:
		return c, nil
	case <-l.end:
		return nil, net.ErrClosed
	}
}
func (l *oneListener) Close() error   { close(l.end); return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
