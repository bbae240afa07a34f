"""The job in each engine: the number of clicks of each user, and the sum of their amounts."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

from bench import PARTITIONS, ROOT, TOOLS, TOPIC
from broker import free_port
from measure import Failed, run, say, tree_bytes

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 120
# The most seconds of one run, so that an engine that hangs does not stop the measurement.
LIMIT = 900
FOREVER = 1 << 62
LOGGING = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'


def run_whole(command, **options):
    begun = time.monotonic()
    try:
        return run(['timeout', '--signal=KILL', LIMIT, *command], **options)
    except Failed as error:
        if time.monotonic() - begun < LIMIT:
            raise
        raise Failed('it had not ended after %d s' % LIMIT) from error


class Job:
    """One engine. `run` runs it to the end of the topic, in a new directory; `start` continues it there, and `clean`
    removes what the last run has left behind."""

    name = ''

    def __init__(self, bench):
        self.bench, self.directory = bench, None

    def lacks(self):
        """Returns why it cannot run here, if it cannot."""

    def clean(self):
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)
            if self.leftovers():
                self.bench.topics('remove', *self.leftovers())

    def leftovers(self):
        return []

    def wait_for_first(self, process):
        """Waits until `process` has applied a message."""
        alarm = threading.Timer(PATIENCE, process.kill)
        alarm.start()
        has_applied = any(line.strip() == b'first' for line in process.stdout)
        alarm.cancel()
        if not has_applied:
            raise Failed('the process ended with %d' % process.wait())


class Bare(Job):
    name = 'librdkafka alone: counts messages and bytes'

    def run(self):
        taken = self.bench.topics('drain', TOPIC)
        if taken.json()['messages'] != self.bench.messages():
            raise Failed('read %s' % taken.out)
        return taken

    def rows(self):
        return []


JOB = """job: {name}
input:
  kafka: {{brokers: '{address}', topic: {topic}, start: earliest, until: latest}}
  format: json
key: user
process: {{aggregate: {{clicks: count, spent: sum(amount)}}}}
checkpoint: {{schedule: 1s, store: store}}
"""


class Ckpt(Job):
    def __init__(self, bench, partitions=False, output=False):
        super().__init__(bench)
        self.partitions, self.output = partitions, output
        self.name = 'ckpt' + ', `tasks: partitions`' * partitions + ', output to a topic' * output

    def write_job(self):
        name = self.directory.name
        job = JOB.format(name=name, address=self.bench.broker.address, topic=TOPIC)
        job += 'tasks: partitions\n' * self.partitions
        job += 'output: {kafka: {topic: %s}, format: json, emit: changes}\n' % name if self.output else ''
        (self.directory / 'job.yaml').write_text(job)

    def leftovers(self):
        return [self.directory.name] if self.output else []

    def run(self):
        self.clean()
        self.directory = self.bench.directory('ckpt')
        self.write_job()
        if self.output:
            self.bench.topics('make', self.directory.name, PARTITIONS)
        return run_whole([self.bench.ckpt, 'run', '--quiet', '--json', self.directory / 'job.yaml'])

    def rows(self):
        store = self.directory / 'store'
        ours = self.bench.digest('state', self.bench.ckpt, 'inspect', store, '--state', '--limit', 0, '--json')
        return [ours, self.bench.rows_of(self.directory.name, 'topic')] if self.output else [ours]

    def saved(self):
        """Returns the bytes of all checkpoints, and a note."""
        listed = run([self.bench.ckpt, 'list', self.directory / 'store', '--json']).json()['checkpoints']
        return sum(one['new_bytes'] for one in listed), '%d checkpoints; the last one needs %%s' % len(listed), \
            listed[-1]['bytes']

    def start(self):
        self.port = free_port()
        options = ['--quiet', '--must-resume', '--set', 'input.kafka.until=', '--metrics', str(self.port)]
        command = [self.bench.ckpt, 'run', *options, self.directory / 'job.yaml']
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def wait_for_first(self, process):
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE:
            try:
                with urllib.request.urlopen('http://127.0.0.1:%d/metrics' % self.port, timeout=1) as answer:
                    lines = answer.read().decode().splitlines()
                if any(line.startswith('ckpt_records_total') and float(line.split()[-1]) > 0 for line in lines):
                    return
            except OSError:
                if process.poll() is not None:
                    break
            time.sleep(0.002)
        raise Failed('no message was applied')


class Java(Job):
    """An engine whose program is in `java/NAME/`, and whose state is in a topic as well."""

    program = jars = ''

    def lacks(self):
        if not shutil.which('javac'):
            return 'there is no javac'
        return None

    def class_path(self):
        lib, classes = TOOLS / self.jars / 'lib', self.bench.work / 'classes' / self.jars
        if not lib.is_dir():
            run(['mvn', '-q', '-B', '-f', self.pom, 'dependency:copy-dependencies', '-DincludeScope=runtime',
                 '-DoutputDirectory=%s' % lib])
        if not classes.is_dir():
            source = HERE / 'java' / self.jars / (self.program + '.java')
            run(['javac', '-nowarn', '-cp', '%s/*' % lib, '-d', classes, source])
        return '%s:%s/*' % (classes, lib)

    def java(self, *words):
        return ['java', '-Xmx2g', LOGGING, '-cp', self.class_path(), self.program, *map(str, words)]

    def rows(self):
        return [self.bench.rows_of(topic) for topic in self.row_topics()]

    def local(self):
        """Returns the directory of local state, from which a process that starts again continues."""
        return self.directory / 'state'

    def saved(self):
        return self.bench.log_bytes(*self.state_topics()), 'topics; local files have %s', tree_bytes(self.local())

    def start(self):
        return subprocess.Popen(self.command(FOREVER), stdout=subprocess.PIPE, stderr=self.log())

    def log(self):
        return open(self.directory / 'log', 'ab')


class Streams(Java):
    program, jars, pom = 'StreamsJob', 'streams', HERE / 'java/pom.xml'

    def __init__(self, bench, guarantee, output=False):
        super().__init__(bench)
        self.guarantee, self.output = guarantee, output
        self.name = 'Kafka Streams, `%s`' % guarantee + ', output to a topic' * output

    def command(self, messages):
        output = [self.directory.name + '-out'] if self.output else []
        name = self.directory.name
        return self.java(self.bench.broker.address, TOPIC, name, self.local(), self.guarantee, messages, *output)

    def state_topics(self):
        return [self.directory.name + '-totals-changelog']

    def row_topics(self):
        return self.state_topics() + ([self.directory.name + '-out'] if self.output else [])

    leftovers = row_topics

    def run(self):
        self.clean()
        self.directory = self.bench.directory('streams')
        if self.output:
            self.bench.topics('make', self.directory.name + '-out', PARTITIONS)
        return run_whole(self.command(self.bench.messages()))


class Samza(Java):
    name, program, jars, pom = 'Apache Samza', 'SamzaJob', 'samza', ROOT / 'tests/samza/pom.xml'

    def command(self, messages):
        name, address = self.directory.name, self.bench.broker.address
        factories = {
            'job.coordinator.factory': 'standalone.PassthroughJobCoordinatorFactory',
            'job.coordination.utils.factory': 'standalone.PassthroughCoordinationUtilsFactory',
            'task.name.grouper.factory': 'container.grouper.task.SingleContainerGrouperFactory',
            'systems.kafka.samza.factory': 'system.kafka.KafkaSystemFactory',
            'task.checkpoint.factory': 'checkpoint.kafka.KafkaCheckpointManagerFactory',
            'serializers.registry.string.class': 'serializers.StringSerdeFactory',
            'serializers.registry.bytes.class': 'serializers.ByteSerdeFactory',
            'stores.totals.factory': 'storage.kv.RocksDbKeyValueStorageEngineFactory',
        }
        properties = {
            'job.name': name, 'job.id': 1, 'processor.id': 0, 'bench.messages': messages,
            'task.inputs': 'kafka.' + TOPIC, 'task.class': 'SamzaJob', 'task.commit.ms': 1000, 'task.window.ms': 50,
            'task.checkpoint.system': 'kafka', 'task.checkpoint.replication.factor': 1, 'job.default.system': 'kafka',
            'systems.kafka.producer.bootstrap.servers': address, 'systems.kafka.consumer.bootstrap.servers': address,
            'systems.kafka.consumer.zookeeper.connect': 'unused:1',
            'systems.kafka.default.stream.samza.offset.default': 'oldest',
            'systems.kafka.samza.key.serde': 'string', 'systems.kafka.samza.msg.serde': 'bytes',
            'serializers.registry.totals.class': 'SamzaJob$TotalsSerdeFactory',
            'stores.totals.key.serde': 'string', 'stores.totals.msg.serde': 'totals',
            'stores.totals.changelog': 'kafka.%s-totals' % name, 'stores.totals.changelog.replication.factor': 1,
            'job.logged.store.base.dir': self.local(),
            **{key: 'org.apache.samza.' + value for key, value in factories.items()}, **SAMZA,
        }
        file = self.directory / 'job.properties'
        file.write_text(''.join('%s=%s\n' % of for of in properties.items()))
        return self.java(file)

    def state_topics(self):
        return [self.directory.name + '-totals', '__samza_checkpoint_ver_1_for_%s_1' % self.directory.name]

    def row_topics(self):
        return self.state_topics()[:1]

    leftovers = state_topics

    def run(self):
        self.clean()
        self.directory = self.bench.directory('samza')
        return run_whole(self.command(self.bench.messages()))


# What a user would choose beside what the job is about: a thread per core, and fewer and larger writes.
SAMZA = {
    'job.container.thread.pool.size': 2,
    'systems.kafka.consumer.max.poll.records': 5000,
    'systems.kafka.producer.compression.type': 'lz4',
    'stores.totals.object.cache.size': 250_000,
    'stores.totals.write.batch.size': 50_000,
}


class Bytewax(Job):
    name = 'Bytewax'

    def lacks(self):
        self.python = self.bench.work.parent / 'venv/bin/python'
        whole = self.python.with_name('whole')
        if not whole.exists():
            say('  installing bytewax')
            try:
                run([sys.executable, '-m', 'venv', '--clear', self.python.parents[1]])
                run([self.python, '-m', 'pip', 'install', '--quiet', 'bytewax[kafka]', 'orjson'])
                run([self.python, '-c', 'import bytewax.connectors.kafka, orjson'])
                whole.touch()
            except (OSError, Failed) as error:
                return str(error)
        return None

    def run(self):
        self.clean()
        self.directory = self.bench.directory('bytewax')
        (self.directory / 'recovery').mkdir()
        run([self.python, '-m', 'bytewax.recovery', self.directory / 'recovery', PARTITIONS])
        env = dict(os.environ, BROKERS=self.bench.broker.address, TOPIC=TOPIC, ROWS=str(self.directory / 'rows'),
                   PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE='1')
        recovery = ['-r', self.directory / 'recovery', '-s', 1, '-b', 0]
        return run_whole([self.python, '-m', 'bytewax.run', 'bytewax_job', *recovery], env=env, cwd=self.directory)

    def rows(self):
        return [self.bench.digest('rows', 'cat', self.directory / 'rows')]
