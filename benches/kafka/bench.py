"""Where things are, and the topic that all engines read."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from broker import Broker, ROOT

sys.path.insert(0, str(ROOT / 'benches/compare'))
from measure import Failed, fresh, run, say  # noqa: E402  (that directory has the other measurements)

PARTITIONS = 4
TOPIC = 'clicks'
USERS = 780_000
PAGES = 5_000
TOOLS = ROOT / 'target/tools'

# A topic of transactions has one writer at a time; what joins a group should not wait for others.
PROPERTIES = ['group.initial.rebalance.delay.ms=0', 'log.retention.hours=-1']


class Bench:
    """A broker with a topic of `records` clicks."""

    def __init__(self, options):
        self.records, self.budget, self.turn_count = options.records, options.budget, options.turns
        self.work = pathlib.Path(options.work).resolve() / str(options.records)
        self.binaries = pathlib.Path(options.target).resolve() / 'release'
        self.ckpt = self.binaries / 'ckpt'
        self.work.mkdir(parents=True, exist_ok=True)
        self.broker, self.directories, self.failed = None, [], []

    def __enter__(self):
        self.broker = Broker(fresh(self.work / 'broker'), PARTITIONS, heap='2g', properties=PROPERTIES)
        self.broker.__enter__()
        files = self.clicks()
        begun = time.monotonic()
        self.topics('fill', TOPIC, PARTITIONS, *files)
        if self.messages() != self.records:
            raise Failed('the topic has %d messages' % self.messages())
        say('%d messages sent in %.0f s' % (self.records, time.monotonic() - begun))
        return self

    def __exit__(self, *error):
        self.broker.__exit__(*error)
        for directory in [self.work / 'broker', *self.directories]:
            shutil.rmtree(directory, ignore_errors=True)

    def clicks(self):
        """Returns the files that the topic is filled from."""
        directory = self.work / 'clicks'
        if not directory.exists():
            part = fresh(self.work / 'clicks.part')
            users = max(USERS * self.records // 10_000_000, 1)
            run([self.binaries / 'examples/by_hand', 'clicks', part, self.records, PARTITIONS, users, PAGES])
            os.rename(part, directory)
        return sorted(directory.iterdir())

    def topics(self, verb, *words):
        return run([self.binaries / 'examples/topics', verb, self.broker.address, *words])

    def messages(self):
        """Returns how many messages the topic has."""
        return sum(self.broker.end_offsets(TOPIC).values())

    def send_marks(self):
        """Sends clicks that results leave out."""
        self.topics('mark', TOPIC, 1000)

    def directory(self, name):
        """Returns a new directory for one run, whose name nothing else has."""
        directory = fresh(self.work / ('%s-%d' % (name, len(self.directories))))
        directory.mkdir()
        self.directories.append(directory)
        return directory

    def digest(self, kind, *command):
        """Returns the number of rows and clicks that `command` prints, and their digest."""
        printing = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
        script = pathlib.Path(__file__).with_name('digest.py')
        found = subprocess.run([sys.executable, script, kind], stdin=printing.stdout, stdout=subprocess.PIPE)
        printing.stdout.close()
        if printing.wait() != 0 or found.returncode != 0:
            raise Failed('no rows from `%s`' % ' '.join(map(str, command)))
        return json.loads(found.stdout)

    def rows_of(self, topic, kind='rows'):
        return self.digest(kind, self.binaries / 'examples/topics', 'rows', self.broker.address, topic)

    def broker_seconds(self):
        """Returns the processor time of the broker so far."""
        with open('/proc/%d/stat' % self.broker.process.pid) as file:
            fields = file.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def log_bytes(self, *topics):
        """Returns the bytes of all messages of `topics`, as the broker keeps them."""
        logs = [log for topic in topics for log in (self.broker.dir / 'data').glob(topic + '-[0-9]*/*.log')]
        return sum(log.stat().st_size for log in logs)
