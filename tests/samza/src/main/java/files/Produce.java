package files;

import java.util.Arrays;
import java.util.Collections;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Creates topics of two partitions and writes so many messages to each. */
public class Produce {
  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    int messages = Integer.parseInt(args[1]);
    String[] topics = Arrays.copyOfRange(args, 2, args.length);
    try (AdminClient admin = AdminClient.create(properties)) {
      for (String topic : topics) {
        try {
          admin.createTopics(Collections.singleton(new NewTopic(topic, 2, (short) 1))).all().get();
        } catch (java.util.concurrent.ExecutionException error) {
          System.out.println(error.getMessage());
        }
      }
    }
    try (KafkaProducer<String, String> producer =
        new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
      for (int i = 0; i < messages; i++) {
        for (String topic : topics) {
          producer.send(new ProducerRecord<>(topic, i % 2, "user-" + i % 40, "message " + i));
        }
      }
    }
    System.out.println(Arrays.stream(topics).collect(Collectors.joining(" ")) + " " + messages);
  }
}
