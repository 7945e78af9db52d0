package rest

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Endpoint is one operation of an HTTP API as its description says it.
type Endpoint struct {
	Method, Path string // the path with {names}, as in net/http's patterns
	Tag          string // what it belongs to
	Does         string // one line
	Query        []string
	// In and Out are values of the types of the bodies; nil is none.
	In, Out any
	// Type is the content type of both; "" is JSON.
	Type string
	// Fault is a value of the type of errors; nil is the registry's.
	Fault any
}

// Endpoints are the registry's, from the table that it serves.
func Endpoints() []Endpoint {
	var list []Endpoint
	for _, rt := range (&api{}).routes() {
		method, path, ok := strings.Cut(rt.pattern, " ")
		if !ok {
			method, path = http.MethodPost, rt.pattern
		}
		path = strings.ReplaceAll(path, "{$}", "")
		list = append(list, Endpoint{
			Method: method, Path: path, Tag: tagOf(path), Does: rt.does, Query: rt.parameters(), In: rt.in, Out: rt.out, Type: contentType,
		})
	}
	return list
}

// tagOf groups routes as the files of this package do.
func tagOf(path string) string {
	for _, word := range []string{"/subjects", "/schemas", "/compatibility", "/config", "/mode", "/contexts", "/associations", "/dek-registry", "/exporters"} {
		if strings.HasPrefix(path, word) {
			return strings.TrimPrefix(word, "/")
		}
	}
	return "server"
}

// parameter is what the description says of one name in a query or a path.
type parameter struct {
	kind string // boolean, integer, string, or array for several strings
	text string
}

// parameters are those of all routes; a test wants each of them here.
func parameters() map[string]parameter {
	flag, number, word, words := "boolean", "integer", "string", "array"
	return map[string]parameter{
		"aliases": {flag, "search names that are aliases too"}, "algorithm": {word, "AES128_GCM, AES256_GCM (the default) or AES256_SIV"},
		"associationType": {words, "key, value"}, "cascadeLifecycle": {flag, "delete frozen associations with their subjects"},
		"context": {word, "a context, such as .lab"}, "contextPrefix": {word, "start of contexts' names"},
		"defaultToGlobal": {flag, "what is in force, if nothing is set here"}, "deleted": {flag, "what is deleted softly too"},
		"deletedAsNegative": {flag, "deleted versions as negative numbers"}, "deletedOnly": {flag, "what is deleted softly alone"},
		"dryRun": {flag, "check, and change nothing"}, "fetchMaxId": {flag, "tell the highest id"},
		"findTags": {words, "list places with these tags, * for any"}, "force": {flag, "in spite of the compatibility level, or of versions that are there"},
		"format":   {word, "resolved, serialized, ignore_extensions; what a language lacks is the stored text"},
		"guid":     {word, "a schema's GUID"},
		"id":       {number, "a schema's id"},
		"exporter": {word, "an exporter"}, "includeSchemas": {flag, "the latest schema of each subject"},
		"key": {words, "properties of metadata"}, "latestOnly": {flag, "the latest version of each subject alone"},
		"lifecycle": {words, "STRONG, WEAK, or NONE for subjects without associations"}, "limit": {number, "length of a page; negative is all"},
		"name": {word, "a name"}, "namespace": {word, "a cluster's id, - for any; of tables a namespace, its parts separated by %1F"}, "normalize": {flag, "take the schema in its normalized form"},
		"offset": {number, "where a page begins, or the offset of a record"}, "permanent": {flag, "for good, what is deleted softly"},
		"recursive": {flag, "those of a context's subjects too"}, "referenceFormat": {word, "qualified: references with their context"},
		"resource": {word, "a resource's id or name"}, "resourceType": {word, "topic"}, "rewrap": {flag, "encrypt a key that is there anew"},
		"ruleType": {word, "versions with rules of a type, such as CEL"}, "subject": {word, "a subject, :.context:subject for one of a context"},
		"subjectPrefix": {word, "start of subjects' names, :*: for those of all contexts"}, "testSharing": {flag, "try a shared key first"},
		"value": {words, "values of the properties, in their order"}, "verbose": {flag, "list all that speaks against it"},
		"version": {word, "a version's number, or latest"},

		// Of Tarn's own routes.
		"group": {word, "a group"}, "user": {word, "a user"}, "span": {word, "how far back, such as 1h; at most 24h"}, "order": {word, "newest or oldest"},
		"at": {word, "an offset, a time such as 2026-01-31T12:00:00Z, or how long ago such as -1h"}, "cursor": {word, "where the answer before says to go on"},
		"text": {word, "what key, value or a header contains"}, "where": {word, "a condition of SQL, as behind WHERE"}, "scan": {number, "how many records to look at, at most"},
		"follow": {flag, "go on with what comes in, as events"}, "full": {flag, "whole values, however long"},
		"topic": {word, "a topic"}, "dry_run": {flag, "say what would be done"}, "partition": {number, "a partition"}, "from_log_start": {flag, "also where the log no longer reaches back to the table's beginning"}, "timeout_ms": {number, "how long to wait at most, in ms"}, "seconds": {number, "for how long, 60 at most"}, "client_id": {word, "a client id"},
		"q": {word, "a statement of SQL"}, "message": {word, "full name of a Protobuf message, the first of its file if not given"},
		"follow_ms": {number, "how often to send what has changed, in ms; without it the answer ends with the first state"},
		"from":      {word, "where to begin: as the answer before said, or a version"},
		"to":        {word, "the version to end with, the latest if not given"}, "records": {number, "how many of the newest records are looked at"},
		"part": {word, "key or value"}, "closed": {flag, "take no properties that no record had"},

		// Of the Iceberg catalog.
		"parent": {word, "the namespace whose parts are listed"}, "pageToken": {word, "where a page begins: as the page before said, or nothing"}, "pageSize": {number, "length of a page"},
		"snapshots": {word, "all, or refs for those that branches and tags name"}, "purgeRequested": {flag, "delete the files too"},
		"table": {word, "a table"}, "view": {word, "a view"}, "function": {word, "a function"}, "plan": {word, "a scan's plan"},
	}
}

// Document is the OpenAPI 3 description of endpoints.
func Document(version string, endpoints []Endpoint) ([]byte, error) {
	types := newTypes()
	problemRef := types.of(problem{})
	paths := map[string]map[string]any{}
	for _, e := range endpoints {
		path, names := plainPath(e.Path)
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(e.Method)] = e.operation(types, names, problemRef)
	}
	return json.MarshalIndent(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "Tarn", "version": version,
			"description": "The schema registry (Confluent's API), Tarn's own routes, and the Iceberg catalog, whose bodies Iceberg's own description has (open-api/rest-catalog-open-api.yaml). Each route of the registry is also there below /contexts/{context}, for the subjects of that context.",
		},
		"servers": []any{
			map[string]any{"url": "/"},
			map[string]any{"url": "/contexts/{context}", "description": "the registry's routes, in a context", "variables": map[string]any{"context": map[string]any{"default": "."}}},
		},
		"paths":      paths,
		"components": map[string]any{"schemas": types.named},
	}, "", " ")
}

// plainPath takes the forms of net/http's patterns out of a path, and gives the
// names in it.
func plainPath(path string) (plain string, names []string) {
	for part := range strings.SplitSeq(path, "{") {
		if name, _, ok := strings.Cut(part, "}"); ok {
			names = append(names, strings.TrimSuffix(name, "..."))
		}
	}
	return strings.ReplaceAll(path, "...}", "}"), names
}

func (e Endpoint) operation(types *types, names []string, problemRef any) map[string]any {
	var list []any
	for _, name := range names {
		list = append(list, describe(name, "path"))
	}
	for _, name := range e.Query {
		list = append(list, describe(name, "query"))
	}
	kind := e.Type
	if kind == "" {
		kind = "application/json"
	}
	op := map[string]any{"operationId": e.operationID(), "summary": e.Does, "tags": []string{e.Tag}}
	if len(list) > 0 {
		op["parameters"] = list
	}
	if e.In != nil {
		op["requestBody"] = map[string]any{"required": true, "content": content(kind, types.of(e.In))}
	}
	if e.Fault != nil {
		problemRef = types.of(e.Fault)
	}
	ok := map[string]any{"description": "done"}
	status := "204"
	if e.Out != nil {
		status, ok["content"] = "200", content(kind, types.of(e.Out))
	}
	if _, many := e.Out.(several); many {
		status = "207"
	}
	op["responses"] = map[string]any{status: ok, "default": map[string]any{"description": "refused or failed", "content": content(kind, problemRef)}}
	return op
}

func content(kind string, shape any) map[string]any {
	return map[string]any{kind: map[string]any{"schema": shape}}
}

// describe is one parameter. Those in paths are always required.
func describe(name, in string) map[string]any {
	p := parameters()[name]
	shape := map[string]any{"type": p.kind}
	if p.kind == "array" {
		shape["items"] = map[string]any{"type": "string"}
	}
	return map[string]any{"name": name, "in": in, "required": in == "path", "description": p.text, "schema": shape}
}

// operationID names an operation after its method and path: getSubjectsVersions.
func (e Endpoint) operationID() string {
	var b strings.Builder
	b.WriteString(strings.ToLower(e.Method))
	for _, word := range strings.FieldsFunc(e.Path, func(c rune) bool { return strings.ContainsRune("/{}.:-_$", c) }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
