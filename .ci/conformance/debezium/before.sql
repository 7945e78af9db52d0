CREATE SCHEMA shop;
CREATE TABLE shop.items (
  id bigint PRIMARY KEY, name text, price numeric(12,2), qty int NOT NULL, small smallint, weight double precision, ok boolean,
  made timestamp, seen timestamptz, day date, at time, raw bytea, doc jsonb, uid uuid, tags text[]
);
ALTER TABLE shop.items REPLICA IDENTITY FULL;
CREATE TABLE shop.parts (id int PRIMARY KEY, item bigint, note text DEFAULT 'none');
INSERT INTO shop.items VALUES
  (1, 'first', 12.34, 1, -1, 0.5, true, '2026-01-02 03:04:05.678901', '2026-01-02 03:04:05.678901+02', '2026-01-02', '23:59:59.999999', '\x00ff', '{"a": [1, null]}', '123e4567-e89b-12d3-a456-426614174000', '{x,"y z",NULL}'),
  (2, 'Zoë 🚚', -9999999999.99, 2147483647, 32767, -1e-300, false, '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999Z', '1900-02-28', '00:00:00', '', '"text"', NULL, '{}'),
  (3, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, 'goes', 0.01, 4, 4, 4, true, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO shop.parts SELECT i, i % 4, 'part ' || i FROM generate_series(1, 10) i;
CREATE TABLE shop.logs (id int PRIMARY KEY, line text);
INSERT INTO shop.logs VALUES (1, 'one'), (2, 'two');
CREATE TABLE shop.begun (id int PRIMARY KEY);
CREATE TABLE shop.done (id int PRIMARY KEY);
