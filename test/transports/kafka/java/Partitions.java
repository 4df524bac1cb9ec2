// Prints, for each of 1,000 keys, the partition of 12 and of 7 that the Java client's default partitioner chooses: `key-<n>` and words of
// other scripts, as JSON. Run: java -cp '<jars of Kafka 4.1.1>/*' Partitions.java > ../java-partitions.json
import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

public class Partitions {
  public static void main(String[] args) {
    String[] words = {"", "ü", "grüße", "事件", "🙂", "a b/c", "subject/"};
    StringBuilder out = new StringBuilder("[\n");
    for (int n = 0; n < 1000; n++) {
      String key = words[n % words.length] + "x".repeat(n % 11) + n;
      byte[] bytes = key.getBytes(StandardCharsets.UTF_8);
      out.append("[\"").append(key).append("\",")
          .append(BuiltInPartitioner.partitionForKey(bytes, 12)).append(",")
          .append(BuiltInPartitioner.partitionForKey(bytes, 7)).append("]").append(n < 999 ? ",\n" : "\n");
    }
    System.out.write(out.append("]\n").toString().getBytes(StandardCharsets.UTF_8), 0, out.toString().getBytes(StandardCharsets.UTF_8).length);
    System.out.flush();
  }
}
