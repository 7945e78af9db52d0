import io.apicurio.registry.utils.converter.avro.AvroData;
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.embedded.Connect;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.Base64;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Records what Debezium's PostgreSQL connector makes of a source's changes, in Avro
 * as Connect's converters write it, a record a line, and last the source's rows.
 *
 * <p>Record PORT DIRECTORY: runs before.sql, begins, runs after.sql once the snapshot
 * is there, and ends with the row that after.sql puts into the table done.
 */
public class Record {

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(args[1] + "/changes.jsonl", "UTF-8");
        String url = "jdbc:postgresql://127.0.0.1:" + args[0] + "/postgres?user=postgres";
        try (Connection c = DriverManager.getConnection(url); Statement s = c.createStatement()) {
            s.execute(Files.readString(Path.of(args[1], "before.sql")));
        }
        CountDownLatch begun = new CountDownLatch(1), done = new CountDownLatch(1);
        DebeziumEngine<ChangeEvent<SourceRecord, SourceRecord>> engine = DebeziumEngine.create(Connect.class)
                .using(settings(args[0]))
                .notifying(event -> {
                    SourceRecord r = event.value();
                    if (r.topic().endsWith(".begun")) {
                        begun.countDown();
                    } else if (r.topic().endsWith(".done")) {
                        done.countDown();
                    } else {
                        out.println("{\"topic\":\"" + r.topic() + "\",\"key\":" + avro(r.keySchema(), r.key()) + ",\"value\":" + avro(r.valueSchema(), r.value()) + "}");
                    }
                })
                .using((ok, message, error) -> System.err.println("engine: " + message + " " + error))
                .build();
        ExecutorService runs = Executors.newSingleThreadExecutor();
        runs.execute(engine);
        try (Connection c = DriverManager.getConnection(url); Statement s = c.createStatement()) {
            while (s.executeQuery("SELECT 1 FROM pg_stat_replication").next() == false) {
                Thread.sleep(200);
            }
            s.execute("INSERT INTO shop.begun VALUES (1)");
        }
        if (!begun.await(120, TimeUnit.SECONDS)) {
            throw new IllegalStateException("no snapshot");
        }
        try (Connection c = DriverManager.getConnection(url); Statement s = c.createStatement()) {
            for (String one : Files.readString(Path.of(args[1], "after.sql")).split(";\n")) {
                s.execute(one);
            }
            if (!done.await(120, TimeUnit.SECONDS)) {
                throw new IllegalStateException("the last change did not come");
            }
            for (String table : new String[] {"items", "parts"}) {
                try (ResultSet rows = s.executeQuery("SELECT coalesce(json_agg(x), '[]')::text FROM (SELECT * FROM shop." + table + " ORDER BY id) x")) {
                    rows.next();
                    out.println("{\"table\":\"" + table + "\",\"rows\":" + rows.getString(1).replace("\n", "") + "}");
                }
            }
        }
        engine.close();
        runs.shutdownNow();
        out.close();
    }

    static Properties settings(String port) {
        Properties p = new Properties();
        String[][] all = {
            {"name", "record"}, {"connector.class", "io.debezium.connector.postgresql.PostgresConnector"}, {"plugin.name", "pgoutput"},
            {"offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore"},
            {"database.hostname", "127.0.0.1"}, {"database.port", port}, {"database.user", "postgres"}, {"database.password", "none"},
            {"database.dbname", "postgres"}, {"topic.prefix", "src"}, {"schema.include.list", "shop"}, {"skipped.operations", "none"},
            {"provide.transaction.metadata", "false"}, {"schema.name.adjustment.mode", "avro"}, {"field.name.adjustment.mode", "avro"},
        };
        for (String[] one : all) {
            p.setProperty(one[0], one[1]);
        }
        return p;
    }

    /** The bytes and their schema, or null. */
    static String avro(Schema schema, Object value) {
        if (value == null) {
            return "null";
        }
        try {
            AvroData avro = new AvroData(10); // one that is older mixes up a table before and after its change
            org.apache.avro.Schema as = avro.fromConnectSchema(schema);
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            BinaryEncoder to = EncoderFactory.get().binaryEncoder(bytes, null);
            new GenericDatumWriter<Object>(as).write(avro.fromConnectData(schema, value), to);
            to.flush();
            return "{\"schema\":" + as + ",\"bytes\":\"" + Base64.getEncoder().encodeToString(bytes.toByteArray()) + "\"}";
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
