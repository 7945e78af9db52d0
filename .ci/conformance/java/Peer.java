import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The Java client as a peer; records.py says what peers read and write. Compiled against 2.0, run
 * with clients from 0.11 to 4: what changed in between is called by name. A file named by
 * -Dpeer.config holds further settings of all its clients: how they sign in.
 */
public final class Peer {
    private static final int SILENT_MS = 60_000;
    private static PrintStream out;

    public static void main(String[] args) throws Exception {
        out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, "UTF-8");
        Properties settings = settings(args, 3);
        switch (args[1]) {
            case "produce": produce(args[0], args[2]); break;
            case "consume": consume(args[0], args[2], settings); break;
            case "member": member(args[0], args[2], settings); break;
            case "transform": transform(args[0], args[2], settings); break;
            default: throw new IllegalArgumentException(args[1]);
        }
        out.flush();
        System.exit(0); // a client of old that lingers must not keep the process
    }

    private static Properties settings(String[] words, int from) {
        Properties p = new Properties();
        for (int i = from; i < words.length; i++) {
            int eq = words[i].indexOf('=');
            p.setProperty(words[i].substring(0, eq), words[i].substring(eq + 1));
        }
        return p;
    }

    private static Properties common(String address) throws IOException {
        Properties p = new Properties();
        String file = System.getProperty("peer.config");
        if (file != null) {
            try (InputStream in = new FileInputStream(file)) {
                p.load(in);
            }
        }
        p.put("bootstrap.servers", address);
        return p;
    }

    // --- producing -------------------------------------------------------

    private static KafkaProducer<byte[], byte[]> producer(String address, Properties want) throws IOException {
        Properties p = common(address);
        p.put("linger.ms", "5");
        p.put("acks", want.getProperty("acks", "all"));
        p.put("compression.type", want.getProperty("codec", "none"));
        p.put("enable.idempotence", want.getProperty("idempotent", "false"));
        String txn = want.getProperty("txn");
        if (txn != null) {
            p.put("transactional.id", txn);
            p.put("enable.idempotence", "true");
        }
        KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
        if (txn != null) producer.initTransactions();
        return producer;
    }

    private static void produce(String address, String topic) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        KafkaProducer<byte[], byte[]> producer = null;
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "!open":
                    if (producer != null) producer.close();
                    producer = producer(address, settings(words, 1));
                    break;
                case "!begin": producer.beginTransaction(); break;
                case "!commit": producer.commitTransaction(); break;
                case "!flush": producer.flush(); break;
                case "!abort":
                    // Without a flush an abort throws away what was not sent.
                    producer.flush();
                    producer.abortTransaction();
                    break;
                default: sent.add(producer.send(record(topic, line)));
            }
        }
        producer.close();
        for (Future<RecordMetadata> f : sent) {
            RecordMetadata m = f.get();
            out.println(m.partition() + "\t" + m.offset());
        }
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, String line) {
        String[] f = line.split("\t", -1);
        ProducerRecord<byte[], byte[]> r = new ProducerRecord<>(
            topic, Integer.valueOf(f[0]), Long.valueOf(f[2]), bytes(f[3]), bytes(f[4]));
        if (!f[5].isEmpty()) {
            for (String h : f[5].split(",")) {
                String[] kv = h.split(":", -1);
                r.headers().add(new RecordHeader(new String(bytes(kv[0]), StandardCharsets.UTF_8), bytes(kv[1])));
            }
        }
        return r;
    }

    // --- consuming -------------------------------------------------------

    private static KafkaConsumer<byte[], byte[]> consumer(String address, Properties want) throws IOException {
        Properties p = common(address);
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("group.id", want.getProperty("group"));
        if (want.getProperty("assignor") != null) {
            p.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + want.getProperty("assignor"));
        }
        p.put("isolation.level", want.getProperty("isolation", "read_uncommitted"));
        if (want.getProperty("protocol") != null) p.put("group.protocol", want.getProperty("protocol"));
        if (want.getProperty("remote") != null) p.put("group.remote.assignor", want.getProperty("remote"));
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Consumes n records in a group, commits behind each one and leaves. */
    private static void consume(String address, String topic, Properties want) throws Exception {
        int n = Integer.parseInt(want.getProperty("n"));
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(address, want)) {
            consumer.subscribe(Collections.singletonList(topic));
            long end = System.currentTimeMillis() + SILENT_MS;
            for (int got = 0; got < n; ) {
                for (ConsumerRecord<byte[], byte[]> r : poll(consumer)) {
                    print(r);
                    got++;
                    end = System.currentTimeMillis() + SILENT_MS;
                }
                if (System.currentTimeMillis() > end) {
                    out.flush();
                    throw new IOException(got + " of " + n + " records, then silence");
                }
            }
            consumer.commitSync();
        }
    }

    /** A member of a group until standard input ends: commits behind each poll, then prints it. */
    private static void member(String address, String topic, Properties want) throws Exception {
        AtomicBoolean ended = new AtomicBoolean();
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (IOException e) {
                // as good as the end
            }
            ended.set(true);
        });
        watch.setDaemon(true);
        watch.start();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(address, want)) {
            consumer.subscribe(Collections.singletonList(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> gone) {
                    consumer.commitSync(); // what the rebalance kept from being committed
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> more) { }
            });
            while (!ended.get()) {
                ConsumerRecords<byte[], byte[]> records = poll(consumer);
                if (records.isEmpty()) continue;
                try {
                    consumer.commitSync();
                } catch (KafkaException e) {
                    // KIP-429: while others rebalance one reads on, and commits later.
                    if (!e.getClass().getSimpleName().equals("RebalanceInProgressException")) throw e;
                }
                for (ConsumerRecord<byte[], byte[]> r : records) print(r);
                out.flush();
            }
        }
    }

    /**
     * Reads n records and writes each to the topic "to" in transactions that hold the offsets too.
     * Each second transaction is first aborted and done again.
     */
    private static void transform(String address, String topic, Properties want) throws Exception {
        int n = Integer.parseInt(want.getProperty("n"));
        want.setProperty("isolation", "read_committed");
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(address, want);
             KafkaProducer<byte[], byte[]> producer = producer(address, want)) {
            consumer.subscribe(Collections.singletonList(topic));
            long end = System.currentTimeMillis() + SILENT_MS;
            for (int got = 0, round = 0; got < n; ) {
                ConsumerRecords<byte[], byte[]> records = poll(consumer);
                if (System.currentTimeMillis() > end) throw new IOException(got + " of " + n + " records, then silence");
                if (records.isEmpty()) continue;
                producer.beginTransaction();
                Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
                Map<TopicPartition, Long> first = new HashMap<>();
                for (ConsumerRecord<byte[], byte[]> r : records) {
                    TopicPartition tp = new TopicPartition(r.topic(), r.partition());
                    next.put(tp, new OffsetAndMetadata(r.offset() + 1));
                    first.putIfAbsent(tp, r.offset());
                    producer.send(new ProducerRecord<>(
                        want.getProperty("to"), r.partition(), r.timestamp(), r.key(), r.value(), r.headers()));
                }
                sendOffsets(producer, consumer, next, want.getProperty("group"));
                if (round++ % 2 == 0) {
                    producer.flush();
                    producer.abortTransaction();
                    for (Map.Entry<TopicPartition, Long> e : first.entrySet()) consumer.seek(e.getKey(), e.getValue());
                } else {
                    producer.commitTransaction();
                    got += records.count();
                    end = System.currentTimeMillis() + SILENT_MS;
                }
            }
        }
    }

    // --- what changed over the years -------------------------------------

    @SuppressWarnings("unchecked")
    private static ConsumerRecords<byte[], byte[]> poll(KafkaConsumer<byte[], byte[]> c) throws Exception {
        try {
            return (ConsumerRecords<byte[], byte[]>) call(
                KafkaConsumer.class.getMethod("poll", Duration.class), c, Duration.ofMillis(200));
        } catch (NoSuchMethodException e) { // before KIP-266
            return (ConsumerRecords<byte[], byte[]>) call(KafkaConsumer.class.getMethod("poll", long.class), c, 200L);
        }
    }

    private static void sendOffsets(KafkaProducer<byte[], byte[]> p, KafkaConsumer<byte[], byte[]> c,
            Map<TopicPartition, OffsetAndMetadata> offsets, String group) throws Exception {
        try {
            Object member = call(KafkaConsumer.class.getMethod("groupMetadata"), c);
            Class<?> type = Class.forName("org.apache.kafka.clients.consumer.ConsumerGroupMetadata");
            call(KafkaProducer.class.getMethod("sendOffsetsToTransaction", Map.class, type), p, offsets, member);
        } catch (NoSuchMethodException e) { // before KIP-447
            call(KafkaProducer.class.getMethod("sendOffsetsToTransaction", Map.class, String.class), p, offsets, group);
        }
    }

    private static Object call(Method m, Object on, Object... with) throws Exception {
        try {
            return m.invoke(on, with);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Exception) throw (Exception) e.getCause();
            throw e;
        }
    }

    // --- lines -----------------------------------------------------------

    private static byte[] bytes(String s) {
        return s.equals("-") ? null : Base64.getDecoder().decode(s);
    }

    private static String text(byte[] b) {
        return b == null ? "-" : Base64.getEncoder().encodeToString(b);
    }

    private static void print(ConsumerRecord<byte[], byte[]> r) {
        StringBuilder headers = new StringBuilder();
        for (Header h : r.headers()) {
            if (headers.length() > 0) headers.append(',');
            headers.append(text(h.key().getBytes(StandardCharsets.UTF_8))).append(':').append(text(h.value()));
        }
        out.println(r.partition() + "\t" + r.offset() + "\t" + r.timestamp() + "\t" + text(r.key()) + "\t"
            + text(r.value()) + "\t" + headers);
    }
}
