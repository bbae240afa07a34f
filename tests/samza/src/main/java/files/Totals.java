package files;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.samza.context.Context;
import org.apache.samza.storage.kv.KeyValueStore;
import org.apache.samza.system.IncomingMessageEnvelope;
import org.apache.samza.task.InitableTask;
import org.apache.samza.task.MessageCollector;
import org.apache.samza.task.StreamTask;
import org.apache.samza.task.TaskCoordinator;

/**
 * Counts the messages of each key in the store `clicks`, as longs, and counts them and adds up their amounts in the store
 * `totals`, as JSON. A key is deleted from both by a message without an amount.
 */
public class Totals implements StreamTask, InitableTask {
  private KeyValueStore<String, Long> clicks;
  private KeyValueStore<String, Map<String, Object>> totals;
  private long seen;
  private long commitEvery;

  @Override
  @SuppressWarnings("unchecked")
  public void init(Context context) {
    clicks = (KeyValueStore<String, Long>) context.getTaskContext().getStore("clicks");
    totals = (KeyValueStore<String, Map<String, Object>>) context.getTaskContext().getStore("totals");
    commitEvery = context.getJobContext().getConfig().getLong("files.commit.every", 10);
  }

  @Override
  @SuppressWarnings("unchecked")
  public void process(IncomingMessageEnvelope envelope, MessageCollector collector, TaskCoordinator coordinator) {
    String key = String.valueOf(envelope.getKey());
    Number amount = (Number) ((Map<String, Object>) envelope.getMessage()).get("amount");
    if (amount == null) {
      clicks.delete(key);
      totals.delete(key);
    } else {
      Long count = clicks.get(key);
      clicks.put(key, count == null ? 1 : count + 1);
      Map<String, Object> old = totals.get(key);
      Map<String, Object> total = new LinkedHashMap<>();
      total.put("clicks", (old == null ? 0 : ((Number) old.get("clicks")).longValue()) + 1);
      total.put("spent", (old == null ? 0 : ((Number) old.get("spent")).longValue()) + amount.longValue());
      totals.put(key, total);
    }
    if (++seen % commitEvery == 0) {
      coordinator.commit(TaskCoordinator.RequestScope.CURRENT_TASK);
    }
  }
}
