package main

import "github.com/tarn-io/tarn/broker/storage/sqlite"

// storeViews are what the broker's items mean, for people who open the store
// with sqlite3: broker/storage/README.md has the columns. Log ends may be a
// second behind.
func storeViews() []sqlite.View {
	return []sqlite.View{
		{Name: "topics", SQL: `select json_extract(v, '$.name') as name, json_extract(v, '$.id') as id,
    json_extract(v, '$.partitions') as partitions,
    (select sum("end" - start) from partitions p where p.topic = json_extract(v, '$.id')) as offsets,
    (select sum(bytes) from partitions p where p.topic = json_extract(v, '$.id')) as bytes,
    coalesce(json_extract(v, '$.configs'), '{}') as configs,
    datetime(json_extract(v, '$.created_ms') / 1000, 'unixepoch') as created
  from (select cast(value as text) as v from item where key >= cast('topic/' as blob) and key < cast('topic0' as blob))
  order by name`},
		{Name: "groups", SQL: `select substr(k, 7) as name, json_extract(v, '$.type') as type,
    nullif(json_extract(v, '$.protocol_type'), '') as protocol_type, nullif(json_extract(v, '$.protocol'), '') as protocol,
    json_extract(v, '$.generation') as generation,
    coalesce(json_array_length(v, '$.members'), json_array_length(v, '$.consumers'), json_array_length(v, '$.streams.members'), 0) as members,
    datetime(json_extract(v, '$.since_ms') / 1000, 'unixepoch') as since
  from (select cast(key as text) as k, cast(value as text) as v from item where key >= cast('group/' as blob) and key < cast('group0' as blob))
  order by name`},
		// A group's name may hold slashes, so keys are read from their end:
		// offset/GROUP/TOPIC/PARTITION, where a topic's id has 32 digits.
		{Name: "offsets", SQL: `select substr(o.head, 8, length(o.head) - 41) as "group", t.name as topic, o.topic as topic_id, o.partition,
    json_extract(o.v, '$.offset') as "offset", p."end" as log_end, p."end" - json_extract(o.v, '$.offset') as lag,
    nullif(json_extract(o.v, '$.metadata'), '') as metadata,
    datetime(json_extract(o.v, '$.commit_ms') / 1000, 'unixepoch') as committed
  from (select head, substr(head, -33, 32) as topic, cast(substr(k, length(head) + 1) as integer) as partition, v
      from (select rtrim(k, '0123456789') as head, k, v
        from (select cast(key as text) as k, cast(value as text) as v from item where key >= cast('offset/' as blob) and key < cast('offset0' as blob)))) o
    left join topics t on t.id = o.topic
    left join partitions p on p.topic = o.topic and p.partition = o.partition
  order by 1, 2, 4`},
		{Name: "schemas", SQL: `select context, subject, json_extract(ver.value, '$.version') as version, json_extract(ver.value, '$.id') as id,
    json_extract(sch.v, '$.type') as type, coalesce(json_extract(ver.value, '$.deleted'), 0) as deleted,
    json_extract(sch.v, '$.text') as schema, json_extract(sch.v, '$.references') as "references",
    datetime(json_extract(ver.value, '$.created_ms') / 1000, 'unixepoch') as created
  from (select substr(k, 10, instr(substr(k, 10), '/') - 1) as context, substr(k, 10 + instr(substr(k, 10), '/') + 8) as subject, v
      from (select cast(key as text) as k, cast(value as text) as v from item where key >= cast('registry/' as blob) and key < cast('registry0' as blob))
      where substr(k, 10 + instr(substr(k, 10), '/'), 8) = 'subject/') s,
    json_each(s.v, '$.versions') ver
    left join (select cast(key as text) as k, cast(value as text) as v from item where key >= cast('registry/' as blob) and key < cast('registry0' as blob)) sch
      on sch.k = 'registry/' || s.context || '/schema/' || printf('%010d', json_extract(ver.value, '$.id'))
  order by context, subject, version`},
	}
}
