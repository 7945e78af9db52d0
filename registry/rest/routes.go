package rest

import "github.com/tarn-io/tarn/registry/dek"

// route is one operation of the API. The table of them is what the mux serves,
// what the OpenAPI description says, and what tests hold to Confluent's.
type route struct {
	pattern string
	handle  handle
	does    string   // one line
	query   []string // the parameters it takes, those of paging by one word
	in, out any      // values of the types of its bodies; nil is none
}

// paging stands for the two parameters offset and limit in route.query.
const paging = "paging"

// parameters are the names of the query's parameters.
func (rt route) parameters() []string {
	var names []string
	for _, name := range rt.query {
		if name == paging {
			names = append(names, "offset", "limit")
		} else {
			names = append(names, name)
		}
	}
	return names
}

func (a *api) routes() []route {
	var all []route
	for _, part := range [][]route{
		a.subjectRoutes(), a.schemaRoutes(), a.settingRoutes(), a.serverRoutes(), a.associationRoutes(),
		a.kekRoutes(), a.dekRoutes(), exporterRoutes(),
	} {
		all = append(all, part...)
	}
	return all
}

func (a *api) subjectRoutes() []route {
	return []route{
		{"GET /subjects", a.listSubjects, "List subjects", []string{"subjectPrefix", "deleted", "deletedOnly", paging}, nil, []string{}},
		{"POST /subjects/{subject}", a.lookUp, "Find the version that has a schema", []string{"normalize", "format", "deleted"}, registerBody{}, versionAnswer{}},
		{"DELETE /subjects/{subject}", a.deleteSubject, "Delete a subject", []string{"permanent"}, nil, []int{}},
		{"GET /subjects/{subject}/metadata", a.latestWithMetadata, "Get the latest version with given properties", []string{"key", "value", "format", "deleted"}, nil, versionAnswer{}},
		{"GET /subjects/{subject}/versions", a.listVersions, "List a subject's versions", []string{"deleted", "deletedOnly", "deletedAsNegative", paging}, nil, []int{}},
		{"POST /subjects/{subject}/versions", a.register, "Register a schema", []string{"normalize", "format", "force"}, registerBody{}, versionAnswer{}},
		{"GET /subjects/{subject}/versions/{version}", a.getVersion, "Get a version", []string{"format", "referenceFormat", "deleted", "findTags"}, nil, versionAnswer{}},
		{"GET /subjects/{subject}/versions/{version}/schema", a.getVersionText, "Get a version's schema alone", []string{"format", "deleted"}, nil, text("")},
		{"GET /subjects/{subject}/versions/{version}/referencedby", a.referencedBy, "List ids of schemas that refer to a version", []string{"deleted", paging}, nil, []int{}},
		{"POST /subjects/{subject}/versions/{version}/tags", a.tag, "Add and remove tags in a schema", nil, tagBody{}, versionAnswer{}},
		{"DELETE /subjects/{subject}/versions/{version}", a.deleteVersion, "Delete a version", []string{"permanent"}, nil, 0},
		{"POST /compatibility/subjects/{subject}/versions/{version}", a.compareWithVersion, "Compare a schema with a version", []string{"normalize", "verbose"}, registerBody{}, verdict{}},
		{"POST /compatibility/subjects/{subject}/versions", a.compareWithAll, "Compare a schema as registering would", []string{"normalize", "verbose"}, registerBody{}, verdict{}},
	}
}

func (a *api) schemaRoutes() []route {
	return []route{
		{"GET /schemas", a.listSchemas, "List versions with their schemas", []string{"subjectPrefix", "aliases", "deleted", "latestOnly", "ruleType", "resourceType", "associationType", "lifecycle", paging}, nil, []listed{}},
		{"GET /schemas/types", a.listTypes, "List schema languages", nil, nil, []string{}},
		{"GET /schemas/ids/{id}", a.getID, "Get a schema by id", []string{"subject", "format", "referenceFormat", "findTags", "fetchMaxId"}, nil, versionAnswer{}},
		{"GET /schemas/ids/{id}/schema", a.getIDText, "Get a schema's text by id", []string{"subject", "format"}, nil, text("")},
		{"GET /schemas/ids/{id}/subjects", a.subjectsOfID, "List subjects that have an id", []string{"subject", "deleted", paging}, nil, []string{}},
		{"GET /schemas/ids/{id}/versions", a.versionsOfID, "List versions that have an id", []string{"subject", "deleted", paging}, nil, []subjectVersion{}},
		{"GET /schemas/guids/{guid}", a.getGUID, "Get a schema by GUID", []string{"format"}, nil, versionAnswer{}},
		{"GET /schemas/guids/{guid}/ids", a.idsOfGUID, "List ids of a GUID", nil, nil, []contextID{}},
	}
}

func (a *api) settingRoutes() []route {
	return []route{
		{"GET /config", a.getConfig, "Get settings of the whole", []string{"defaultToGlobal"}, nil, configAnswer{}},
		{"PUT /config", a.putConfig, "Change settings of the whole", nil, configBody{}, configBody{}},
		{"DELETE /config", a.deleteConfig, "Take back settings of the whole", nil, nil, configAnswer{}},
		{"GET /config/{subject}", a.getConfig, "Get settings of a subject", []string{"defaultToGlobal"}, nil, configAnswer{}},
		{"PUT /config/{subject}", a.putConfig, "Change settings of a subject", nil, configBody{}, configBody{}},
		{"DELETE /config/{subject}", a.deleteConfig, "Take back settings of a subject", nil, nil, configAnswer{}},
		{"GET /mode", a.getMode, "Get the mode of the whole", []string{"defaultToGlobal"}, nil, modeBody{}},
		{"PUT /mode", a.putMode, "Set the mode of the whole", []string{"force"}, modeBody{}, modeBody{}},
		{"DELETE /mode", a.deleteMode, "Take back the mode of the whole", []string{"recursive"}, nil, modeBody{}},
		{"GET /mode/{subject}", a.getMode, "Get the mode of a subject", []string{"defaultToGlobal"}, nil, modeBody{}},
		{"PUT /mode/{subject}", a.putMode, "Set the mode of a subject", []string{"force"}, modeBody{}, modeBody{}},
		{"DELETE /mode/{subject}", a.deleteMode, "Take back the mode of a subject", []string{"recursive"}, nil, modeBody{}},
	}
}

func (a *api) serverRoutes() []route {
	return []route{
		{"GET /{$}", a.root, "Answer a probe", nil, nil, struct{}{}},
		{"POST /{$}", a.root, "Answer a probe", nil, nil, struct{}{}},
		{"GET /contexts", a.listContexts, "List contexts", []string{"contextPrefix", paging}, nil, []string{}},
		{"DELETE /contexts/{context}", a.deleteContext, "Delete an empty context", nil, nil, nil},
		{"GET /v1/metadata/id", a.serverID, "Get the cluster's id", nil, nil, serverID{}},
		{"GET /v1/metadata/version", a.serverVersion, "Get the server's version", nil, nil, serverVersion{}},
		{"GET /v1/metadata/deployment", a.serverDeployment, "Get what kind of server it is", nil, nil, serverDeployment{}},
	}
}

func (a *api) associationRoutes() []route {
	list := []string{"resourceType", "associationType", "lifecycle", paging}
	change := []string{"context", "dryRun"}
	return []route{
		{"GET /associations/subjects/{subject}", a.associationsOfSubject, "List a subject's associations", list, nil, []association{}},
		{"GET /associations/resources/{resource}", a.associationsOfResource, "List a resource's associations by id", list, nil, []association{}},
		{"GET /associations/resources/{namespace}/{resource}", a.associationsOfName, "List a resource's associations by name", list, nil, []association{}},
		{"POST /associations", a.postAssociations, "Associate a resource with subjects", change, associationBody{}, associated{}},
		{"PUT /associations/resources/{resource}", a.putAssociations, "Change a resource's associations", change, associationBody{}, associated{}},
		{"DELETE /associations/resources/{resource}", a.deleteAssociations, "Delete a resource's associations", []string{"resourceType", "associationType", "cascadeLifecycle", "dryRun"}, nil, nil},
		{"POST /associations:batchGet", a.batchGetAssociations, "List associations of several resources", []string{"includeSchemas"}, batchGetBody{}, several{}},
		{"POST /associations:batchMutate", a.batchMutateAssociations, "Change associations of several resources", change, batchMutateBody{}, several{}},
	}
}

func (a *api) kekRoutes() []route {
	const keks = "/dek-registry/v1/keks"
	return []route{
		{"GET " + keks, a.listKEKs, "List key encryption keys", []string{"subjectPrefix", "deleted", paging}, nil, []string{}},
		{"POST " + keks, a.createKEK, "Create a key encryption key", []string{"testSharing"}, dek.KEK{}, dek.KEK{}},
		{"GET " + keks + "/{name}", a.getKEK, "Get a key encryption key", []string{"deleted"}, nil, dek.KEK{}},
		{"PUT " + keks + "/{name}", a.updateKEK, "Change a key encryption key", []string{"testSharing"}, updateKEKBody{}, dek.KEK{}},
		{"DELETE " + keks + "/{name}", a.deleteKEK, "Delete a key encryption key", []string{"permanent"}, nil, nil},
		{"POST " + keks + "/{name}/test", a.testKEK, "Try a shared key encryption key", nil, nil, dek.KEK{}},
		{"POST " + keks + "/{name}/undelete", a.undeleteKEK, "Undelete a key encryption key", nil, nil, nil},
	}
}

func (a *api) dekRoutes() []route {
	const deks = "/dek-registry/v1/keks/{name}/deks"
	of := deks + "/{subject}"
	one := of + "/versions/{version}"
	return []route{
		{"GET " + deks, a.listDEKSubjects, "List subjects that have keys", []string{"deleted", paging}, nil, []string{}},
		{"POST " + deks, a.createDEK, "Create a data encryption key of the body's subject", nil, dekBody{}, dek.DEK{}},
		{"POST " + of, a.createDEK, "Create a data encryption key", []string{"rewrap"}, dekBody{}, dek.DEK{}},
		{"GET " + of, a.getDEK, "Get a data encryption key's first version", []string{"algorithm", "deleted"}, nil, dek.DEK{}},
		{"GET " + of + "/versions", a.listDEKVersions, "List versions of a data encryption key", []string{"algorithm", "deleted", paging}, nil, []int{}},
		{"GET " + one, a.getDEK, "Get a version of a data encryption key", []string{"algorithm", "deleted"}, nil, dek.DEK{}},
		{"DELETE " + of, a.deleteDEK, "Delete data encryption keys of a subject", []string{"algorithm", "permanent"}, nil, nil},
		{"DELETE " + one, a.deleteDEK, "Delete a version of a data encryption key", []string{"algorithm", "permanent"}, nil, nil},
		{"POST " + of + "/undelete", a.undeleteDEK, "Undelete data encryption keys of a subject", []string{"algorithm"}, nil, nil},
		{"POST " + one + "/undelete", a.undeleteDEK, "Undelete a version of a data encryption key", []string{"algorithm"}, nil, nil},
	}
}

// exporterRoutes are those of Schema Linking, which Confluent's open registry
// does not have either.
func exporterRoutes() []route {
	var all []route
	for _, pattern := range []string{
		"GET /exporters", "POST /exporters", "GET /exporters/{exporter}", "PUT /exporters/{exporter}", "DELETE /exporters/{exporter}",
		"GET /exporters/{exporter}/config", "PUT /exporters/{exporter}/config", "GET /exporters/{exporter}/status",
		"PUT /exporters/{exporter}/pause", "PUT /exporters/{exporter}/resume", "PUT /exporters/{exporter}/reset",
	} {
		all = append(all, route{pattern, unsupported("Exporters (Schema Linking)"), "Not offered", nil, nil, nil})
	}
	return all
}
