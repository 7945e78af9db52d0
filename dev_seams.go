package main

import (
	"net"
	"os"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// devSeams is what tarn dev gives a node instead of what it would make. Its methods
// work on nil, which is every other node.
type devSeams struct {
	engine  *memory.Engine
	front   net.Listener // of HTTP: who listens there hands requests on
	sockets []*keptSocket
	faults  *faults
}

// kafka is what goes wrong with requests of clients.
func (d *devSeams) kafka() func(broker.Asked) broker.Fault {
	if d == nil {
		return nil
	}
	return d.faults.kafka
}

// table is what goes wrong with commits of rows.
func (d *devSeams) table() func(topic, format string, made bool) error {
	if d == nil {
		return nil
	}
	return d.faults.table
}

// socket is the i-th Kafka listener's, nil if it is to bind its address.
func (d *devSeams) socket(i int) net.Listener {
	if d == nil {
		return nil
	}
	return d.sockets[i].open()
}

// keptSocket is a bound address that outlives the brokers that listen on it: they
// close what open gives them, and the address stays taken.
type keptSocket struct{ tcp *net.TCPListener }

// open lets another broker listen. The one before it has closed its own.
func (k *keptSocket) open() net.Listener {
	// It fails only on a closed socket, and then Accept says so.
	_ = k.tcp.SetDeadline(time.Time{})
	return &borrowedSocket{TCPListener: k.tcp}
}

// borrowedSocket is a keptSocket in the hands of one broker.
type borrowedSocket struct {
	*net.TCPListener
	mu     sync.Mutex
	closed bool
}

// Accept implements net.Listener.
func (b *borrowedSocket) Accept() (net.Conn, error) {
	conn, err := b.TCPListener.Accept()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed && conn != nil {
		conn.Close()
	}
	if b.closed {
		return nil, net.ErrClosed
	}
	return conn, err
}

// Close implements net.Listener: whoever waits in Accept returns, and the address
// stays bound.
func (b *borrowedSocket) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return net.ErrClosed
	}
	b.closed = true
	return b.TCPListener.SetDeadline(time.Unix(1, 0))
}

// copyTree copies a directory of files.
func copyTree(to, from string) error { return os.CopyFS(to, os.DirFS(from)) }
