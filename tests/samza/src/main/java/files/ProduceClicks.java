package files;

import java.util.Collections;
import java.util.Properties;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Creates a topic of two partitions if there is none, and writes so many clicks to it, from a number on. */
public class ProduceClicks {
  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    String topic = args[1];
    int first = Integer.parseInt(args[2]);
    int messages = Integer.parseInt(args[3]);
    try (AdminClient admin = AdminClient.create(properties)) {
      if (!admin.listTopics().names().get().contains(topic)) {
        admin.createTopics(Collections.singleton(new NewTopic(topic, 2, (short) 1))).all().get();
      }
    }
    try (KafkaProducer<String, String> producer =
        new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
      for (int i = first; i < first + messages; i++) {
        int user = i % 40;
        String value = i % 97 == 96 ? "{}" : "{\"amount\":" + (i * 7L % 1000 - 100) + "}";
        producer.send(new ProducerRecord<>(topic, user % 2, "user-" + user, value));
      }
    }
  }
}
