package rest

import "net/http"

// Associations bind topics to subjects. There are none here, and serializers of
// the 8.x line must hear that: they ask before the first record of a topic and
// fall back to <topic>-value on an empty list.

func (a *api) noAssociations(*http.Request) (any, error) { return []struct{}{}, nil }

func (a *api) noAssociation(req *http.Request) (any, error) {
	return nil, &problem{http.StatusNotFound, 40410, "No association found for resource '" + req.PathValue("resource") + "'"}
}
