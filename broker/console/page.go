package console

import (
	"bytes"
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
// once and not for each when the one before it has named it. A page is made when it is
// first asked for.
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
			text, err := preloaded(bytes.Replace(index, link, marked, 1), "app.js", "pages/"+module+".js")
			if err != nil {
				return nil, err
			}
			return newAsset(indexFile, text)
		})
	}
	all[indexFile] = sync.OnceValues(func() (*asset, error) {
		text, err := preloaded(index, "app.js")
		if err != nil {
			return nil, err
		}
		return newAsset(indexFile, text)
	})
	return nil
}

// preloaded names in the page's head what the modules need, themselves among it.
func preloaded(page []byte, modules ...string) ([]byte, error) {
	list, err := needed(modules)
	if err != nil {
		return nil, err
	}
	var links bytes.Buffer
	for _, name := range list {
		links.WriteString(`<link rel="modulepreload" href="` + assetPath + name + "\">\n")
	}
	script := []byte(`<script type="module"`)
	return bytes.Replace(page, script, append(links.Bytes(), script...), 1), nil
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
