import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Counts the clicks of each user and adds up their amounts, in Kafka Streams. Prints a line when the first message is
 * applied, and ends once all messages are, and are committed.
 */
public class StreamsJob {
  private static final AtomicLong APPLIED = new AtomicLong();

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Click(double amount) {}

  record Totals(long clicks, double spent) {}

  public static void main(String[] args) throws InterruptedException {
    if (args.length < 6) {
      throw new IllegalArgumentException("expected BROKERS TOPIC NAME DIRECTORY GUARANTEE MESSAGES [OUTPUT]");
    }
    Properties config = new Properties();
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, args[2]);
    config.put(StreamsConfig.STATE_DIR_CONFIG, args[3]);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[4]);
    config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    // Instead of 10 MiB: the fewer rows leave it between two commits, the less goes to RocksDB and to the changelog.
    config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
    config.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    config.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5000);
    // A process that starts again has its partitions at once, and not only after the session time-out.
    config.put(StreamsConfig.consumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), "bench");
    config.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");

    StreamsBuilder builder = new StreamsBuilder();
    KTable<String, Totals> totals = builder
        .stream(args[1], Consumed.with(Serdes.String(), clicks()))
        .groupByKey()
        .aggregate(() -> new Totals(0, 0), StreamsJob::add, Materialized
            .<String, Totals, KeyValueStore<Bytes, byte[]>>as("totals")
            .withKeySerde(Serdes.String()).withValueSerde(totals()));
    if (args.length > 6) {
      totals.toStream().to(args[6], Produced.with(Serdes.String(), totals()));
    }

    KafkaStreams streams = new KafkaStreams(builder.build(), config);
    streams.start();
    long messages = Long.parseLong(args[5]);
    boolean hasStarted = false;
    while (APPLIED.get() < messages) {
      if (!hasStarted && APPLIED.get() > 0) {
        hasStarted = true;
        System.out.println("first");
      }
      Thread.sleep(5);
    }
    // It commits.
    streams.close(Duration.ofMinutes(1));
    System.exit(0);
  }

  private static Totals add(String user, Click click, Totals totals) {
    Totals sum = new Totals(totals.clicks + 1, totals.spent + click.amount);
    APPLIED.incrementAndGet();
    return sum;
  }

  private static Serde<Click> clicks() {
    ObjectReader reader = new ObjectMapper().readerFor(Click.class);
    return Serdes.serdeFrom((topic, click) -> { throw new UnsupportedOperationException(); }, (topic, bytes) -> {
      try {
        return reader.readValue(bytes);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    });
  }

  private static Serde<Totals> totals() {
    return Serdes.serdeFrom(
        (topic, totals) -> totals == null ? null
            : ByteBuffer.allocate(16).putLong(totals.clicks).putDouble(totals.spent).array(),
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          return new Totals(buffer.getLong(), buffer.getDouble());
        });
  }
}
