package files;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import org.apache.samza.config.Config;
import org.apache.samza.storage.blobstore.BlobStoreManager;
import org.apache.samza.storage.blobstore.BlobStoreManagerFactory;
import org.apache.samza.storage.blobstore.Metadata;
import org.apache.samza.storage.blobstore.exceptions.DeletedException;

/** A blob store in a directory: the id of a blob is its path below `files.blobs`. A deleted blob gets a suffix. */
public class DirectoryBlobs implements BlobStoreManager {
  private final Path base;

  public DirectoryBlobs(Path base) {
    this.base = base;
  }

  /** Makes the managers of a job. */
  public static class Factory implements BlobStoreManagerFactory {
    @Override
    public BlobStoreManager getBackupBlobStoreManager(Config config, ExecutorService executor) {
      return new DirectoryBlobs(Paths.get(config.get("files.blobs")));
    }

    @Override
    public BlobStoreManager getRestoreBlobStoreManager(Config config, ExecutorService executor) {
      return getBackupBlobStoreManager(config, executor);
    }
  }

  @Override
  public void init() {
  }

  @Override
  public CompletionStage<String> put(InputStream input, Metadata metadata) {
    String name = Paths.get(metadata.getPayloadPath()).getFileName() + "-" + UUID.randomUUID();
    Path id = Paths.get(metadata.getJobName(), metadata.getJobId(), metadata.getTaskName().replace(' ', '_'),
        metadata.getStoreName(), name);
    try {
      Files.createDirectories(base.resolve(id).getParent());
      Files.copy(input, base.resolve(id));
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    return CompletableFuture.completedFuture(id.toString());
  }

  @Override
  public CompletionStage<Void> get(String id, OutputStream output, Metadata metadata) {
    try {
      Files.copy(base.resolve(id), output);
    } catch (NoSuchFileException error) {
      throw new DeletedException(id, error);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> delete(String id, Metadata metadata) {
    try {
      Files.move(base.resolve(id), base.resolve(id + "-DELETED"));
    } catch (IOException error) {
      throw new DeletedException(id, error);
    }
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> removeTTL(String id, Metadata metadata) {
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public void close() {
  }
}
