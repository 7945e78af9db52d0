import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.NotLeaderOrFollowerException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a share group until standard input ends: ShareMember ADDRESS TOPIC GROUP [WHAT].
 * It takes each record; but for WHAT "release" it gives each third offset back at its first delivery,
 * "reject" refuses each third, and "hold" takes records and acknowledges none. Each record is
 * printed: partition, offset, timestamp, key, value, headers as in records.py (the one header is the
 * delivery count, then what was done: "lost" if that came to nothing since others have the partition now).
 */
public final class ShareMember {
    public static void main(String[] args) throws Exception {
        String what = args.length > 3 ? args[3] : "";
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("group.id", args[2]);
        p.put("share.acknowledgement.mode", "explicit");
        p.put("max.poll.records", "20");
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
        try (KafkaShareConsumer<byte[], byte[]> c = new KafkaShareConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            Set<Exception> failed = new HashSet<>();
            c.setAcknowledgementCommitCallback((offsets, e) -> {
                if (e != null && !lost(e)) failed.add(e);
            });
            c.subscribe(Collections.singletonList(args[1]));
            while (!ended.get()) {
                ConsumerRecords<byte[], byte[]> records = c.poll(Duration.ofMillis(200));
                Map<ConsumerRecord<byte[], byte[]>, String> done = new LinkedHashMap<>();
                for (ConsumerRecord<byte[], byte[]> r : records) done.put(r, act(c, r, what));
                if (what.equals("hold") && !records.isEmpty()) {
                    print(done, Collections.emptySet());
                    while (!ended.get()) Thread.sleep(50);
                    Runtime.getRuntime().halt(0); // gone without a word
                }
                Set<TopicPartition> taken = new HashSet<>();
                c.commitSync().forEach((tp, e) -> e.ifPresent(x -> {
                    if (lost(x)) taken.add(tp.topicPartition());
                    else failed.add(x);
                }));
                for (Exception e : failed) {
                    e.printStackTrace();
                    Runtime.getRuntime().halt(1);
                }
                print(done, taken);
            }
        }
        System.exit(0);
    }

    private static String act(KafkaShareConsumer<byte[], byte[]> c, ConsumerRecord<byte[], byte[]> r, String what) {
        boolean third = r.offset() % 3 == 0;
        boolean first = r.deliveryCount().orElse((short) 0) == 1;
        if (what.equals("hold")) return "hold";
        if (what.equals("release") && third && first) {
            c.acknowledge(r, AcknowledgeType.RELEASE);
            return "release";
        }
        if (what.equals("reject") && third) {
            c.acknowledge(r, AcknowledgeType.REJECT);
            return "reject";
        }
        c.acknowledge(r, AcknowledgeType.ACCEPT);
        return "accept";
    }

    /**
     * Whether the client refused to send acknowledgements, for the partition has been given to others
     * since its records came: those get them when the lock ends. It names that as if the leader had moved.
     */
    private static boolean lost(Exception e) {
        return e instanceof NotLeaderOrFollowerException;
    }

    private static void print(Map<ConsumerRecord<byte[], byte[]>, String> done, Set<TopicPartition> taken) {
        StringBuilder lines = new StringBuilder();
        done.forEach((r, did) -> lines.append(line(r, taken.contains(new TopicPartition(r.topic(), r.partition())) ? "lost" : did)));
        System.out.print(lines);
        System.out.flush();
    }

    private static String line(ConsumerRecord<byte[], byte[]> r, String did) {
        return r.partition() + "\t" + r.offset() + "\t" + r.timestamp() + "\t" + text(r.key()) + "\t" + text(r.value()) + "\t"
            + text(String.valueOf(r.deliveryCount().orElse((short) -1)).getBytes(StandardCharsets.UTF_8)) + ":"
            + text(did.getBytes(StandardCharsets.UTF_8)) + "\n";
    }

    private static String text(byte[] b) {
        return b == null ? "-" : Base64.getEncoder().encodeToString(b);
    }
}
