import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import io.apicurio.registry.resolver.ParsedSchemaImpl;
import io.apicurio.registry.resolver.SchemaLookupResult;
import io.apicurio.registry.resolver.SchemaParser;
import io.apicurio.registry.resolver.SchemaResolver;
import io.apicurio.registry.resolver.client.RegistryClientFacade;
import io.apicurio.registry.resolver.data.Record;
import io.apicurio.registry.resolver.strategy.ArtifactReference;
import io.apicurio.registry.resolver.strategy.ArtifactReferenceResolverStrategy;
import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import io.apicurio.registry.serde.jsonschema.JsonSchemaKafkaDeserializer;
import io.apicurio.registry.serde.jsonschema.JsonSchemaKafkaSerializer;
import io.apicurio.registry.serde.protobuf.ProtobufKafkaDeserializer;
import io.apicurio.registry.serde.protobuf.ProtobufKafkaSerializer;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.io.JsonEncoder;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.avro.AvroSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.RestService;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;

/**
 * Java's serializers: Serdes ADDRESS write|read REGISTRY TOPIC N confluent|apicurio, with lines of
 * JSON as serdes.py says. "confluent" is Confluent's own client of the registry around Avro's
 * reader and writer, which is what KafkaAvroSerializer is. "apicurio" is Apicurio's serializers
 * with ids of four bytes and message indexes; their schemas come from this registry by a resolver.
 */
public final class Serdes {
    static final ObjectMapper JSON = new ObjectMapper();
    static String registry;
    static JsonNode setup;

    public static void main(String[] args) {
        try {
            run(args);
            System.exit(0);
        } catch (Throwable e) {
            e.printStackTrace();
            while (e.getCause() != null) e = e.getCause();
            System.err.println(e); // the end of it is shown
            System.exit(1);
        }
    }

    static void run(String[] args) throws Exception {
        registry = args[2];
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        setup = JSON.readTree(in.readLine());
        List<String> values = new ArrayList<>();
        for (String line; (line = in.readLine()) != null; ) values.add(line);
        StringBuilder out = new StringBuilder();
        if (args[1].equals("write")) write(args[0], args[3], args[5], values, out);
        else read(args[0], args[3], Integer.parseInt(args[4]), args[5], out);
        System.out.write(out.toString().getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    static void write(String address, String topic, String what, List<String> values, StringBuilder out) throws Exception {
        Map<String, Object> conf = new HashMap<>();
        conf.put("bootstrap.servers", address);
        try (KafkaProducer<byte[], byte[]> p = new KafkaProducer<>(conf, new ByteArraySerializer(), new ByteArraySerializer())) {
            Writer w = what.equals("confluent") ? confluentWriter(topic) : apicurioWriter(topic);
            for (String value : values) {
                long offset = p.send(new ProducerRecord<>(topic, w.serialize(value))).get().offset();
                out.append("{\"offset\":").append(offset).append("}\n");
            }
        }
    }

    static void read(String address, String topic, int n, String what, StringBuilder out) throws Exception {
        Map<String, Object> conf = new HashMap<>();
        conf.put("bootstrap.servers", address);
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(conf, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            c.assign(List.of(tp));
            c.seekToBeginning(List.of(tp));
            Reader r = what.equals("confluent") ? confluentReader() : apicurioReader(topic);
            for (int got = 0; got < n; ) {
                for (ConsumerRecord<byte[], byte[]> record : c.poll(Duration.ofMillis(500))) {
                    out.append("{\"offset\":").append(record.offset()).append(",\"value\":")
                            .append(r.deserialize(record.value())).append("}\n");
                    got++;
                }
            }
        }
    }

    interface Writer {
        byte[] serialize(String json) throws Exception;
    }

    interface Reader {
        String deserialize(byte[] value) throws Exception;
    }

    static Object fromJson(Schema s, String json) throws Exception {
        return new GenericDatumReader<>(s).read(null, DecoderFactory.get().jsonDecoder(s, json));
    }

    static String toJson(Schema s, Object value) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        JsonEncoder e = EncoderFactory.get().jsonEncoder(s, out);
        new GenericDatumWriter<>(s).write(value, e);
        e.flush();
        return out.toString(StandardCharsets.UTF_8);
    }

    // -- Confluent's client

    static Writer confluentWriter(String topic) throws Exception {
        CachedSchemaRegistryClient client = new CachedSchemaRegistryClient(registry, 100);
        AvroSchema text = new AvroSchema(setup.get("schema").asText());
        int id = client.register(topic + "-value", text);
        if (client.getId(topic + "-value", text) != id) throw new IllegalStateException("looked up another id");
        Schema s = new Schema.Parser().parse(text.canonicalString());
        return json -> {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            out.write(0);
            out.write(ByteBuffer.allocate(4).putInt(id).array());
            var e = EncoderFactory.get().binaryEncoder(out, null);
            new GenericDatumWriter<>(s).write(fromJson(s, json), e);
            e.flush();
            return out.toByteArray();
        };
    }

    static Reader confluentReader() {
        CachedSchemaRegistryClient client = new CachedSchemaRegistryClient(registry, 100);
        return value -> {
            int id = ByteBuffer.wrap(value).getInt(1);
            Schema s = new Schema.Parser().parse(client.getSchemaById(id).canonicalString());
            return toJson(s, new GenericDatumReader<>(s).read(null, DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null)));
        };
    }

    // -- Apicurio's serializers

    static Map<String, Object> apicurio() {
        Map<String, Object> conf = new HashMap<>();
        conf.put("apicurio.registry.url", registry + "/apis/registry/v3"); // asked for, never called
        conf.put("apicurio.registry.schema-resolver", Resolver.class.getName());
        conf.put("apicurio.registry.use-id", "contentId");
        conf.put("apicurio.registry.id-handler", "io.apicurio.registry.serde.Default4ByteIdHandler");
        conf.put("apicurio.registry.headers.enabled", false);
        conf.put("apicurio.registry.serde.send-type-ref", false);
        conf.put("apicurio.registry.serde.read-type-ref", false);
        conf.put("apicurio.registry.serde.send-indexes", true);
        conf.put("apicurio.registry.serde.read-indexes", true);
        return conf;
    }

    @SuppressWarnings("unchecked")
    static Writer apicurioWriter(String topic) throws Exception {
        String type = setup.get("type").asText();
        Serializer<Object> s = (Serializer<Object>) (Serializer<?>) (type.equals("AVRO") ? new AvroKafkaSerializer<>()
                : type.equals("JSON") ? new JsonSchemaKafkaSerializer<>() : new ProtobufKafkaSerializer<Message>());
        s.configure(apicurio(), false);
        if (type.equals("AVRO")) {
            Schema schema = new Schema.Parser().parse(setup.get("schema").asText());
            return json -> s.serialize(topic, fromJson(schema, json));
        }
        if (type.equals("JSON")) return json -> s.serialize(topic, JSON.readTree(json));
        Descriptor d = descriptor();
        return json -> {
            DynamicMessage.Builder b = DynamicMessage.newBuilder(d);
            JsonFormat.parser().merge(json, b);
            return s.serialize(topic, b.build());
        };
    }

    static Reader apicurioReader(String topic) throws Exception {
        String type = setup.get("type").asText();
        Deserializer<?> d = type.equals("AVRO") ? new AvroKafkaDeserializer<>()
                : type.equals("JSON") ? new JsonSchemaKafkaDeserializer<>() : new ProtobufKafkaDeserializer<Message>();
        Map<String, Object> conf = apicurio();
        if (type.equals("JSON")) conf.put("apicurio.registry.deserializer.value.return-class", JsonNode.class.getName());
        d.configure(conf, false);
        return value -> {
            Object got = d.deserialize(topic, value);
            if (got instanceof org.apache.avro.generic.GenericRecord) {
                return toJson(((org.apache.avro.generic.GenericRecord) got).getSchema(), got);
            }
            if (got instanceof Message) return JsonFormat.printer().omittingInsignificantWhitespace().print((Message) got);
            return JSON.writeValueAsString(got);
        };
    }

    static Descriptor descriptor() throws Exception {
        FileDescriptorSet set = FileDescriptorSet.parseFrom(Base64.getDecoder().decode(setup.get("files").asText()));
        Map<String, FileDescriptor> files = new HashMap<>();
        FileDescriptor last = null;
        for (FileDescriptorProto f : set.getFileList()) {
            List<FileDescriptor> deps = new ArrayList<>();
            for (String name : f.getDependencyList()) deps.add(files.get(name));
            last = FileDescriptor.buildFrom(f, deps.toArray(new FileDescriptor[0]));
            files.put(f.getName(), last);
        }
        String name = setup.get("message").asText();
        return last.findMessageTypeByName(name.substring(name.lastIndexOf('.') + 1));
    }

    /** Registers the set-up's schema for a topic's values, and finds schemas by id. */
    public static final class Resolver<S, D> implements SchemaResolver<S, D> {
        private final RestService rest = new RestService(registry);
        private final Map<Long, SchemaLookupResult<S>> byId = new HashMap<>();
        private SchemaParser<S, D> parser;

        @Override
        public void configure(Map<String, ?> conf, SchemaParser<S, D> parser) {
            this.parser = parser;
        }

        @Override
        public void setClientFacade(RegistryClientFacade facade) { }

        @Override
        public void setArtifactResolverStrategy(ArtifactReferenceResolverStrategy<S, D> strategy) { }

        @Override
        public SchemaParser<S, D> getSchemaParser() {
            return parser;
        }

        @Override
        public SchemaLookupResult<S> resolveSchema(Record<D> data) {
            try {
                String topic = ((io.apicurio.registry.serde.data.SerdeMetadata) data.metadata()).getTopic();
                String text = setup.get("schema").asText();
                int id = rest.registerSchema(text, setup.get("type").asText(), List.of(), topic + "-value").getId();
                return result(id, text);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }

        @Override
        public SchemaLookupResult<S> resolveSchemaByArtifactReference(ArtifactReference ref) {
            try {
                if (byId.containsKey(ref.getContentId())) return byId.get(ref.getContentId());
                return result(ref.getContentId(), rest.getId(ref.getContentId().intValue()).getSchemaString());
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }

        private SchemaLookupResult<S> result(long id, String text) {
            byte[] raw = text.getBytes(StandardCharsets.UTF_8);
            S parsed = parser.parseSchema(raw, new HashMap<>());
            SchemaLookupResult<S> out = SchemaLookupResult.<S>builder().contentId(id).globalId(id)
                    .parsedSchema(new ParsedSchemaImpl<S>().setParsedSchema(parsed).setRawSchema(raw)).build();
            byId.put(id, out);
            return out;
        }

        @Override
        public void reset() { }

        @Override
        public void close() { }
    }
}
