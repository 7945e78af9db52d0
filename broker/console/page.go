package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// indexFile is the page that all places within the console share.
const indexFile = "index.html"

// homePage is the module of the page at Path itself.
const homePage = "home"

var (
	// pageLink is a link of the page's frame to one of the console's pages.
	pageLink = regexp.MustCompile(`<a href="` + Path + `/([a-z]*)">`)
	// styleLink and scriptLink are what a page waits for before it is painted.
	styleLink  = regexp.MustCompile(`<link rel="stylesheet" href="` + assetPath + `([\w./-]+)">`)
	scriptLink = regexp.MustCompile(`<script src="` + assetPath + `([\w./-]+)"></script>`)
	// logoLink is the picture in the page's frame: what has to be asked for is painted later.
	logoLink = regexp.MustCompile(`<img src="` + assetPath + `([\w./-]+)" alt="">`)
	// staticImport is an import that a module needs before it runs.
	staticImport = regexp.MustCompile(`\bfrom\s*['"](\.{1,2}/[\w./-]+)['"]`)
)

// pageName is the name under which the page of an address is kept: one for each first
// part of the path. Places that no link of the frame leads to have none.
func pageName(urlPath string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(urlPath, Path), "/"), "/")
	if first == "" {
		first = homePage
	}
	return indexFile + "/" + first
}

// addPages adds the page once for each link of its frame: with that link marked, and
// with the modules that are needed there, so that the browser asks for all of them at
// once and not for each when the one before it has named it: begin.js has it do so. A
// page is made when it is first asked for.
func addPages(all map[string]func() (*asset, error)) error {
	index, err := readAsset(indexFile)
	if err != nil {
		return err
	}
	for _, m := range pageLink.FindAllSubmatch(index, -1) {
		link, first := m[0], string(m[1])
		module := first
		if first == "" {
			module = homePage
		}
		all[indexFile+"/"+module] = sync.OnceValues(func() (*asset, error) {
			marked := bytes.Replace(link, []byte("<a "), []byte(`<a class="on" aria-current="page" `), 1)
			return newPage(bytes.Replace(index, link, marked, 1), "app.js", "pages/"+module+".js")
		})
	}
	all[indexFile] = sync.OnceValues(func() (*asset, error) { return newPage(index, "app.js") })
	return nil
}

// newPage is a page that needs modules.
func newPage(page []byte, modules ...string) (*asset, error) {
	text, err := preloaded(page, modules...)
	if err != nil {
		return nil, err
	}
	text, inline, err := painted(text)
	if err != nil {
		return nil, err
	}
	a, err := newAsset(indexFile, text)
	if err == nil {
		a.policy = policy(inline)
	}
	return a, err
}

// inlined are the hashes of what stands inline in a page, as the policy has them.
type inlined struct{ scripts, styles string }

// painted puts into the page what its first paint waits for, the styles, the theme and
// the logo: the browser paints when it has the page, and asks for nothing before.
func painted(page []byte) ([]byte, inlined, error) {
	var hashes inlined
	var failed error
	put := func(file, tag string, list *string) []byte {
		text, err := readAsset(file)
		if err != nil {
			failed = err
		}
		sum := sha256.Sum256(text)
		*list += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		return slices.Concat([]byte("<"+tag+">"), text, []byte("</"+tag+">"))
	}
	page = logoLink.ReplaceAllFunc(page, func(link []byte) []byte {
		text, err := readAsset(string(logoLink.FindSubmatch(link)[1]))
		if err != nil {
			failed = err
		}
		return bytes.Replace(bytes.TrimSpace(text), []byte(` xmlns="http://www.w3.org/2000/svg"`), []byte(` aria-hidden="true"`), 1)
	})
	page = styleLink.ReplaceAllFunc(page, func(link []byte) []byte {
		return put(string(styleLink.FindSubmatch(link)[1]), "style", &hashes.styles)
	})
	page = scriptLink.ReplaceAllFunc(page, func(link []byte) []byte {
		return put(string(scriptLink.FindSubmatch(link)[1]), "script", &hashes.scripts)
	})
	return page, hashes, failed
}

// programLink is the module that runs in the page.
var programLink = regexp.MustCompile(`<script type="module" src="[^"]*"></script>`)

// preloaded names in the page's head what the modules need, themselves among it, the
// program first.
func preloaded(page []byte, modules ...string) ([]byte, error) {
	list, err := needed(modules)
	if err != nil {
		return nil, err
	}
	var links bytes.Buffer
	for _, name := range list {
		links.WriteString(`<link data-module href="` + assetPath + name + "\">\n")
	}
	return programLink.ReplaceAllLiteral(page, bytes.TrimSpace(links.Bytes())), nil
}

// needed lists modules and what they import before they run, each once.
func needed(modules []string) ([]string, error) {
	list := slices.Clone(modules)
	for i := 0; i < len(list); i++ {
		text, err := readAsset(list[i])
		if err != nil {
			return nil, err
		}
		for _, m := range staticImport.FindAllSubmatch(text, -1) {
			if name := path.Join(path.Dir(list[i]), string(m[1])); !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list, nil
}
