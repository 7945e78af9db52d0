package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Times of a check. They are far above what anything takes.
const (
	startTime = 2 * time.Minute
	drainTime = time.Minute
	// pollEvery is how often the health check is run until the broker is ready.
	pollEvery = 200 * time.Millisecond
)

// Where the image's settings say that the broker is.
const (
	brokerAddr = "localhost:9092"
	topicName  = "orders"
)

// tester runs the image and counts what is as it should be.
type tester struct {
	c              *container
	passed, failed int
}

func (t *tester) check(what string, err error) {
	if err != nil {
		t.failed++
		fmt.Printf("FAIL %s: %v\n", what, err)
		return
	}
	t.passed++
	fmt.Println("ok  ", what)
}

// inRun runs in namespaces of its own: nothing else listens on 9092 here.
func inRun(dir, layout string) error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("network of the namespace: %w", err)
	}
	img, err := readLayout(layout)
	if err != nil {
		return err
	}
	c, err := newContainer(filepath.Join(dir, "root"), filepath.Join(dir, "volume"), img.config)
	if err != nil {
		return err
	}
	t := &tester{c: c}
	t.image(img)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	t.use(ctx)
	fmt.Printf("%d passed, %d failed\n", t.passed, t.failed)
	if t.failed > 0 {
		return errors.New("the image is not as it should be")
	}
	return nil
}

// image looks at what the image is.
func (t *tester) image(img image) {
	var err error
	if img.layerBytes > maxImageBytes {
		err = fmt.Errorf("%d bytes", img.layerBytes)
	}
	t.check(fmt.Sprintf("compressed to at most %d MB", maxImageBytes/1_000_000), err)
	c := img.config
	err = nil
	if c.User != "65532:65532" || c.Healthcheck == nil || len(c.Volumes) != 1 || c.StopSignal != "SIGTERM" {
		err = fmt.Errorf("configuration %+v", c)
	}
	t.check("user, volume, health check and signal", err)
	b, err := os.ReadFile(filepath.Join(t.c.root, "etc/ssl/certs/ca-certificates.crt"))
	if pool := x509.NewCertPool(); err == nil && !pool.AppendCertsFromPEM(b) {
		err = errors.New("no certificate")
	}
	t.check("certificates of public authorities", err)
}

// use uses the image as people do: run, health check, commands, a client, a table,
// and a stop under load.
func (t *tester) use(ctx context.Context) {
	run, err := t.start(ctx)
	t.check("starts with a read-only root, and the health check agrees", err)
	if err != nil {
		return
	}
	defer run.cancel()
	for _, cmd := range [][]string{
		{"topic", "create", topicName, "--partitions", "4", "-c", "tarn.table.formats=parquet,iceberg", "-c", "tarn.table.value.as=json"},
		{"produce", "small"},
		{"table", "flush", topicName},
		{"sql", "select 1"},
		{"doctor"},
		{"backup", "/tmp/small.db"},
	} {
		_, err := t.c.output(ctx, `{"hello":"world"}`+"\n", cmd...)
		t.check("tarn "+strings.Join(cmd, " "), err)
	}
	out, err := t.c.output(ctx, "", "consume", "small")
	if err == nil && !strings.Contains(out, "world") {
		err = fmt.Errorf("%q", out)
	}
	t.check("tarn consume small", err)
	t.check("tarn dev, told where its clients are, as testcontainers do", t.dev(ctx))
	t.drain(ctx, run)
}

// dev runs a broker for tests beside the other one, and tells it an address.
func (t *tester) dev(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, err := t.c.command(ctx, "dev", "--kafka.listen", "0.0.0.0:19092", "--http.listen", "0.0.0.0:18081", "--insecure-listen")
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // killed
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return fmt.Errorf("no line that it is ready, but %q: %w", line, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://localhost:18081/_dev/advertise", strings.NewReader(`{"kafka":"127.0.0.1:19092"}`))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("PUT /_dev/advertise: %s", resp.Status)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers("localhost:19092"), kgo.AllowAutoTopicCreation())
	if err != nil {
		return err
	}
	defer cl.Close()
	return cl.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr()
}

// running is the broker in its container.
type running struct {
	cancel context.CancelFunc
	ended  chan error
	signal func(os.Signal) error
}

func (t *tester) start(ctx context.Context) (*running, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd, err := t.c.command(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	r := &running{cancel: cancel, ended: make(chan error, 1), signal: cmd.Process.Signal}
	go func() { r.ended <- cmd.Wait() }()
	begun := time.Now()
	for {
		_, err := t.c.output(ctx, "", t.c.config.Healthcheck.Test[2:]...)
		if err == nil {
			fmt.Printf("     healthy after %v\n", time.Since(begun).Round(time.Millisecond))
			return r, nil
		}
		if time.Since(begun) > startTime {
			return r, fmt.Errorf("not healthy: %w", err)
		}
		select {
		case err := <-r.ended:
			return r, fmt.Errorf("ended: %w", err)
		case <-time.After(pollEvery):
		}
	}
}

// drain sends SIGTERM while clients produce: the broker ends well, and whatever it
// has acknowledged is there after a start, once.
func (t *tester) drain(ctx context.Context, run *running) {
	acked, tries, err := t.load(ctx, run)
	t.check(fmt.Sprintf("SIGTERM under load ends it with 0 (%d records acknowledged of %d)", len(acked), tries), err)
	if err != nil {
		return
	}
	again, err := t.start(ctx)
	t.check("starts again on the same volume", err)
	if err != nil {
		return
	}
	defer again.cancel()
	found, err := t.readAll(ctx)
	missing, twice := 0, 0
	for _, v := range acked {
		switch {
		case found[v] == 0:
			missing++
		case found[v] > 1:
			twice++
		}
	}
	if err == nil && (missing > 0 || twice > 0 || len(acked) == 0) {
		err = fmt.Errorf("%d acknowledged, %d missing, %d twice", len(acked), missing, twice)
	}
	t.check("every acknowledged record is there once", err)
	_, err = t.c.output(ctx, "", "table", "flush", topicName)
	t.check("tarn table flush "+topicName, err)
	_, err = t.c.output(ctx, "", "table", "verify", topicName)
	t.check("tarn table verify "+topicName, err)
	if err := again.signal(syscall.SIGTERM); err != nil {
		t.check("SIGTERM", err)
		return
	}
	t.check("ends with 0 when idle", again.wait())
}

// wait waits for the broker's end.
func (r *running) wait() error {
	select {
	case err := <-r.ended:
		return err
	case <-time.After(drainTime):
		return fmt.Errorf("still there after %v", drainTime)
	}
}

// killAfter is how many records are acknowledged before SIGTERM.
const killAfter = 20_000

// load produces without a pause, sends SIGTERM, and returns the records that were
// acknowledged, and how many were handed to the client.
func (t *tester) load(ctx context.Context, run *running) (acked []string, tries int, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokerAddr), kgo.DefaultProduceTopic(topicName), kgo.MaxBufferedRecords(2000), kgo.ProducerLinger(time.Millisecond))
	if err != nil {
		return nil, 0, err
	}
	defer cl.Close()
	if err := cl.Ping(ctx); err != nil {
		return nil, 0, err
	}
	var mu sync.Mutex
	enough := make(chan struct{})
	producing, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; producing.Err() == nil; i++ {
			value := fmt.Sprintf(`{"id":%d}`, i)
			cl.Produce(producing, kgo.StringRecord(value), func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					if acked = append(acked, value); len(acked) == killAfter {
						close(enough)
					}
				}
			})
			tries = i + 1
		}
	}()
	select {
	case <-enough:
	case <-time.After(startTime):
		return nil, tries, errors.New("records are not acknowledged")
	}
	if err := run.signal(syscall.SIGTERM); err != nil {
		return nil, tries, err
	}
	begun := time.Now()
	err = run.wait()
	fmt.Printf("     ended %v after SIGTERM\n", time.Since(begun).Round(time.Millisecond))
	stop()
	<-done
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(acked), tries, err
}

// readAll counts the values of the topic.
func (t *tester) readAll(ctx context.Context) (map[string]int, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokerAddr), kgo.ConsumeTopics(topicName), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topicName)
	if err != nil {
		return nil, err
	}
	want := int64(0)
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	found := map[string]int{}
	for read := int64(0); read < want; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return found, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			found[string(r.Value)]++
			read++
		})
	}
	return found, nil
}
