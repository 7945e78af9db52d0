package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
)

// paint measures when somebody who opens the console sees something: with a browser
// that has just started and a broker whose console nobody has opened before, and in a
// browser that is there but has nothing of the console in its cache. The baseline is a
// page of one line. Where there is no browser it says so and how to get one, and fails
// if it was asked for by name.
func (b *bench) paint() error {
	path, err := findChromium()
	if err != nil {
		if slices.Contains(strings.Split(b.only, ","), "paint") {
			return err
		}
		fmt.Println("NOT MEASURED: the console's first paint:", err)
		return nil
	}
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html><title>plain</title><h1>plain</h1>")) // who has gone sees nothing
	}))
	defer plain.Close()
	if err := b.each(func(int) error { return b.paintNew(path, plain.URL) }); err != nil {
		return err
	}
	s, err := b.serve("paint")
	if err != nil {
		return err
	}
	c, err := b.openBrowser(path)
	if err != nil {
		return err
	}
	defer c.close()
	err = b.each(func(run int) error {
		// The first one of each warms what browser and broker do once.
		if run == 0 {
			if _, _, err := c.fresh(plain.URL, s.ready.HTTP+"/console/"); err != nil {
				return err
			}
		}
		base, console, err := c.fresh(plain.URL, s.ready.HTTP+"/console/")
		if err != nil {
			return err
		}
		b.table.add(namePaint, "ms", console.paint, base.paint, onePage)
		b.table.add("console's page is there, nothing in the cache", "ms", console.heading, base.heading, onePage)
		b.table.add("console first paint, visited before", "ms", console.again, base.again, onePage)
		return nil
	})
	if err != nil {
		return err
	}
	return s.end()
}

const onePage = "a page of one line"

// paintNew visits the console of a broker that has just started by a browser that has,
// and the plain page by another such.
func (b *bench) paintNew(path, plain string) error {
	s, err := b.serve("paint")
	if err != nil {
		return err
	}
	var took [2]float64
	for i, url := range []string{plain, s.ready.HTTP + "/console/"} {
		c, err := b.openBrowser(path)
		if err != nil {
			return err
		}
		v, err := c.visitor()
		if err == nil {
			took[i], _, err = v.visit(url)
		}
		c.close()
		if err != nil {
			return err
		}
	}
	b.table.add(nameFirstPaint, "ms", took[1], took[0], onePage)
	return s.end()
}

// visits is what one visitor saw, in milliseconds: at first, and with all in the cache.
type visits struct{ paint, heading, again float64 }

// fresh visits two addresses, each with nothing in the cache and once more.
func (c *browser) fresh(one, other string) (visits, visits, error) {
	var out [2]visits
	for i, url := range []string{one, other} {
		v, err := c.visitor()
		if err != nil {
			return out[0], out[1], err
		}
		if out[i].paint, out[i].heading, err = v.visit(url); err != nil {
			return out[0], out[1], err
		}
		if out[i].again, _, err = v.visit(url); err != nil {
			return out[0], out[1], err
		}
		if err := v.leave(); err != nil {
			return out[0], out[1], err
		}
	}
	return out[0], out[1], nil
}
