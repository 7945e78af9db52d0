package registry

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
)

// Items are JSON. At start-up there may be hundreds of thousands of them, nearly
// all of two forms, and reading these with encoding/json is most of the time. So
// both have a reader of their own, which takes exactly what encoding/json writes
// in those forms; whatever else there is it leaves to encoding/json.

// readSchemas decodes items of schemas: of a deleted one only the id. Entries and
// texts of one call lie together.
func readSchemas(k keys, context string, items []storage.Item) ([]entry, error) {
	entries := make([]entry, len(items))
	size := 0
	for _, it := range items {
		size += len(it.Value)
	}
	texts := make([]byte, 0, size)
	ends := make([]int, len(items)) // of the texts read here; 0 for others
	for i, it := range items {
		e := &entries[i]
		id, err := k.idOf(it.Key)
		if err != nil {
			return nil, err
		}
		e.id, e.context, e.itemVersion = id, context, it.Version
		if it.Delete {
			continue
		}
		if all, ok := readText(it.Value, texts, &e.item); ok {
			texts, ends[i] = all, len(all)
		} else if err := decode(it, &e.item); err != nil {
			return nil, err
		}
	}
	all, start := string(texts), 0
	for i := range entries {
		e := &entries[i]
		if ends[i] > 0 {
			e.item.Text, start = all[start:ends[i]], ends[i]
		}
		e.guid = e.item.guid()
	}
	return entries, nil
}

// Marks of the form {"type":"PROTOBUF","form":"…","text":"…"}, where the second
// member may be missing.
const (
	markType   = `{"type":"`
	markForm   = `","form":"`
	markText   = `","text":"`
	formDigits = 32
)

// readText reads a schema's item that has nothing but type, form and text, and
// appends the text to texts. It leaves alone (not ok) anything else, an empty
// text too.
func readText(b, texts []byte, into *schemaItem) (all []byte, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte(markType))
	if !ok {
		return texts, false
	}
	language, form := schema.Type(""), ""
	for _, l := range languages {
		if after, ok := bytes.CutPrefix(rest, []byte(l.language)); ok {
			language, rest = l.language, after
			break
		}
	}
	if after, ok := bytes.CutPrefix(rest, []byte(markForm)); ok && len(after) > formDigits {
		form, rest = string(after[:formDigits]), after[formDigits:]
		if strings.Trim(form, "0123456789abcdef") != "" {
			return texts, false
		}
	}
	rest, ok = bytes.CutPrefix(rest, []byte(markText))
	if language == "" || !ok || !bytes.HasSuffix(rest, []byte(`"}`)) {
		return texts, false
	}
	rest = rest[:len(rest)-2]
	all, ok = appendUnquoted(texts, rest)
	if !ok || len(rest) == 0 || !utf8.Valid(rest) {
		return texts, false
	}
	into.Type, into.Form = language, form
	return all, true
}

// appendUnquoted appends what stands between the quotes of a JSON string. It is
// not ok if the string ends before b does, or has what JSON does not allow, or
// one of its rarer escapes.
func appendUnquoted(to, b []byte) (all []byte, ok bool) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\\' {
			if i++; i == len(b) {
				return to, false
			}
			switch c = b[i]; c {
			case '"', '\\', '/':
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'u':
				r, ok := hex4(b[i+1:])
				if !ok || utf16.IsSurrogate(r) {
					return to, false
				}
				to, i = utf8.AppendRune(to, r), i+4
				continue
			default: // rare in schemas
				return to, false
			}
		} else if c < ' ' || c == '"' {
			return to, false
		}
		to = append(to, c)
	}
	return to, true
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(n), err == nil
}

// readVersions reads a subject's item that has versions and no settings. It
// leaves alone (false) any other form.
func readVersions(b []byte, into *subjectItem) bool {
	rest, ok := bytes.CutPrefix(b, []byte(`{"versions":[`))
	if !ok {
		return false
	}
	list := make([]versionItem, 0, bytes.Count(rest, []byte("{")))
	for {
		var vi versionItem
		if vi, rest, ok = readVersion(rest); !ok {
			return false
		}
		list = append(list, vi)
		if bytes.Equal(rest, []byte("]}")) {
			into.Versions = list
			return true
		}
		if rest, ok = bytes.CutPrefix(rest, []byte(",")); !ok {
			return false
		}
	}
}

func readVersion(b []byte) (vi versionItem, rest []byte, ok bool) {
	number, b, ok := readNumber(b, `{"version":`)
	if !ok || number > math.MaxInt32 {
		return vi, nil, false
	}
	id, b, ok := readNumber(b, `,"id":`)
	if !ok || id > math.MaxInt32 {
		return vi, nil, false
	}
	created, b, ok := readNumber(b, `,"created_ms":`)
	if !ok {
		return vi, nil, false
	}
	vi = versionItem{Version: int(number), ID: int(id), CreatedMs: created}
	b, vi.Deleted = bytes.CutPrefix(b, []byte(`,"deleted":true`))
	rest, ok = bytes.CutPrefix(b, []byte("}"))
	return vi, rest, ok
}

// readNumber reads a whole number behind a mark: no sign, no zero in front, at
// most 18 digits.
func readNumber(b []byte, mark string) (n int64, rest []byte, ok bool) {
	if b, ok = bytes.CutPrefix(b, []byte(mark)); !ok {
		return 0, nil, false
	}
	i := 0
	for i < len(b) && i < 18 && '0' <= b[i] && b[i] <= '9' {
		n = 10*n + int64(b[i]-'0')
		i++
	}
	return n, b[i:], i > 0 && (b[0] != '0' || i == 1)
}
