"""A broker of Apache Kafka for the measurements here, and what they do with it.

It is the one that the tests use: see CONTRIBUTING.md for where its jars come from. `CKPT_KAFKA` names another directory
with them. Messages are sent with kcat.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
JARS = pathlib.Path(os.environ.get('CKPT_KAFKA', ROOT / 'target/tools/kafka/lib'))
PATIENCE = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Broker:
    """A broker with its files in `directory`, which ends at the end of the `with` block. All its topics have `partitions`
    partitions. `heap` is a size such as `1g`, and `properties` are more lines of its configuration."""

    def __init__(self, directory, partitions, heap='512m', properties=()):
        if not any(JARS.glob('kafka_2.13-*.jar')):
            sys.exit('no broker in %s; see CONTRIBUTING.md' % JARS)
        self.dir, self.heap, self.process = pathlib.Path(directory), heap, None
        self.dir.mkdir(parents=True, exist_ok=True)
        port, controller = free_port(), free_port()
        self.address = '127.0.0.1:%d' % port
        self.config = self.dir / 'server.properties'
        self.config.write_text('\n'.join([
            'process.roles=broker,controller', 'node.id=1',
            'controller.quorum.bootstrap.servers=127.0.0.1:%d' % controller,
            'listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d' % (self.address, controller),
            'advertised.listeners=PLAINTEXT://' + self.address, 'controller.listener.names=CONTROLLER',
            'log.dirs=%s' % (self.dir / 'data'), 'offsets.topic.num.partitions=1',
            'offsets.topic.replication.factor=1', 'transaction.state.log.num.partitions=1',
            'transaction.state.log.replication.factor=1', 'transaction.state.log.min.isr=1',
            'num.partitions=%d' % partitions, 'auto.create.topics.enable=true', *properties]) + '\n')

    def java(self, *words):
        return ['java', '-Xmx' + self.heap, '-cp', '%s/*' % JARS, *words]

    def tool(self, *words):
        """Runs one of Kafka's tools, named by its class."""
        done = subprocess.run(self.java(*words), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit('%s: %s%s' % (' '.join(words), done.stdout[-2000:], done.stderr[-2000:]))
        return done.stdout

    def __enter__(self):
        self.tool('kafka.tools.StorageTool', 'format', '--standalone', '--cluster-id', 'MkU3OEVBNTcwNTJENDM2Qk',
                  '--config', str(self.config))
        log = open(self.dir / 'broker.log', 'wb')
        self.process = subprocess.Popen(self.java('kafka.Kafka', str(self.config)), stdout=log, stderr=log)
        begun = time.monotonic()
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - begun > PATIENCE:
                self.__exit__()
                sys.exit('the broker does not answer; see %s' % (self.dir / 'broker.log'))
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def answers(self):
        return subprocess.run(['kcat', '-b', self.address, '-L', '-m', '2'], capture_output=True).returncode == 0

    def make_topic(self, name):
        """Makes a topic with the partitions that all topics here have."""
        begun = time.monotonic()
        while not self.partitions_of(name):
            if time.monotonic() - begun > PATIENCE:
                sys.exit('the topic %s cannot be made' % name)
            time.sleep(0.2)

    def partitions_of(self, topic):
        """Returns the number of partitions of a topic. The first question makes the topic."""
        listed = subprocess.run(['kcat', '-b', self.address, '-L', '-J', '-t', topic], capture_output=True, text=True)
        topics = json.loads(listed.stdout)['topics'] if listed.returncode == 0 else []
        return sum(len(listed['partitions']) for listed in topics if 'error' not in listed)

    def producer(self, topic, *properties):
        """Returns a process that sends each line of its standard input, a key and a value with a tab between them. The
        partition is chosen by the key. `properties` are those of librdkafka."""
        more = [word for given in properties for word in ('-X', given)]
        command = ['kcat', '-P', '-b', self.address, '-t', topic, '-K', '\t', '-X', 'linger.ms=5',
                   '-X', 'topic.partitioner=consistent', *more]
        return subprocess.Popen(command, stdin=subprocess.PIPE)

    def end_offsets(self, topic):
        """Returns the offset after the last message of each partition."""
        ends = {}
        for partition in range(self.partitions_of(topic)):
            asked = ['kcat', '-b', self.address, '-Q', '-t', '%s:%d:-1' % (topic, partition)]
            answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
            ends[partition] = int(answer.rsplit(maxsplit=1)[1])
        return ends
