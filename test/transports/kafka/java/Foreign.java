// Writes to a topic what only other clients write: compressed batches, an aborted and a committed transaction, a tombstone, headers
// that are no UTF-8, a key that is no UTF-8, a structured CloudEvent. Run: java -cp '<jars>/*' Foreign.java <host:port> <topic>
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Foreign {
  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static KafkaProducer<byte[], byte[]> producer(String server, Map<String, Object> more) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", server);
    settings.put("linger.ms", "50");
    settings.put("batch.size", "100000");
    settings.putAll(more);
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  public static void main(String[] args) throws Exception {
    String server = args[0], topic = args[1];
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      try (var producer = producer(server, Map.of("compression.type", codec))) {
        for (int i = 0; i < 200; i++) producer.send(new ProducerRecord<>(topic, 0, utf8(codec), utf8(codec + " " + i + " " + "again and again ".repeat(i % 40))));
      }
    }
    try (var producer = producer(server, Map.of("transactional.id", "t-" + topic))) {
      producer.initTransactions();
      producer.beginTransaction();
      for (int i = 0; i < 10; i++) producer.send(new ProducerRecord<>(topic, 0, utf8("aborted"), utf8("no")));
      producer.flush();
      producer.abortTransaction();
      producer.beginTransaction();
      for (int i = 0; i < 10; i++) producer.send(new ProducerRecord<>(topic, 0, utf8("committed"), utf8("yes")));
      producer.commitTransaction();
    }
    try (var producer = producer(server, Map.of())) {
      producer.send(new ProducerRecord<>(topic, 0, utf8("tombstone"), null));
      List<Header> odd = List.of(new RecordHeader("odd", new byte[] {'a', (byte) 0xff, (byte) 0xc3}), new RecordHeader("null", null));
      producer.send(new ProducerRecord<>(topic, 0, new byte[] {'k', (byte) 0x80}, new byte[] {0, 1, (byte) 0xfe}, odd));
      List<Header> structured = List.of(new RecordHeader("content-type", utf8("application/cloudevents+json; charset=UTF-8")));
      producer.send(new ProducerRecord<>(topic, 0, utf8("s"), utf8("{\"specversion\":\"1.0\",\"id\":\"from-java\",\"type\":\"java.happened\",\"source\":\"x\",\"data\":1}"), structured));
      List<Header> binary = List.of(new RecordHeader("ce_specversion", utf8("1.0")), new RecordHeader("ce_id", utf8("größe 1")), new RecordHeader("ce_type", utf8("java.happened")), new RecordHeader("ce_source", utf8("x")), new RecordHeader("content-type", utf8("application/json")));
      producer.send(new ProducerRecord<>(topic, 0, utf8("b"), utf8("{}"), binary));
    }
  }
}
