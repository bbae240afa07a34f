package files;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.samza.config.Config;
import org.apache.samza.config.MapConfig;
import org.apache.samza.metrics.MetricsRegistryMap;
import org.apache.samza.storage.StorageEngineFactory.StoreMode;
import org.apache.samza.storage.kv.KeyValueStoreMetrics;
import org.apache.samza.storage.kv.RocksDbKeyValueStore;
import org.apache.samza.storage.kv.RocksDbOptionsHelper;
import org.rocksdb.FlushOptions;
import org.rocksdb.WriteOptions;

/**
 * Writes 300 rows into a store of each compression, and into one with a write-ahead log, and flushes them. The process
 * ends without closing them, as if it was killed. Keys and values are longs: of each number its square.
 */
public class WriteStores {
  public static void main(String[] args) {
    for (String compression : new String[] {"none", "bzip2", "lz4", "lz4hc", "zlib"}) {
      write(new File(args[0], compression + "/Partition_0"), Map.of("rocksdb.compression", compression));
    }
    write(new File(args[0], "logged/Partition_0"), Map.of("rocksdb.wal.enabled", "true"));
    Runtime.getRuntime().halt(0);
  }

  private static void write(File directory, Map<String, String> properties) {
    directory.mkdirs();
    Config config = new MapConfig(new HashMap<>(properties));
    boolean isLogged = properties.containsKey("rocksdb.wal.enabled");
    RocksDbKeyValueStore store =
        new RocksDbKeyValueStore(
            directory,
            RocksDbOptionsHelper.options(config, 1, directory, StoreMode.ReadWrite),
            config,
            false,
            "store",
            new WriteOptions().setDisableWAL(!isLogged),
            new FlushOptions().setWaitForFlush(true),
            new KeyValueStoreMetrics("store", new MetricsRegistryMap()));
    for (long number = 0; number < 300; number++) {
      store.put(bytes(number), bytes(number * number));
    }
    store.flush();
  }

  private static byte[] bytes(long number) {
    return ByteBuffer.allocate(8).putLong(number).array();
  }
}
