package trace

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// FromEnvironment returns the Tracer that OpenTelemetry's variables ask for
// (OTEL_EXPORTER_OTLP_ENDPOINT and its kin), or nil if they ask for none. endpoint, if
// not empty, is the base URL instead of theirs. get is os.Getenv, or its like. An error
// names what is not offered.
func FromEnvironment(get func(string) string, endpoint, version string, lg *slog.Logger) (*Tracer, error) {
	first := func(names ...string) (string, string) {
		for _, n := range names {
			if v := strings.TrimSpace(get(n)); v != "" {
				return n, v
			}
		}
		return "", ""
	}
	if endpoint == "" {
		if strings.EqualFold(get("OTEL_SDK_DISABLED"), "true") || get("OTEL_TRACES_EXPORTER") == "none" {
			return nil, nil
		}
	}
	name, target := "--trace.endpoint", endpoint
	whole := false // the signal's own variable is taken as it is
	if target == "" {
		name, target = first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
		whole = name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	}
	if target == "" {
		return nil, nil
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s %q is no URL of http or https, such as http://localhost:4318", name, target)
	}
	if !whole {
		u = u.JoinPath("v1", "traces")
	}
	if name, p := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); p != "" && p != "http/protobuf" {
		return nil, fmt.Errorf("%s is %q: spans are sent by http/protobuf only, which collectors take on port 4318", name, p)
	}
	cfg := Config{Endpoint: u.String(), Headers: map[string]string{}, Log: lg}
	name, list := first("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
	if err := pairs(list, func(k, v string) { cfg.Headers[k] = v }); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	service := "tarn"
	if err := pairs(get("OTEL_RESOURCE_ATTRIBUTES"), func(k, v string) {
		if k == "service.name" {
			service = v
			return
		}
		cfg.Resource = append(cfg.Resource, Attr{k, v})
	}); err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	if v := get("OTEL_SERVICE_NAME"); v != "" {
		service = v
	}
	cfg.Resource = append(cfg.Resource, Attr{"service.name", service}, Attr{"service.version", version})
	return New(cfg), nil
}

// pairs reads key=value with commas between, percent-encoded as in W3C Baggage. A
// value is not part of an error: it may be a secret.
func pairs(list string, take func(k, v string)) error {
	if strings.TrimSpace(list) == "" {
		return nil
	}
	for i, pair := range strings.Split(list, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(pair), "=")
		text, err := url.PathUnescape(strings.TrimSpace(v))
		if !ok || k == "" || err != nil {
			return fmt.Errorf("entry %d is not key=value, percent-encoded", i+1)
		}
		take(strings.TrimSpace(k), text)
	}
	return nil
}
