package files;

import java.io.FileInputStream;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.samza.application.LegacyTaskApplication;
import org.apache.samza.config.MapConfig;
import org.apache.samza.runtime.LocalApplicationRunner;

/** Runs the job that a properties file describes for up to so many seconds. */
public class RunJob {
  public static void main(String[] args) throws IOException, InterruptedException {
    Properties properties = new Properties();
    try (FileInputStream input = new FileInputStream(args[0])) {
      properties.load(input);
    }
    Map<String, String> map = new HashMap<>();
    properties.forEach((key, value) -> map.put((String) key, (String) value));
    LocalApplicationRunner runner =
        new LocalApplicationRunner(new LegacyTaskApplication(map.get("task.class")), new MapConfig(map));
    runner.run(null);
    runner.waitForFinish(java.time.Duration.ofSeconds(Long.parseLong(args[1])));
    System.out.println("status " + runner.status());
    runner.kill();
    runner.waitForFinish(java.time.Duration.ofSeconds(20));
    System.out.println("ended " + runner.status());
    System.exit(0);
  }
}
