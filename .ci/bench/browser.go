package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// errNoBrowser says that there is nothing to open pages with.
var errNoBrowser = errors.New("no Chromium: apt-get install chromium, or name one in the variable CHROMIUM")

// chromiums are the names that Chromium goes by.
var chromiums = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// findChromium gives the path of a Chromium, or errNoBrowser.
func findChromium() (string, error) {
	names := chromiums
	if name := os.Getenv("CHROMIUM"); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoBrowser
}

// browser is a Chromium that is spoken to by the DevTools protocol over a pair of
// pipes: objects of JSON, each with a zero byte behind it. One goroutine uses it at a
// time.
type browser struct {
	cmd  *exec.Cmd
	in   *os.File // commands
	out  *os.File // answers and events
	text *bufio.Reader
	home string
	last int // number of the last command
	stop func() bool
	end  sync.Once
}

// openBrowser starts a Chromium with a profile of its own, and waits until it answers.
func (b *bench) openBrowser(path string) (*browser, error) {
	home, err := os.MkdirTemp(b.home, "chromium-")
	if err != nil {
		return nil, err
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirIn.Close(), in.Close())
	}
	cmd := exec.Command(path, "--headless=new", "--remote-debugging-pipe", "--user-data-dir="+filepath.Join(home, "profile"),
		"--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
		"--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-sync", "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as Chromium expects
	err = cmd.Start()
	err = errors.Join(err, theirIn.Close(), theirOut.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", path, err), in.Close(), out.Close())
	}
	c := &browser{cmd: cmd, in: in, out: out, text: bufio.NewReaderSize(out, 1<<20), home: home}
	c.stop = context.AfterFunc(b.ctx, c.close)
	var version struct{ Product string }
	if err := c.call("", "Browser.getVersion", nil, &version); err != nil {
		c.close()
		return nil, fmt.Errorf("%s does not answer: %w", path, err)
	}
	return c, nil
}

// close ends the browser and removes its profile.
func (c *browser) close() {
	c.end.Do(func() {
		_ = c.cmd.Process.Kill() // nothing of it is kept
		_ = c.cmd.Wait()
		_ = c.in.Close()
		_ = c.out.Close()
		_ = os.RemoveAll(c.home)
	})
}

// call sends a command, to the browser or to the page of a session, and reads until
// its answer; events in between are dropped.
func (c *browser) call(session, method string, params, result any) error {
	c.last++
	message := map[string]any{"id": c.last, "method": method}
	if session != "" {
		message["sessionId"] = session
	}
	if params != nil {
		message["params"] = params
	}
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := c.in.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		text, err := c.text.ReadBytes(0)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(text[:len(text)-1], &answer); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		switch {
		case answer.ID != c.last:
		case answer.Error != nil:
			return fmt.Errorf("%s: %s", method, answer.Error.Message)
		case result == nil:
			return nil
		default:
			return json.Unmarshal(answer.Result, result)
		}
	}
}

// visitor is a page in a context of its own: nothing is in its cache.
type visitor struct {
	browser *browser
	context string
	session string
}

// visitor opens an empty page with nothing in its cache.
func (c *browser) visitor() (*visitor, error) {
	var made struct{ BrowserContextID, TargetID, SessionID string }
	if err := c.call("", "Target.createBrowserContext", nil, &made); err != nil {
		return nil, err
	}
	err := c.call("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": made.BrowserContextID, "width": 1400, "height": 900}, &made)
	if err == nil {
		err = c.call("", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &made)
	}
	if err == nil {
		err = c.call(made.SessionID, "Page.enable", nil, nil)
	}
	return &visitor{browser: c, context: made.BrowserContextID, session: made.SessionID}, err
}

// leave closes the page and forgets its cache.
func (v *visitor) leave() error {
	return v.browser.call("", "Target.disposeBrowserContext", map[string]any{"browserContextId": v.context}, nil)
}

// seen answers, in milliseconds since the navigation began, when the first content was
// painted, and when the page had its heading.
const seen = `new Promise((done) => {
  const paint = new Promise((next) => new PerformanceObserver((list) => {
    const first = list.getEntriesByName('first-contentful-paint')[0];
    if (first) next(first.startTime);
  }).observe({ type: 'paint', buffered: true }));
  const heading = new Promise((next) => {
    const look = () => { if (document.querySelector('h1')) next(performance.now()); else requestAnimationFrame(look); };
    look();
  });
  Promise.all([paint, heading]).then(done);
})`

// visit opens an address and gives what seen says.
func (v *visitor) visit(url string) (paint, heading float64, err error) {
	var gone struct{ ErrorText string }
	if err := v.browser.call(v.session, "Page.navigate", map[string]any{"url": url}, &gone); err != nil {
		return 0, 0, err
	}
	if gone.ErrorText != "" {
		return 0, 0, fmt.Errorf("open %s: %s", url, gone.ErrorText)
	}
	var answer struct {
		Result           struct{ Value []float64 }
		ExceptionDetails *struct{ Text string }
	}
	err = v.browser.call(v.session, "Runtime.evaluate", map[string]any{"expression": seen, "awaitPromise": true, "returnByValue": true, "timeout": patience.Milliseconds()}, &answer)
	switch {
	case err != nil:
		return 0, 0, err
	case answer.ExceptionDetails != nil || len(answer.Result.Value) != 2:
		return 0, 0, fmt.Errorf("open %s: the page does not say when it was painted", url)
	}
	return answer.Result.Value[0], answer.Result.Value[1], nil
}
