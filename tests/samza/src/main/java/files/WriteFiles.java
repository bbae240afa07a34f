package files;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.ExecutorService;
import org.apache.samza.Partition;
import org.apache.samza.checkpoint.CheckpointId;
import org.apache.samza.storage.StorageManagerUtil;
import org.apache.samza.storage.blobstore.diff.DirDiff;
import org.apache.samza.storage.blobstore.index.DirIndex;
import org.apache.samza.storage.blobstore.index.SnapshotIndex;
import org.apache.samza.storage.blobstore.index.SnapshotMetadata;
import org.apache.samza.storage.blobstore.util.BlobStoreUtil;
import org.apache.samza.storage.blobstore.util.DirDiffUtil;
import org.apache.samza.system.SystemStreamPartition;
import org.apache.samza.util.FileUtil;

/** Calls the writers of Samza for what a job of this size does not write: long files, subdirectories, large blobs. */
public class WriteFiles {
  public static void main(String[] args) throws Exception {
    Path base = Paths.get(args[0]);
    framing(base.resolve("framing"));
    snapshots(base.resolve("snapshots"));
    System.exit(0);
  }

  private static void framing(Path base) throws Exception {
    for (int partitions : new int[] {1, 20, 3000}) {
      Map<SystemStreamPartition, String> offsets = new HashMap<>();
      for (int i = 0; i < partitions; i++) {
        offsets.put(new SystemStreamPartition("kafka", "page-views", new Partition(i)), String.valueOf(41 + i));
      }
      File dir = base.resolve(String.valueOf(partitions)).toFile();
      Files.createDirectories(dir.toPath());
      new StorageManagerUtil().writeOffsetFile(dir, offsets, true);
    }
    Files.createDirectories(base.resolve("names"));
    new FileUtil().writeWithChecksum(base.resolve("names/OFFSET").toFile(), "caf\u00e9 \u4e2d \ud83d\ude00 \u0000");
  }

  private static void snapshots(Path base) throws Exception {
    Path store = base.resolve("store");
    Files.createDirectories(store.resolve("sub/deep"));
    Files.write(store.resolve("first"), "one".getBytes(StandardCharsets.UTF_8));
    Files.write(store.resolve("empty"), new byte[0]);
    Files.write(store.resolve("sub/second"), "two".getBytes(StandardCharsets.UTF_8));
    Files.write(store.resolve("sub/deep/large"), new byte[(1 << 20) + 1]);
    ExecutorService executor = Executors.newFixedThreadPool(2);
    DirectoryBlobs blobs = new DirectoryBlobs(base.resolve("blobs"));
    BlobStoreUtil util = new BlobStoreUtil(blobs, executor, null, null);
    String previous = null;
    DirIndex old = new DirIndex("", Collections.emptyList(), Collections.emptyList(), Collections.emptyList(),
        Collections.emptyList());
    for (int i = 0; i < 2; i++) {
      CheckpointId id = CheckpointId.deserialize("170000000000" + i + "-12345" + i);
      SnapshotMetadata metadata = new SnapshotMetadata(id, "job", "1", "Partition 0", "store");
      DirDiff diff = DirDiffUtil.getDirDiff(store.toFile(), old, DirDiffUtil.areSameFile(false));
      old = util.putDir(diff, metadata).toCompletableFuture().get();
      SnapshotIndex index =
          new SnapshotIndex(1700000000999L + i, metadata, old, Optional.ofNullable(previous));
      previous = util.putSnapshotIndex(index).get();
      Files.delete(store.resolve("first"));
      Files.write(store.resolve("third"), "three".getBytes(StandardCharsets.UTF_8));
      if (i == 0) {
        Files.write(store.resolve("first"), "new".getBytes(StandardCharsets.UTF_8));
        Files.delete(store.resolve("sub/second"));
      }
    }
  }
}
