package files;

import java.io.File;
import java.util.HashMap;
import java.util.Map;
import org.apache.samza.Partition;
import org.apache.samza.checkpoint.CheckpointV1;
import org.apache.samza.checkpoint.file.FileSystemCheckpointManager;
import org.apache.samza.container.TaskName;
import org.apache.samza.serializers.CheckpointV1Serde;
import org.apache.samza.system.SystemStreamPartition;

/** Writes one checkpoint after another into the directory until it is killed. */
public class CommitForever {
  public static void main(String[] args) {
    TaskName task = new TaskName("Partition 0");
    FileSystemCheckpointManager manager =
        new FileSystemCheckpointManager("killed", new File(args[0]), new CheckpointV1Serde());
    manager.register(task);
    manager.start();
    for (long offset = 0; ; offset++) {
      Map<SystemStreamPartition, String> offsets = new HashMap<>();
      for (int i = 0; i < 400; i++) {
        offsets.put(new SystemStreamPartition("kafka", "page-views", new Partition(i)), String.valueOf(offset));
      }
      manager.writeCheckpoint(task, new CheckpointV1(offsets));
    }
  }
}
