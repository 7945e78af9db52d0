// librdkafka as a peer, in C; records.py says what peers read and write.
//
//	peer ADDRESS produce|consume|member|transform TOPIC [setting=value ...]
#define _GNU_SOURCE
#include <inttypes.h>
#include <poll.h>
#include <rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	SILENT_MS = 60000, // a consumer that waits for records ends after so long
	WAIT_MS = 40000,   // for the end of a transaction, or of a flush
	BATCH = 25,        // records between commits
};

static void fail(const char *format, ...) {
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void check(rd_kafka_error_t *e, const char *what) {
	if (e) fail("%s: %s", what, rd_kafka_error_string(e));
}

static void checked(rd_kafka_resp_err_t e, const char *what) {
	if (e) fail("%s: %s", what, rd_kafka_err2str(e));
}

static int64_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// --- settings: words key=value ---------------------------------------------

static const char *setting(char **words, const char *key, const char *other) {
	size_t n = strlen(key);
	for (; *words; words++)
		if (!strncmp(*words, key, n) && (*words)[n] == '=') return *words + n + 1;
	return other;
}

static void set(rd_kafka_conf_t *c, const char *key, const char *value) {
	char why[512];
	if (rd_kafka_conf_set(c, key, value, why, sizeof why)) fail("%s", why);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *c) {
	char why[512];
	rd_kafka_t *k = rd_kafka_new(type, c, why, sizeof why);
	if (!k) fail("%s", why);
	return k;
}

// --- base64; null is "-" ----------------------------------------------------

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void print_bytes(const void *data, size_t n) {
	const unsigned char *b = data;
	if (!b) {
		putchar('-');
		return;
	}
	for (size_t i = 0; i < n; i += 3) {
		unsigned v = b[i] << 16 | (i + 1 < n ? b[i + 1] << 8 : 0) | (i + 2 < n ? b[i + 2] : 0);
		putchar(digits[v >> 18]);
		putchar(digits[v >> 12 & 63]);
		putchar(i + 1 < n ? digits[v >> 6 & 63] : '=');
		putchar(i + 2 < n ? digits[v & 63] : '=');
	}
}

// Decodes in place and ends with a zero byte, for names. Returns NULL for null.
static char *bytes(char *text, size_t *n) {
	*n = 0;
	if (!strcmp(text, "-")) return NULL;
	unsigned v = 0;
	int bits = 0;
	for (char *p = text; *p && *p != '='; p++) {
		const char *d = strchr(digits, *p);
		if (!d) fail("not base64: %s", text);
		v = v << 6 | (unsigned)(d - digits);
		if ((bits += 6) >= 8) text[(*n)++] = (char)(v >> (bits -= 8));
	}
	text[*n] = 0;
	return text;
}

// --- producing ---------------------------------------------------------------

typedef struct {
	int32_t partition;
	int64_t offset;
} place;

static place *places;
static size_t placed, room;

static void delivered(rd_kafka_t *k, const rd_kafka_message_t *m, void *opaque) {
	(void)k, (void)opaque;
	checked(m->err, "delivery");
	size_t i = (size_t)m->_private;
	if (i) places[i - 1] = (place){m->partition, m->offset};
}

static rd_kafka_t *producer(const char *address, char **words) {
	rd_kafka_conf_t *c = rd_kafka_conf_new();
	const char *txn = setting(words, "txn", NULL);
	set(c, "bootstrap.servers", address);
	set(c, "linger.ms", "5");
	set(c, "log_level", "2");
	set(c, "acks", setting(words, "acks", "all"));
	set(c, "compression.type", setting(words, "codec", "none"));
	set(c, "enable.idempotence", txn ? "true" : setting(words, "idempotent", "false"));
	if (txn) set(c, "transactional.id", txn);
	rd_kafka_conf_set_dr_msg_cb(c, delivered);
	rd_kafka_t *p = client(RD_KAFKA_PRODUCER, c);
	if (txn) check(rd_kafka_init_transactions(p, WAIT_MS), "init transactions");
	return p;
}

static void flush(rd_kafka_t *p) { checked(rd_kafka_flush(p, WAIT_MS), "flush"); }

static void enqueue(rd_kafka_t *p, const char *topic, int32_t partition, int64_t timestamp, void *key, size_t keys, void *value,
                    size_t values, rd_kafka_headers_t *headers, size_t number) {
	rd_kafka_resp_err_t e;
	while ((e = rd_kafka_producev(p, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_TIMESTAMP(timestamp),
	                              RD_KAFKA_V_KEY(key, keys), RD_KAFKA_V_VALUE(value, values), RD_KAFKA_V_HEADERS(headers),
	                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE((void *)number),
	                              RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		rd_kafka_poll(p, 100);
	checked(e, "produce");
	rd_kafka_poll(p, 0);
}

static void send_line(rd_kafka_t *p, const char *topic, char *line) {
	char *f[6];
	for (int i = 0; i < 6; i++)
		if (!(f[i] = strsep(&line, "\t"))) fail("a line of %d fields", i);
	size_t keys, values, n;
	char *key = bytes(f[3], &keys), *value = bytes(f[4], &values);
	rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
	for (char *h; f[5] && *f[5] && (h = strsep(&f[5], ","));) {
		char *v = strchr(h, ':');
		*v++ = 0;
		char *name = bytes(h, &n);
		size_t names = n;
		char *b = bytes(v, &n);
		checked(rd_kafka_header_add(headers, name, (ssize_t)names, b, (ssize_t)n), "header");
	}
	if (placed == room) {
		room = room ? 2 * room : 1024;
		if (!(places = realloc(places, room * sizeof *places))) fail("no memory");
	}
	places[placed++] = (place){-1, -1};
	enqueue(p, topic, atoi(f[0]), atoll(f[2]), key, keys, value, values, headers, placed);
}

static void produce(const char *address, const char *topic) {
	rd_kafka_t *p = NULL;
	char *line = NULL;
	size_t size = 0;
	for (ssize_t n; (n = getline(&line, &size, stdin)) > 0;) {
		if (line[n - 1] == '\n') line[n - 1] = 0;
		if (!strncmp(line, "!open", 5)) {
			char *words[16] = {0}, *rest = line;
			for (int i = 0; i < 15 && (words[i] = strsep(&rest, " ")); i++) {}
			if (p) {
				flush(p);
				rd_kafka_destroy(p);
			}
			p = producer(address, words);
		} else if (!strcmp(line, "!begin")) {
			check(rd_kafka_begin_transaction(p), "begin");
		} else if (!strcmp(line, "!flush")) {
			flush(p);
		} else if (!strcmp(line, "!commit")) {
			check(rd_kafka_commit_transaction(p, WAIT_MS), "commit");
		} else if (!strcmp(line, "!abort")) {
			flush(p); // else it throws away what was not sent
			check(rd_kafka_abort_transaction(p, WAIT_MS), "abort");
		} else {
			send_line(p, topic, line);
		}
	}
	flush(p);
	rd_kafka_destroy(p);
	for (size_t i = 0; i < placed; i++) printf("%" PRId32 "\t%" PRId64 "\n", places[i].partition, places[i].offset);
}

// --- consuming ---------------------------------------------------------------

// What was polled and not committed yet.
typedef struct {
	rd_kafka_message_t *records[BATCH];
	size_t n;
} held;

// Forgets what is held of partitions that are given away: whoever has them next
// reads on from what is committed. Without this a rebalance between poll and
// commit lets the commit pass as the new generation's, and a record is read by
// two members.
static void forget(held *h, const rd_kafka_topic_partition_list_t *gone) {
	size_t kept = 0;
	for (size_t i = 0; i < h->n; i++) {
		rd_kafka_message_t *m = h->records[i];
		if (rd_kafka_topic_partition_list_find(gone, rd_kafka_topic_name(m->rkt), m->partition))
			rd_kafka_message_destroy(m);
		else
			h->records[kept++] = m;
	}
	h->n = kept;
}

// Runs inside poll and close only, so a group waits for this member with what
// it takes from it until the member has come back from its commit.
static void rebalanced(rd_kafka_t *k, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list, void *opaque) {
	int cooperative = !strcmp(rd_kafka_rebalance_protocol(k), "COOPERATIVE");
	if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		if (cooperative)
			check(rd_kafka_incremental_assign(k, list), "assign");
		else
			checked(rd_kafka_assign(k, list), "assign");
		return;
	}
	forget(opaque, list);
	if (cooperative)
		check(rd_kafka_incremental_unassign(k, list), "unassign");
	else
		checked(rd_kafka_assign(k, NULL), "unassign");
}

static rd_kafka_t *consumer(const char *address, const char *topic, char **words, held *h) {
	rd_kafka_conf_t *c = rd_kafka_conf_new();
	rd_kafka_conf_set_opaque(c, h);
	rd_kafka_conf_set_rebalance_cb(c, rebalanced);
	set(c, "bootstrap.servers", address);
	set(c, "log_level", "2");
	set(c, "group.id", setting(words, "group", ""));
	set(c, "auto.offset.reset", "earliest");
	set(c, "enable.auto.commit", "false");
	set(c, "isolation.level", setting(words, "isolation", "read_uncommitted"));
	const char *protocol = setting(words, "protocol", NULL);
	if (protocol) set(c, "group.protocol", protocol);
	rd_kafka_t *k = client(RD_KAFKA_CONSUMER, c);
	rd_kafka_poll_set_consumer(k);
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
	checked(rd_kafka_subscribe(k, topics), "subscribe");
	rd_kafka_topic_partition_list_destroy(topics);
	return k;
}

// Takes what is at hand, BATCH records at most.
static void take(rd_kafka_t *k, held *h) {
	while (h->n < BATCH) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(k, h->n ? 10 : 200);
		if (!m) break;
		if (!m->err) {
			h->records[h->n++] = m;
			continue;
		}
		if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF && m->err != RD_KAFKA_RESP_ERR__TRANSPORT &&
		    m->err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
			fail("consume: %s", rd_kafka_message_errstr(m));
		rd_kafka_message_destroy(m);
	}
}

static rd_kafka_topic_partition_list_t *behind(const held *h) {
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
	for (size_t i = 0; i < h->n; i++) {
		const rd_kafka_message_t *m = h->records[i];
		const char *name = rd_kafka_topic_name(m->rkt);
		rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_find(list, name, m->partition);
		if (!tp) tp = rd_kafka_topic_partition_list_add(list, name, m->partition);
		tp->offset = m->offset + 1;
	}
	return list;
}

static void print(const rd_kafka_message_t *m) {
	printf("%" PRId32 "\t%" PRId64 "\t%" PRId64 "\t", m->partition, m->offset, rd_kafka_message_timestamp(m, NULL));
	print_bytes(m->key, m->key_len);
	putchar('\t');
	print_bytes(m->payload, m->len);
	putchar('\t');
	rd_kafka_headers_t *headers;
	if (!rd_kafka_message_headers(m, &headers)) {
		const char *name;
		const void *value;
		size_t n;
		for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &n); i++) {
			if (i) putchar(',');
			print_bytes(name, strlen(name));
			putchar(':');
			print_bytes(value, n);
		}
	}
	putchar('\n');
}

static void drop(held *h) {
	while (h->n) rd_kafka_message_destroy(h->records[--h->n]);
}

// Commits behind what is held, prints it and holds it no more. A member that
// was thrown out (it was silent for too long) holds nothing: others read it.
static size_t commit(rd_kafka_t *k, held *h) {
	rd_kafka_topic_partition_list_t *list = behind(h);
	rd_kafka_resp_err_t e = rd_kafka_commit(k, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
	if (e == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION || e == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS ||
	    e == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || e == RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH)
		drop(h);
	else
		checked(e, "commit");
	size_t n = h->n;
	for (size_t i = 0; i < n; i++) print(h->records[i]);
	fflush(stdout);
	drop(h);
	return n;
}

static int input_ended(void) {
	struct pollfd in = {STDIN_FILENO, POLLIN, 0};
	char b[64];
	return poll(&in, 1, 0) > 0 && read(STDIN_FILENO, b, sizeof b) <= 0;
}

// Consumes n records in a group and leaves, or until standard input ends if
// there is no n.
static void consume(const char *address, const char *topic, char **words) {
	const char *n = setting(words, "n", NULL);
	held h = {0};
	rd_kafka_t *k = consumer(address, topic, words, &h);
	size_t wanted = n ? (size_t)atoll(n) : 0, got = 0;
	int64_t end = now_ms() + SILENT_MS;
	while (n ? got < wanted : !input_ended()) {
		take(k, &h);
		if (h.n) {
			got += commit(k, &h);
			end = now_ms() + SILENT_MS;
		}
		if (n && now_ms() > end) fail("%zu of %zu records, then silence", got, wanted);
	}
	checked(rd_kafka_consumer_close(k), "close");
	rd_kafka_destroy(k);
}

// Copies in transactions with the offsets; each is aborted once before it is
// committed.
static void transform(const char *address, const char *topic, char **words) {
	static char isolated[] = "isolation=read_committed";
	char *reads[] = {(char *)(setting(words, "group", "") - strlen("group=")), isolated, NULL};
	held h = {0};
	rd_kafka_t *k = consumer(address, topic, reads, &h), *p = producer(address, words);
	const char *to = setting(words, "to", "");
	size_t wanted = (size_t)atoll(setting(words, "n", "0")), got = 0;
	int64_t end = now_ms() + SILENT_MS;
	while (got < wanted) {
		take(k, &h);
		for (int keep = 0; h.n && keep < 2; keep++) {
			check(rd_kafka_begin_transaction(p), "begin");
			for (size_t i = 0; i < h.n; i++) {
				rd_kafka_message_t *m = h.records[i];
				rd_kafka_headers_t *own = NULL, *headers = rd_kafka_headers_new(1);
				if (!rd_kafka_message_headers(m, &own)) {
					rd_kafka_headers_destroy(headers);
					headers = rd_kafka_headers_copy(own);
				}
				enqueue(p, to, m->partition, rd_kafka_message_timestamp(m, NULL), m->key, m->key_len, m->payload, m->len, headers, 0);
			}
			rd_kafka_topic_partition_list_t *list = behind(&h);
			rd_kafka_consumer_group_metadata_t *who = rd_kafka_consumer_group_metadata(k);
			check(rd_kafka_send_offsets_to_transaction(p, list, who, WAIT_MS), "offsets");
			rd_kafka_consumer_group_metadata_destroy(who);
			rd_kafka_topic_partition_list_destroy(list);
			if (!keep) flush(p);
			check(keep ? rd_kafka_commit_transaction(p, WAIT_MS) : rd_kafka_abort_transaction(p, WAIT_MS), "end");
			end = now_ms() + SILENT_MS;
		}
		got += h.n;
		drop(&h);
		if (now_ms() > end) fail("%zu of %zu records, then silence", got, wanted);
	}
	rd_kafka_destroy(p);
	checked(rd_kafka_consumer_close(k), "close");
	rd_kafka_destroy(k);
}

int main(int argc, char **argv) {
	if (argc < 4) fail("usage: peer ADDRESS produce|consume|member|transform TOPIC [setting=value ...]");
	if (!strcmp(argv[2], "produce"))
		produce(argv[1], argv[3]);
	else if (!strcmp(argv[2], "consume") || !strcmp(argv[2], "member"))
		consume(argv[1], argv[3], argv + 4);
	else if (!strcmp(argv[2], "transform"))
		transform(argv[1], argv[3], argv + 4);
	else
		fail("no command %s", argv[2]);
	return 0;
}
