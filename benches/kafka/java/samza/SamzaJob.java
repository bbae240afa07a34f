import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.samza.application.LegacyTaskApplication;
import org.apache.samza.config.Config;
import org.apache.samza.config.MapConfig;
import org.apache.samza.context.Context;
import org.apache.samza.runtime.LocalApplicationRunner;
import org.apache.samza.serializers.Serde;
import org.apache.samza.serializers.SerdeFactory;
import org.apache.samza.storage.kv.KeyValueStore;
import org.apache.samza.system.IncomingMessageEnvelope;
import org.apache.samza.task.InitableTask;
import org.apache.samza.task.MessageCollector;
import org.apache.samza.task.StreamTask;
import org.apache.samza.task.TaskCoordinator;
import org.apache.samza.task.WindowableTask;

/**
 * Counts the clicks of each user and adds up their amounts, in Apache Samza. Prints a line when the first message is
 * applied, and ends once all messages are, and are committed.
 */
public class SamzaJob implements StreamTask, InitableTask, WindowableTask {
  private static final AtomicLong APPLIED = new AtomicLong();
  private static final ObjectReader CLICKS = new ObjectMapper().readerFor(Click.class);

  private KeyValueStore<String, Totals> totals;
  private long messages;
  private boolean hasCommitted;

  @JsonIgnoreProperties(ignoreUnknown = true)
  public static class Click {
    public double amount;
  }

  public static class Totals {
    final long clicks;
    final double spent;

    Totals(long clicks, double spent) {
      this.clicks = clicks;
      this.spent = spent;
    }
  }

  /** Runs the job that a properties file describes. */
  public static void main(String[] args) throws IOException {
    Properties properties = new Properties();
    try (FileInputStream input = new FileInputStream(args[0])) {
      properties.load(input);
    }
    Map<String, String> map = new HashMap<>();
    properties.forEach((key, value) -> map.put((String) key, (String) value));
    LocalApplicationRunner runner =
        new LocalApplicationRunner(new LegacyTaskApplication(SamzaJob.class.getName()), new MapConfig(map));
    runner.run(null);
    runner.waitForFinish();
    System.exit(APPLIED.get() < Long.parseLong(map.get("bench.messages")) ? 1 : 0);
  }

  @Override
  @SuppressWarnings("unchecked")
  public void init(Context context) {
    totals = (KeyValueStore<String, Totals>) context.getTaskContext().getStore("totals");
    messages = context.getJobContext().getConfig().getLong("bench.messages");
  }

  @Override
  public void process(IncomingMessageEnvelope envelope, MessageCollector collector, TaskCoordinator coordinator)
      throws IOException {
    String user = (String) envelope.getKey();
    Click click = CLICKS.readValue((byte[]) envelope.getMessage());
    Totals old = totals.get(user);
    totals.put(user, old == null ? new Totals(1, click.amount) : new Totals(old.clicks + 1, old.spent + click.amount));
    if (APPLIED.incrementAndGet() == 1) {
      System.out.println("first");
    }
  }

  /** Ends the task: a first call asks for a commit, and the next one, which waits for it, for the end. */
  @Override
  public void window(MessageCollector collector, TaskCoordinator coordinator) {
    if (APPLIED.get() < messages) {
      return;
    }
    if (hasCommitted) {
      coordinator.shutdown(TaskCoordinator.RequestScope.CURRENT_TASK);
    } else {
      coordinator.commit(TaskCoordinator.RequestScope.CURRENT_TASK);
      hasCommitted = true;
    }
  }

  /** Values of 16 bytes. */
  public static class TotalsSerdeFactory implements SerdeFactory<Totals> {
    @Override
    public Serde<Totals> getSerde(String name, Config config) {
      return new Serde<Totals>() {
        @Override
        public Totals fromBytes(byte[] bytes) {
          if (bytes == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          return new Totals(buffer.getLong(), buffer.getDouble());
        }

        @Override
        public byte[] toBytes(Totals totals) {
          return totals == null ? null : ByteBuffer.allocate(16).putLong(totals.clicks).putDouble(totals.spent).array();
        }
      };
    }
  }
}
