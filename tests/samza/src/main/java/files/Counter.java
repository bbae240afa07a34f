package files;

import org.apache.samza.context.Context;
import org.apache.samza.storage.kv.KeyValueStore;
import org.apache.samza.system.IncomingMessageEnvelope;
import org.apache.samza.task.InitableTask;
import org.apache.samza.task.MessageCollector;
import org.apache.samza.task.StreamTask;
import org.apache.samza.task.TaskCoordinator;

/** Counts the messages of each key in the store `counts`, if the job has one. */
public class Counter implements StreamTask, InitableTask {
  private KeyValueStore<String, String> counts;
  private long seen;
  private long commitEvery;

  @Override
  @SuppressWarnings("unchecked")
  public void init(Context context) {
    boolean hasStore = context.getJobContext().getConfig().containsKey("stores.counts.factory");
    counts = hasStore ? (KeyValueStore<String, String>) context.getTaskContext().getStore("counts") : null;
    commitEvery = context.getJobContext().getConfig().getLong("files.commit.every", 10);
  }

  @Override
  public void process(IncomingMessageEnvelope envelope, MessageCollector collector, TaskCoordinator coordinator) {
    String key = String.valueOf(envelope.getKey());
    if (counts != null) {
      String old = counts.get(key);
      counts.put(key, String.valueOf(old == null ? 1 : Long.parseLong(old) + 1));
    }
    if (++seen % commitEvery == 0) {
      coordinator.commit(TaskCoordinator.RequestScope.CURRENT_TASK);
    }
  }
}
