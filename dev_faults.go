package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// Limits of faults.
const (
	// maxFaults bounds how many are set: each is looked at for each request.
	maxFaults = 100
	// maxFaultDelay is longer than any client waits.
	maxFaultDelay = 10 * time.Minute
	// maxTableDelay bounds what a commit waits: a broker that stops waits for it.
	maxTableDelay = 20 * time.Second
)

// What a fault is on, and what it does.
const (
	onKafka = "kafka" // requests of Kafka clients
	onHTTP  = "http"  // requests to registry, catalog and API
	onTable = "table" // commits of rows to tables

	doFail  = "fail"  // answer with an error, and do nothing
	doDelay = "delay" // wait, then go on
	doDrop  = "drop"  // close the connection, and do nothing
	doLose  = "lose"  // do it, and lose the answer
)

// fault is something that is to go wrong, as JSON. What a filter leaves open fits all.
type fault struct {
	ID int    `json:"id"`
	On string `json:"on"` // kafka, http or table
	Do string `json:"do"` // fail, delay, drop or lose

	API    string `json:"api,omitempty"`    // kafka: Kafka's name, as Produce, or number
	Topic  string `json:"topic,omitempty"`  // kafka, table
	Client string `json:"client,omitempty"` // kafka: what the client calls itself
	Method string `json:"method,omitempty"` // http
	Path   string `json:"path,omitempty"`   // http: what the path begins with
	Format string `json:"format,omitempty"` // table

	Error   string  `json:"error,omitempty"`    // kafka, fail: a name, as NOT_LEADER_OR_FOLLOWER, or number
	Status  int     `json:"status,omitempty"`   // http, fail: 500 unless it says another
	DelayMs int64   `json:"delay_ms,omitempty"` // before anything else, whatever is done
	Skip    int     `json:"skip,omitempty"`     // so many go well first
	Count   int     `json:"count,omitempty"`    // so many go wrong, then it is over; 0: until it is deleted
	Percent float64 `json:"percent,omitempty"`  // of those that fit; 0: all

	Hits int `json:"hits"` // how many went wrong

	key  int16
	code wire.Code
}

// faults are the faults that are set. Safe for concurrent use.
type faults struct {
	mu   sync.Mutex
	all  []*fault
	last int // id given out
}

// prepare checks a fault and reads its names.
func (f *fault) prepare() error {
	does := map[string][]string{onKafka: {doFail, doDelay, doDrop, doLose}, onHTTP: {doFail, doDelay, doDrop, doLose}, onTable: {doFail, doDelay, doLose}}[f.On]
	switch {
	case does == nil:
		return fmt.Errorf("on: %q is not kafka, http or table", f.On)
	case !slices.Contains(does, f.Do):
		return fmt.Errorf("do: %q is not one of %s", f.Do, strings.Join(does, ", "))
	case f.DelayMs < 0 || f.DelayMs > maxFaultDelay.Milliseconds():
		return fmt.Errorf("delay_ms: %d is not from 0 to %d", f.DelayMs, maxFaultDelay.Milliseconds())
	case f.On == onTable && f.DelayMs > maxTableDelay.Milliseconds():
		return fmt.Errorf("delay_ms: a commit waits at most %d", maxTableDelay.Milliseconds())
	case f.Do == doDelay && f.DelayMs == 0:
		return errors.New("delay_ms: how long?")
	case f.Skip < 0 || f.Count < 0 || f.Percent < 0 || f.Percent > 100:
		return errors.New("skip and count are not below 0, percent is from 0 to 100")
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status: %d is not from 400 to 599", f.Status)
	}
	if f.Status == 0 && f.On == onHTTP && f.Do == doFail {
		f.Status = http.StatusInternalServerError
	}
	f.Hits, f.key = 0, -1
	if f.API != "" {
		r, ok := lookupAPI(f.API)
		if !ok {
			return fmt.Errorf("api: %q is no API that is served%s", f.API, suggestAPI(f.API))
		}
		f.API, f.key = r.Name, r.Key
	}
	if f.On == onKafka && f.Do == doFail {
		code, ok := lookupCode(f.Error)
		if !ok || code == wire.None {
			return fmt.Errorf("error: %q is no error of Kafka; try NOT_LEADER_OR_FOLLOWER, or see tarn errors", f.Error)
		}
		f.Error, f.code = code.Name(), code
	}
	return nil
}

// lookupAPI finds an API by Kafka's name or its number.
func lookupAPI(text string) (wire.Range, bool) {
	if n, err := strconv.ParseInt(text, 10, 16); err == nil {
		return wire.Lookup(int16(n))
	}
	for _, r := range wire.Served() {
		if strings.EqualFold(r.Name, text) {
			return r, true
		}
	}
	return wire.Range{}, false
}

// lookupCode finds an error of Kafka by name or number.
func lookupCode(text string) (wire.Code, bool) {
	n, err := strconv.ParseInt(text, 10, 16)
	for _, c := range wire.Codes() {
		if err == nil && c == wire.Code(n) || strings.EqualFold(c.Name(), text) {
			return c, true
		}
	}
	return 0, false
}

// add sets a fault and returns it with its id.
func (s *faults) add(f fault) (fault, error) {
	if err := f.prepare(); err != nil {
		return fault{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxFaults {
		return fault{}, fmt.Errorf("there are %d faults already: delete some", maxFaults)
	}
	s.last++
	f.ID = s.last
	s.all = append(s.all, &f)
	return f, nil
}

// list shows the faults that are set, also those that are over.
func (s *faults) list() []fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]fault, len(s.all))
	for i, f := range s.all {
		out[i] = *f
	}
	return out
}

// remove deletes the fault of an id, all with 0; false if there is none.
func (s *faults) remove(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.all)
	s.all = slices.DeleteFunc(s.all, func(f *fault) bool { return id == 0 || f.ID == id })
	return id == 0 || len(s.all) < n
}

// hit returns the first fault that fits and is due.
func (s *faults) hit(fits func(f *fault) bool) (fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.all {
		switch {
		case f.Count > 0 && f.Hits >= f.Count || !fits(f):
		case f.Skip > 0:
			f.Skip--
		case f.Percent > 0 && rand.Float64()*100 >= f.Percent:
		default:
			f.Hits++
			return *f, true
		}
	}
	return fault{}, false
}

// kafka says what goes wrong with a request.
func (s *faults) kafka(a broker.Asked) broker.Fault {
	f, ok := s.hit(func(f *fault) bool {
		return f.On == onKafka && (f.API == "" || f.key == a.Key) && (f.Client == "" || f.Client == a.ClientID) &&
			(f.Topic == "" || slices.Contains(a.Topics, f.Topic))
	})
	if !ok {
		return broker.Fault{}
	}
	return broker.Fault{Delay: f.delay(), Code: f.code, Drop: f.Do == doDrop, Lose: f.Do == doLose}
}

func (f *fault) delay() time.Duration { return time.Duration(f.DelayMs) * time.Millisecond }

// errInjected is what a commit of rows gets that a fault has taken.
var errInjected = errors.New("injected fault")

// table says what goes wrong with a commit of rows: before it is made, and after.
func (s *faults) table(topic, format string, made bool) error {
	f, ok := s.hit(func(f *fault) bool {
		return f.On == onTable && (f.Topic == "" || f.Topic == topic) && (f.Format == "" || f.Format == format) && (f.Do == doLose) == made
	})
	if !ok {
		return nil
	}
	if f.DelayMs > 0 {
		time.Sleep(f.delay())
	}
	switch f.Do {
	case doFail:
		return fmt.Errorf("commit to %s: %w", format, errInjected)
	case doLose:
		return fmt.Errorf("answer of the commit to %s is lost: %w", format, errInjected)
	}
	return nil
}

// http lets requests go wrong, and hands on what is well.
func (s *faults) http(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := s.hit(func(f *fault) bool {
			return f.On == onHTTP && (f.Method == "" || strings.EqualFold(f.Method, r.Method)) && strings.HasPrefix(r.URL.Path, f.Path)
		})
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if f.DelayMs > 0 {
			select {
			case <-time.After(f.delay()):
			case <-r.Context().Done():
				return
			}
		}
		switch f.Do {
		case doFail:
			answer(w, f.Status, apiError{Code: f.Status*100 + 1, Message: "injected fault"})
		case doDrop:
			panic(http.ErrAbortHandler) // net/http's way to close a connection
		case doLose:
			next.ServeHTTP(lost{}, r)
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// lost is where an answer goes that nobody gets.
type lost struct{}

// Header implements http.ResponseWriter.
func (lost) Header() http.Header { return http.Header{} }

// Write implements http.ResponseWriter.
func (lost) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (lost) WriteHeader(int) {}

// suggestAPI is for who mistypes a name.
func suggestAPI(text string) string {
	var names []string
	for _, r := range wire.Served() {
		names = append(names, r.Name)
	}
	if hint := topic.Suggest(text, names); hint != "" {
		return ", did you mean " + hint + "?"
	}
	return ""
}
