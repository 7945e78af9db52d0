package console

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFrame holds the frame that stands in the page to the one that app.js draws over
// it: the same pages, in the same order, with the same names and keys.
func TestFrame(t *testing.T) {
	index, err := readAsset(indexFile)
	if err != nil {
		t.Fatal(err)
	}
	app, err := readAsset("app.js")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, m := range regexp.MustCompile(`<a href="/console/([a-z]*)">(\w+)<kbd>g (\w)</kbd></a>`).FindAllSubmatch(index, -1) {
		got = append(got, string(m[1])+" "+string(m[2])+" "+string(m[3]))
	}
	for _, m := range regexp.MustCompile(`\['([a-z]*)', '(\w+)', '(\w)', \(\) => import\('\./pages/(\w+)\.js'\)\]`).FindAllSubmatch(app, -1) {
		want = append(want, string(m[1])+" "+string(m[2])+" "+string(m[3]))
		if module := string(m[4]); module != string(m[1]) && (module != homePage || len(m[1]) > 0) {
			t.Errorf("the page %q is in %s.js: its modules are not found before they are asked for", m[1], module)
		}
	}
	if len(want) < 9 || !slices.Equal(got, want) {
		t.Errorf("the frame has %q, app.js %q", got, want)
	}
}

// TestLogo holds the picture that app.js draws to the one that the page comes with.
func TestLogo(t *testing.T) {
	app, err := readAsset("app.js")
	if err != nil {
		t.Fatal(err)
	}
	drawn := regexp.MustCompile(`<svg .*?</svg>`)
	page := body(t, get(t, Handler(), "/console/"))
	got, want := string(drawn.Find(page)), string(drawn.Find(app))
	if got == "" || strings.ReplaceAll(got, ` aria-hidden="true"`, "") != strings.ReplaceAll(want, ` aria-hidden="true"`, "") {
		t.Errorf("the page has\n%s\napp.js\n%s", got, want)
	}
}

// TestPreloads looks at what the page says to be asked for at once.
func TestPreloads(t *testing.T) {
	h := Handler()
	links := regexp.MustCompile(`<link data-module href="/console/assets/([\w./-]+)">`)
	for _, c := range []struct {
		path, on string
		with     []string
		without  string
	}{
		{"/console", "/console/", []string{"pages/home.js", "chart.js", "pages/tables.js"}, "pages/sql.js"},
		{"/console/", "/console/", []string{"pages/home.js"}, "vendor/uplot.js"},
		{"/console/topics/a%2Fb/records", "/console/topics", []string{"pages/topics.js", "pages/records.js", "json.js"}, "pages/home.js"},
		{"/console/sql", "/console/sql", []string{"pages/sql.js"}, "chart.js"},
		{"/console/nowhere", "", nil, "pages/home.js"},
		{"/console/record", "", nil, "pages/records.js"},
	} {
		page := string(body(t, get(t, h, c.path)))
		var list []string
		for _, m := range links.FindAllStringSubmatch(page, -1) {
			list = append(list, m[1])
		}
		for _, name := range append(c.with, "app.js", "lib.js", "parts.js", "vendor/preact.js", "vendor/preact-signals-core.js") {
			if !slices.Contains(list, name) {
				t.Errorf("%s: %s is not asked for at once: %q", c.path, name, list)
			}
		}
		if slices.Contains(list, c.without) || len(slices.Compact(slices.Sorted(slices.Values(list)))) != len(list) {
			t.Errorf("%s asks for what it does not need, or twice: %q", c.path, list)
		}
		on := regexp.MustCompile(`<a class="on" aria-current="page" href="([^"]*)">`).FindAllStringSubmatch(page, -1)
		if len(on) > 1 || (c.on == "") != (len(on) == 0) || c.on != "" && on[0][1] != c.on {
			t.Errorf("%s: %q is marked, want %q", c.path, on, c.on)
		}
		if strings.Contains(page, "<script type=") || len(list) == 0 || list[0] != "app.js" {
			t.Errorf("%s: %s", c.path, page)
		}
	}
	if a, b := get(t, h, "/console/sql").Header.Get("ETag"), get(t, h, "/console/topics").Header.Get("ETag"); a == b {
		t.Errorf("pages that differ have one tag: %s", a)
	}
}
