package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
	"github.com/tarn-io/tarn/registry/rest"
)

// devStatus is what GET /_dev answers.
type devStatus struct {
	runFile
	Snapshots []string `json:"snapshots"`
	Faults    []fault  `json:"faults"`
}

// devAdvertise is what clients are told from now on.
type devAdvertise struct {
	Kafka string `json:"kafka"`
}

// devRebalanced says who was taken out of a group.
type devRebalanced struct {
	Group  string `json:"group"`
	Member string `json:"member"`
}

// devRoutes describes the routes that only tarn dev has; a test holds the list to the
// code.
func devRoutes() []rest.Endpoint {
	return []rest.Endpoint{
		{Method: "GET", Path: "/_dev", Tag: "dev", Does: "Get addresses, snapshots and faults", Out: devStatus{}},
		{Method: "GET", Path: "/_dev/openapi.json", Tag: "dev", Does: "Get this description", Out: map[string]any{}},
		{Method: "POST", Path: "/_dev/reset", Tag: "dev", Does: "Begin anew: only what --seed brings is there; connections end, faults are gone, snapshots stay", Query: []string{"seed"}, Out: devStatus{}},
		{Method: "POST", Path: "/_dev/snapshot/{name}", Tag: "dev", Does: "Keep everything as it is now: log, groups, schemas, tables; connections end", Out: devStatus{}},
		{Method: "DELETE", Path: "/_dev/snapshot/{name}", Tag: "dev", Does: "Delete a snapshot", Out: devStatus{}},
		{Method: "POST", Path: "/_dev/restore/{name}", Tag: "dev", Does: "Go back to a snapshot; connections end", Out: devStatus{}},
		{Method: "PUT", Path: "/_dev/advertise", Tag: "dev", Does: "Set the address that Kafka clients are told: host:port, or NAME://host:port with commas between", In: devAdvertise{}, Out: devStatus{}},
		{Method: "GET", Path: "/_dev/faults", Tag: "dev", Does: "List faults and how often they struck", Out: []fault{}},
		{Method: "POST", Path: "/_dev/faults", Tag: "dev", Does: "Let requests or commits go wrong", In: fault{}, Out: fault{}},
		{Method: "DELETE", Path: "/_dev/faults", Tag: "dev", Does: "Delete all faults", Out: []fault{}},
		{Method: "DELETE", Path: "/_dev/faults/{id}", Tag: "dev", Does: "Delete a fault", Out: []fault{}},
		{Method: "POST", Path: "/_dev/groups/{group}/rebalance", Tag: "dev", Does: "Take a member out of a group, which rebalances", Out: devRebalanced{}},
		{Method: "POST", Path: "/_dev/transactions/{id}/expire", Tag: "dev", Does: "Abort an ongoing transaction as if its time were over", Out: devStatus{}},
	}
}

// routes serves tarn dev's routes, and hands all others on to the node.
func (d *dev) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_dev", d.status)
	mux.HandleFunc("GET /_dev/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		text, err := rest.Document(version, devRoutes())
		if err != nil {
			reply(w)(nil, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // the client is gone if this fails
	})
	mux.HandleFunc("POST /_dev/reset", d.reset)
	mux.HandleFunc("POST /_dev/snapshot/{name}", d.snapshot)
	mux.HandleFunc("DELETE /_dev/snapshot/{name}", d.forget)
	mux.HandleFunc("POST /_dev/restore/{name}", d.restore)
	mux.HandleFunc("PUT /_dev/advertise", d.setAdvertise)
	mux.HandleFunc("GET /_dev/faults", d.listFaults)
	mux.HandleFunc("POST /_dev/faults", d.addFault)
	mux.HandleFunc("DELETE /_dev/faults", func(w http.ResponseWriter, r *http.Request) {
		d.seams.faults.remove(0)
		d.listFaults(w, r)
	})
	mux.HandleFunc("DELETE /_dev/faults/{id}", d.deleteFault)
	mux.HandleFunc("POST /_dev/groups/{group}/rebalance", d.rebalance)
	mux.HandleFunc("POST /_dev/transactions/{id}/expire", d.expire)
	mux.HandleFunc("/_dev/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, apiError{Code: 404, Message: "no such route: " + r.Method + " " + r.URL.Path + "; GET /_dev/openapi.json lists them"})
	})
	mux.Handle("/", d.seams.faults.http(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.node.Load().web.Handler.ServeHTTP(w, r)
	})))
	// A page of another origin in a user's browser may not change anything.
	return http.NewCrossOriginProtection().Handler(mux)
}

func (d *dev) status(w http.ResponseWriter, _ *http.Request) {
	d.changing.Lock()
	defer d.changing.Unlock()
	d.answerStatus(w)
}

// answerStatus answers how things are; d.changing is held.
func (d *dev) answerStatus(w http.ResponseWriter) {
	answer(w, http.StatusOK, devStatus{d.addresses(), append([]string{}, slices.Sorted(maps.Keys(d.snapshots))...), d.seams.faults.list()})
}

// exchange ends the node and starts one on another engine and other tables. prepare
// gets what was there and says what is to be; d.changing is held. If it fails, what was
// there goes on.
func (d *dev) exchange(ctx context.Context, prepare func(held *memory.Engine) (*memory.Engine, error)) error {
	held, err := d.halt()
	if err != nil {
		d.fail(err)
		return err
	}
	next, err := prepare(held)
	if err != nil {
		next = held
	}
	d.seams.engine = next
	if failed := d.start(ctx); failed != nil {
		d.fail(failed)
		return errors.Join(err, failed)
	}
	return err
}

// done answers a change of everything.
func (d *dev) done(w http.ResponseWriter, err error) {
	if err != nil {
		reply(w)(nil, err)
		return
	}
	d.answerStatus(w)
}

func (d *dev) reset(w http.ResponseWriter, r *http.Request) {
	d.changing.Lock()
	defer d.changing.Unlock()
	ctx := context.WithoutCancel(r.Context())
	d.seams.faults.remove(0)
	err := d.exchange(ctx, func(*memory.Engine) (*memory.Engine, error) { return memory.New(), os.RemoveAll(d.warehouse()) })
	if err == nil && r.URL.Query().Get("seed") != "false" {
		err = d.seed(ctx)
	}
	d.done(w, err)
}

func (d *dev) snapshot(w http.ResponseWriter, r *http.Request) {
	name, ok := named(w, r)
	if !ok {
		return
	}
	d.changing.Lock()
	defer d.changing.Unlock()
	if _, again := d.snapshots[name]; !again && len(d.snapshots) >= maxSnapshots {
		answer(w, http.StatusConflict, apiError{Code: 40901, Message: fmt.Sprintf("there are %d snapshots already: delete one", maxSnapshots)})
		return
	}
	d.done(w, d.exchange(context.WithoutCancel(r.Context()), func(held *memory.Engine) (*memory.Engine, error) {
		kept, err := held.Clone()
		if err != nil {
			return nil, err
		}
		if err := errors.Join(os.RemoveAll(d.kept(name)), copyTree(d.kept(name), d.warehouse())); err != nil {
			return nil, err
		}
		d.snapshots[name] = kept
		return held, nil
	}))
}

func (d *dev) restore(w http.ResponseWriter, r *http.Request) {
	name, ok := named(w, r)
	if !ok {
		return
	}
	d.changing.Lock()
	defer d.changing.Unlock()
	kept := d.snapshots[name]
	if kept == nil {
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: fmt.Sprintf("no snapshot is called %q; POST /_dev/snapshot/%s makes one", name, name)})
		return
	}
	d.done(w, d.exchange(context.WithoutCancel(r.Context()), func(*memory.Engine) (*memory.Engine, error) {
		next, err := kept.Clone()
		if err != nil {
			return nil, err
		}
		if err := os.RemoveAll(d.warehouse()); err != nil {
			return nil, err
		}
		return next, copyTree(d.warehouse(), d.kept(name))
	}))
}

func (d *dev) forget(w http.ResponseWriter, r *http.Request) {
	name, ok := named(w, r)
	if !ok {
		return
	}
	d.changing.Lock()
	defer d.changing.Unlock()
	delete(d.snapshots, name)
	d.done(w, os.RemoveAll(d.kept(name)))
}

// kept is where the tables of a snapshot are.
func (d *dev) kept(name string) string { return filepath.Join(d.dir, "snapshots", name) }

// named reads a snapshot's name; false means that it has been answered.
func named(w http.ResponseWriter, r *http.Request) (string, bool) {
	name := r.PathValue("name")
	if !snapshotName(name) {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: "snapshots are called by letters, digits, _ and -, 64 at most"})
		return "", false
	}
	return name, true
}

func (d *dev) setAdvertise(w http.ResponseWriter, r *http.Request) {
	var in devAdvertise
	if !readJSON(w, r, maxSettingBytes, &in) {
		return
	}
	d.changing.Lock()
	defer d.changing.Unlock()
	text := in.Kafka
	if _, _, err := net.SplitHostPort(text); err == nil {
		ends, err := d.serve.endpoints()
		if err != nil {
			reply(w)(nil, err)
			return
		}
		text = ends[0].name + "://" + text
	}
	err := d.node.Load().broker.Advertise(r.Context(), text, false)
	if errors.Is(err, api.ErrConfig) {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: err.Error()})
		return
	}
	if err == nil {
		d.advertise = text
	}
	d.done(w, err)
}

func (d *dev) listFaults(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, d.seams.faults.list())
}

func (d *dev) addFault(w http.ResponseWriter, r *http.Request) {
	var in fault
	if !readJSON(w, r, maxSettingBytes, &in) {
		return
	}
	set, err := d.seams.faults.add(in)
	if err != nil {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: err.Error()})
		return
	}
	answer(w, http.StatusOK, set)
}

func (d *dev) deleteFault(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id <= 0 || !d.seams.faults.remove(id) {
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: "no fault has the id " + r.PathValue("id")})
		return
	}
	d.listFaults(w, r)
}

func (d *dev) rebalance(w http.ResponseWriter, r *http.Request) {
	group := r.PathValue("group")
	member, err := d.node.Load().broker.Rebalance(r.Context(), group)
	switch {
	case errors.Is(err, broker.ErrNoMembers):
		answer(w, http.StatusConflict, apiError{Code: 40901, Message: err.Error()})
	default:
		reply(w)(devRebalanced{group, member}, err)
	}
}

func (d *dev) expire(w http.ResponseWriter, r *http.Request) {
	err := d.node.Load().broker.ExpireTransaction(r.Context(), r.PathValue("id"))
	var refused *wire.Error
	switch {
	case !errors.As(err, &refused):
	case refused.Code == wire.TransactionalIDNotFound:
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: refused.Error()})
		return
	default:
		answer(w, http.StatusConflict, apiError{Code: 40901, Message: refused.Error()})
		return
	}
	d.changing.Lock()
	defer d.changing.Unlock()
	d.done(w, err)
}
