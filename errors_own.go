package main

import "strconv"

// registryErrors explains the codes of the schema registry's API, Confluent's.
func registryErrors() []explained {
	return []explained{
		{"40301", "The user may not do this to the subject.", "tarn acl list; give the right by tarn acl create --subject."},
		{"40401", "There is no such subject.", "tarn schema list; subjects are called TOPIC-value and TOPIC-key unless the topic says otherwise."},
		{"40402", "The subject has no such version.", "tarn schema list has the subjects with their versions; latest is the newest."},
		{"40403", "There is no such schema: the id or GUID is not known, or the text is not registered under the subject.", "Register it, or look whether the client talks to the right registry and context."},
		{"40404", "The subject is deleted, softly.", "Register a version to bring it back, or delete it for good with permanent=true."},
		{"40405", "A subject is deleted softly first, then for good.", "Delete it without permanent=true first."},
		{"40406", "The version is deleted, softly.", "Register the schema again, or delete it for good with permanent=true."},
		{"40407", "A version is deleted softly first, then for good.", "Delete it without permanent=true first."},
		{"40408", "The subject has no compatibility level of its own.", "Ask with defaultToGlobal=true, or set one: tarn schema level SUBJECT --set LEVEL."},
		{"40409", "The subject has no mode of its own.", "Ask with defaultToGlobal=true, or set one: tarn schema mode SUBJECT --set MODE."},
		{"40410", "Nothing is associated with the resource.", "Associate a subject with the topic first."},
		{"40470", "There is no such encryption key.", "Look at the key's name; it may have been deleted."},
		{"40471", "An encryption key is deleted softly first, then for good.", "Delete it without permanent=true first."},
		{"40472", "The encryption key is deleted, softly.", "Undelete it first."},
		{"40901", "The schema is not compatible with the versions before it.", "tarn schema check SUBJECT FILE lists what stands against it, field by field; a default or a nullable type solves most."},
		{"40902", "The resource is associated with more than was asked for.", "Say which association is meant."},
		{"40903", "The resource has an association of this type.", "Change that one, or delete it."},
		{"40904", "The subject has an association.", "Take another subject, or a weak association."},
		{"40905", "The subject belongs to another resource, strongly.", "Take another subject."},
		{"40907", "The subject has no version that is not deleted.", "Register a schema first."},
		{"40908", "The association is frozen.", "Unfreeze it first."},
		{"40971", "There is an encryption key of that name with other values.", "Take another name."},
		{"40972", "There are as many encryption keys as there may be.", "Delete some."},
		{"42201", "The text is no schema of its language; the message says where and why.", "Correct it as the message says."},
		{"42202", "The version is no number from 1 on, and not latest.", "Give one."},
		{"42203", "There is no such compatibility level.", "BACKWARD, FORWARD, FULL, each with or without _TRANSITIVE, NONE, or TABLE."},
		{"42204", "There is no such mode.", "READWRITE, READONLY, READONLY_OVERRIDE, IMPORT or FORWARD."},
		{"42205", "This is not done here: the subject's mode forbids it, or the registry does not offer it; the message says which.", "Set the mode back to READWRITE, or do as the message says."},
		{"42206", "Other schemas refer to the version.", "Delete those first."},
		{"42207", "The id belongs to another schema.", "Take another id, or none."},
		{"42208", "The name of a subject or context is not allowed.", "Contexts begin with a dot; names have no control characters."},
		{"42209", "The schema or the request is too large.", "Split it up by references."},
		{"42210", "A rule set is not valid; the message says why.", "Correct it as the message says."},
		{"42211", "The context has subjects.", "Delete them first."},
		{"42212", "An association is not valid; the message says why.", "Correct it as the message says."},
		{"42271", "A field of an encryption key is missing or not allowed.", "Give it as the message says."},
		{"42272", "Data keys are made under the encryption key.", "Delete those first."},
		{"50001", "The store could not be read or written.", "Look at the broker's log and disk."},
		{"50070", "The key service failed.", "Look at the message; the local one wants LOCAL_SECRET or --registry.kms.secret-file."},
	}
}

// apiErrors explains the codes of Tarn's own HTTP API, where they do not mean what
// the registry means by them.
func apiErrors() []explained {
	return []explained{
		{"40001", "The request cannot be read: a number that is none, JSON that is none, a field that is not known.", "Correct it as the message says; GET /api/openapi.json describes all routes."},
		{"40101", "The broker wants to know who asks, and does not: nobody has signed in, or wrongly.", "Sign in: --user and TARN_PASSWORD, a token, or the login page."},
		{"40301", "The user may not do this.", "tarn acl list; give the right by tarn acl create."},
		{"40401", "What the path names is not there: no such topic, table, subject, snapshot or fault.", "Look at the name that the message says."},
		{"40601", "The answer does not come in a form that the request accepts.", "Send Accept: application/json, or what GET /api/openapi.json says of the route."},
		{"40801", "The tables have not got that far within the time given.", "Wait longer (timeout_ms), or look at tarn table status."},
		{"40901", "It cannot be done as things are; the message says why.", "Do as the message says."},
		{"40902", "It cannot be done on this broker, or to this table, as it was started or set; the message says why.", "Do as the message says."},
		{"42201", "The request can be read and asks for what is not allowed; the message says what.", "Correct it as the message says."},
		{"42205", "Schemas of this kind cannot be described so.", "Do as the message says."},
		{"50001", "Something failed; the message says what.", "Look at the broker's log."},
		{"50301", "The Kafka listener does not answer.", "Look whether the broker is stopping, and at its log."},
		{"50302", "The store does not answer.", "Look at the broker's log and disk."},
		{"50303", "The catalog does not answer.", "Look at the broker's log, and at the catalog if it is another one (--catalog.type)."},
		{"50304", "As many streams or backups are open as there may be.", "Close some, and try again."},
		{"50305", "The broker is starting, or as many requests wait for tables as there may be; the message says which.", "Try again later."},
		{"50306", "The broker is stopping, or what fills a topic's tables has stopped: the topic was deleted or changed.", "Try again; of a topic that is gone it is said then."},
	}
}

// tableErrors explains the states of a topic's tables.
func tableErrors() []explained {
	return []explained{
		{"running", "All is well.", "Nothing."},
		{"waiting_for_schema", "The topic's subject has no schema, or none that the topic's configs can be applied to, so its tables have no columns.", "It goes on by itself when one is registered: tarn schema register TOPIC-value FILE."},
		{"stalled", "Something failed; the message says what.", "It is tried again by itself; tarn table flush TOPIC tries at once."},
		{"log_replaced", "The table was written from another log: the topic was made again, or the log restored.", "After tarn restore: restore with --new-tables and start with an empty --warehouse, or with --same-log if nobody has written to the log since. Else move the table and its dead letters away and restart, or set tarn.table.name."},
		{"name_taken", "Where the table would be is one that Tarn has not made.", "Give that table another name or place, or drop it, and it goes on, at once by tarn table flush TOPIC; or set tarn.table.name."},
		{"table_ahead", "The table holds offsets that the log does not have: the log is older.", "Restore a newer log; or tarn restore --new-tables, and an empty --warehouse; or move the table and its dead letters away and restart."},
		{"rolled_back", "Somebody set the table back to an earlier state.", "Roll it forward and it goes on; or move it and its dead letters away and restart."},
		{"diverged", "The table stands where no commit of Tarn's leads on from.", "Stop the other writer; or move the table and its dead letters away and restart."},
		{"log_trimmed", "The table stands before what tarn.table.log=until_commit has deleted from the log.", "Restore the table or roll it forward; or set tarn.table.log=keep, and it goes on with a gap that is written down."},
		{"mode_changed", "The table was written in another tarn.table.mode, or by another key.", "Set it back; or move the table away and restart; or set tarn.table.name."},
		{"bad_key", "tarn.table.key names no column, or one that cannot be a key.", "Set tarn.table.key, or register a schema that has it."},
	}
}

// rejectionErrors explains why records are refused: the reasons in tarn rejections and
// in the metrics.
func rejectionErrors() []explained {
	return []explained{
		{"no_schema_id", "The record names no schema, and there is none to try.", "Use a serializer of the registry, or register a schema under the topic's subject."},
		{"unknown_schema", "The record names a schema that the registry does not have.", "Look whether the producer talks to this registry; broker and serializer need the same one."},
		{"wrong_subject", "The record's schema is not registered under the topic's subject.", "Register it there, or set tarn.value.subject.name.strategy."},
		{"wrong_version", "The record's schema is a version that the topic does not take.", "Move the producer to a version it takes."},
		{"wrong_message", "The record is another record or message than the topic takes.", "Look at tarn.value.schema.message."},
		{"null", "The record has no value, or no key, and the topic wants one.", "Send one, or allow it in the topic's configs."},
		{"undecodable", "The schema has no such message, or none that can be checked.", "tarn schema describe TOPIC says why."},
		{"payload", "The bytes do not fit the schema; the path says which field.", "Correct the producer; tarn rejections TOPIC -w shows the record."},
		{"rule", "The record fits its schema and breaks a rule of it.", "Look at the rule that the message names."},
	}
}

// explanations is the whole list, from which tarn errors answers and ERRORS.md is made.
func explanations() []errorGroup {
	out := []errorGroup{{Of: "kafka", Title: "Kafka", About: "Error codes of the Kafka protocol. Clients repeat what is retriable by themselves."}}
	for _, e := range kafkaErrors() {
		entry := errorEntry{Of: "kafka", Name: e.name, Means: e.means, Do: e.do}
		if c, ok := lookupCode(e.name); ok {
			entry.Code, entry.Retriable = strconv.Itoa(int(c)), c.Retriable()
		}
		out[0].Entries = append(out[0].Entries, entry)
	}
	for _, g := range []struct {
		of, title, about string
		list             []explained
	}{
		{"registry", "Schema registry", "error_code in answers of the registry, Confluent's numbers.", registryErrors()},
		{"api", "HTTP API", "error_code in answers below /api.", apiErrors()},
		{"table", "Tables", "States of a topic's tables, as tarn table status shows them.", tableErrors()},
		{"rejection", "Rejected records", "Reasons why records do not fit, as tarn rejections and the metric tarn_records_rejected_total show them.", rejectionErrors()},
	} {
		group := errorGroup{Of: g.of, Title: g.title, About: g.about}
		for _, e := range g.list {
			group.Entries = append(group.Entries, errorEntry{Of: g.of, Code: e.name, Means: e.means, Do: e.do})
		}
		out = append(out, group)
	}
	return out
}
