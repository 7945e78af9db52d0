package auth

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// Mapping turns the distinguished name of a certificate into a user's name, by
// Kafka's ssl.principal.mapping.rules: DEFAULT, or RULE:pattern/replacement/
// with L or U behind it for lower or upper case; the first that fits counts. The
// zero value takes names as they are.
type Mapping struct{ rules []rule }

type rule struct {
	pattern     *regexp.Regexp // nil: DEFAULT
	replacement string
	fold        func(string) string
}

// ParseMapping reads rules separated by commas.
func ParseMapping(s string) (Mapping, error) {
	var m Mapping
	rest := strings.TrimSpace(s)
	for rest != "" {
		var r rule
		var err error
		if after, ok := strings.CutPrefix(rest, "DEFAULT"); ok {
			rest = after
		} else if r, rest, err = parseRule(rest); err != nil {
			return Mapping{}, err
		}
		m.rules = append(m.rules, r)
		rest = strings.TrimSpace(rest)
		if rest == "" {
			break
		}
		after, ok := strings.CutPrefix(rest, ",")
		if !ok {
			return Mapping{}, fmt.Errorf("principal mapping rules: expected a comma at %q", rest)
		}
		rest = strings.TrimSpace(after)
	}
	return m, nil
}

// parseRule reads "RULE:pattern/replacement/[LU]". A slash in the pattern or
// the replacement has a backslash before it.
func parseRule(s string) (r rule, rest string, err error) {
	body, ok := strings.CutPrefix(s, "RULE:")
	if !ok {
		return r, "", fmt.Errorf("principal mapping rules: %q is neither DEFAULT nor RULE:pattern/replacement/", s)
	}
	pattern, body, ok := upToSlash(body)
	if !ok {
		return r, "", fmt.Errorf("principal mapping rules: %q has no end of its pattern", s)
	}
	replacement, rest, ok := upToSlash(body)
	if !ok {
		return r, "", fmt.Errorf("principal mapping rules: %q has no end of its replacement", s)
	}
	// By itself first: parentheses that do not pair must not close the one around it.
	if _, err = regexp.Compile(pattern); err != nil {
		return r, "", fmt.Errorf("principal mapping rules: %w", err)
	}
	// Kafka matches the whole name.
	if r.pattern, err = regexp.Compile("^(?:" + pattern + ")$"); err != nil {
		return r, "", fmt.Errorf("principal mapping rules: %w", err)
	}
	r.replacement = regexp.MustCompile(`\$(\d+)`).ReplaceAllString(replacement, "$${$1}")
	switch {
	case strings.HasPrefix(rest, "L"):
		r.fold, rest = strings.ToLower, rest[1:]
	case strings.HasPrefix(rest, "U"):
		r.fold, rest = strings.ToUpper, rest[1:]
	}
	return r, rest, nil
}

func upToSlash(s string) (part, rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '/':
			return strings.ReplaceAll(s[:i], `\/`, "/"), s[i+1:], true
		}
	}
	return "", "", false
}

// Principal maps a distinguished name. A name that no rule fits is refused.
func (m Mapping) Principal(name string) (Principal, error) {
	if len(m.rules) == 0 {
		return User(name), nil
	}
	for _, r := range m.rules {
		if r.pattern == nil {
			return User(name), nil
		}
		if !r.pattern.MatchString(name) {
			continue
		}
		out := r.pattern.ReplaceAllString(name, r.replacement)
		if r.fold != nil {
			out = r.fold(out)
		}
		return User(out), nil
	}
	return Principal{}, fmt.Errorf("no principal mapping rule fits the certificate of %q", name)
}

// distinguishedName writes a certificate's subject as Java does (RFC 2253): the
// last part first, with these names for what has one.
func distinguishedName(raw []byte) (string, error) {
	var parts pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &parts); err != nil || len(rest) > 0 {
		return "", fmt.Errorf("subject of the certificate is malformed: %w", err)
	}
	names := map[string]string{
		"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET",
		"2.5.4.10": "O", "2.5.4.11": "OU", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
	}
	var out []string
	for i := len(parts) - 1; i >= 0; i-- {
		var words []string
		for _, a := range parts[i] {
			value, text := a.Value.(string)
			name, known := names[a.Type.String()]
			if known && text {
				words = append(words, name+"="+escape(value))
				continue
			}
			der, err := asn1.Marshal(a.Value)
			if err != nil {
				return "", fmt.Errorf("subject of the certificate: %w", err)
			}
			words = append(words, a.Type.String()+"=#"+hex.EncodeToString(der))
		}
		out = append(out, strings.Join(words, "+"))
	}
	return strings.Join(out, ","), nil
}

// escape puts backslashes where RFC 2253 wants them.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		edge := i == 0 && (r == ' ' || r == '#') || i == len(s)-1 && r == ' '
		if edge || strings.ContainsRune(`,+"\<>;`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
