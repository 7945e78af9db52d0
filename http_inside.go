package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

const (
	// maxInside bounds the Kafka clients that requests over HTTP have within the
	// process: each is a connection with two goroutines.
	maxInside = 64
	// insideTimeout bounds what a request does with one.
	insideTimeout = 30 * time.Second
)

// errBusy is refused: too many requests want to speak Kafka.
var errBusy = fmt.Errorf("%d requests are at work, which is all there may be: ask again", maxInside)

// withAdmin runs do with a Kafka client that is connected within the process, in the
// name of whoever asks: what it may do is judged where every client's requests are.
// An error of do is answered.
func (n *node) withAdmin(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, adm *kadm.Client) (any, error), opts ...kgo.Opt) {
	ctx, cancel := context.WithTimeout(r.Context(), insideTimeout)
	defer cancel()
	cl, err := n.inside(ctx, r, opts...)
	if err != nil {
		refuseKafka(w, err)
		return
	}
	defer cl.Close()
	got, err := do(ctx, kadm.NewClient(cl.Client))
	if lacks, is := n.missing(r); is && unauthorized(err) {
		n.notAllowed(w, r, lacks)
		return
	}
	if err != nil {
		refuseKafka(w, err)
		return
	}
	answer(w, http.StatusOK, got)
}

// insideClient gives its place back when it is closed.
type insideClient struct {
	*kgo.Client
	done func()
}

// Close ends the client.
func (c *insideClient) Close() {
	c.Client.Close()
	c.done()
}

// inside makes a Kafka client for a request, which lives as long as ctx.
func (n *node) inside(ctx context.Context, r *http.Request, opts ...kgo.Opt) (*insideClient, error) {
	select {
	case n.insiders <- struct{}{}:
	default:
		return nil, errBusy
	}
	done := func() { <-n.insiders }
	who, remote := principalOf(r), r.RemoteAddr
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(n.broker.Advertised()), kgo.WithContext(ctx),
		kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
			return n.broker.Connect(ctx, who, remote), nil
		}),
		kgo.ClientID("tarn-console"), kgo.SoftwareNameAndVersion("tarn", version),
		// A record is sent once: without a sequence, one that is sent again could be there twice.
		kgo.RequestRetries(2), kgo.RecordRetries(0), kgo.DisableIdempotentWrite(),
		kgo.MaxProduceRequestsInflightPerBroker(1),
	}, opts...)...)
	if err != nil {
		done()
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return &insideClient{cl, done}, nil
}

// refuseKafka answers an error of Kafka's as HTTP says it.
func refuseKafka(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, 50001
	for _, k := range []struct {
		errs         []error
		status, code int
	}{
		{append(refusals(), errNotAllowed), http.StatusForbidden, 40301},
		{[]error{kerr.UnknownTopicOrPartition, kerr.GroupIDNotFound, kerr.ResourceNotFound, errMissing}, http.StatusNotFound, 40401},
		{[]error{kerr.TopicAlreadyExists, kerr.NonEmptyGroup, kerr.UnknownMemberID, kerr.GroupSubscribedToTopic, errState}, http.StatusConflict, 40901},
		{[]error{kerr.InvalidConfig, kerr.InvalidPartitions, kerr.InvalidTopicException, kerr.InvalidReplicationFactor, kerr.InvalidRequest, kerr.PolicyViolation,
			kerr.UnacceptableCredential, kerr.UnsupportedSaslMechanism, kerr.InvalidRecord, kerr.RecordListTooLarge, kerr.MessageTooLarge, kerr.OffsetOutOfRange, errInvalid}, http.StatusUnprocessableEntity, 42201},
		{[]error{errBusy, context.DeadlineExceeded}, http.StatusServiceUnavailable, 50304},
	} {
		for _, e := range k.errs {
			if errors.Is(err, e) {
				status, code = k.status, k.code
			}
		}
	}
	answer(w, status, apiError{Code: code, Message: err.Error()})
}

// refusals are what Kafka clients are told when rules refuse what they ask for.
func refusals() []error {
	return []error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed}
}

// unauthorized reports whether an error is one of the refusals.
func unauthorized(err error) bool {
	return slices.ContainsFunc(refusals(), func(e error) bool { return errors.Is(err, e) })
}

// Errors of the console's routes; all are refused.
var (
	errMissing = errors.New("there is none")
	errInvalid = errors.New("not valid")
	errState   = errors.New("not now")
)

// localRegistry is a client of the registry for a request, without a network: the
// registry's own handler answers, and judges as if the request had come to it.
func (n *node) localRegistry(r *http.Request) (*sr.Client, error) {
	return sr.NewClient(sr.URLs("http://registry"), sr.UserAgent("tarn/"+version),
		sr.HTTPClient(&http.Client{Transport: n.localHTTP(r)}))
}

// localHTTP has requests answered by this process's handlers as those of r's sender.
func (n *node) localHTTP(r *http.Request) http.RoundTripper {
	return roundTrip(func(out *http.Request) (*http.Response, error) {
		in := out.Clone(context.WithValue(out.Context(), principalKey{}, principalOf(r)))
		in.RemoteAddr, in.RequestURI = r.RemoteAddr, out.URL.RequestURI()
		w := &answered{header: http.Header{}, status: http.StatusOK}
		n.schemaREST.ServeHTTP(w, in)
		return &http.Response{
			StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: out,
		}, nil
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (t roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// answered keeps what a handler answers.
type answered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answered) Header() http.Header { return w.header }

func (w *answered) WriteHeader(status int) { w.status = status }

func (w *answered) Write(b []byte) (int, error) { return w.body.Write(b) }
