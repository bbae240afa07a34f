"""Jobs, inputs and stores for the measurements."""

import json
import os
import shutil
import sys

from measure import Failed, fresh, run, say

SMALL = {
    'turns': 2, 'records': 200_000, 'lines': 50_000, 'users': 20_000, 'keys': 100_000, 'pause_keys': 20_000, 'tasks': 10_000, 'deltas': 20,
    'big_mib': 64, 'checkpoints': 200, 'starts': 10, 'python_records': 50_000, 'growth': [10_000, 100_000],
}
FULL = {
    'turns': 5, 'records': 10_000_000, 'lines': 3_000_000, 'users': 1_000_000, 'keys': 10_000_000, 'pause_keys': 1_000_000, 'tasks': 1_000_000, 'deltas': 100,
    'big_mib': 4096, 'checkpoints': 10_000, 'starts': 50, 'python_records': 2_000_000, 'growth': [1_000_000, 10_000_000, 100_000_000],
}

# A row of the jobs on keys: `user-` and eight digits, a count, and a sum.
KEY_BYTES = 13
ROW_BYTES = KEY_BYTES + 8 + 16

# Key names have 32 bits.
IDS = 1 << 32


class Bench:
    """Where things are, and their sizes."""

    def __init__(self, options):
        self.size = 'small' if options.small else 'full'
        self.of = SMALL if options.small else FULL
        self.work = os.path.join(os.path.abspath(options.work), self.size)
        self.root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.target = os.path.abspath(options.target)
        self.ckpt = os.path.abspath(options.ckpt or os.path.join(self.target, 'dist/ckpt'))
        os.makedirs(self.work, exist_ok=True)

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def example(self, name):
        return os.path.join(self.target, 'dist/examples', name)

    def make(self, name, write):
        """Makes an input or a store once, and returns its path."""
        path = self.path('data', name)
        if not os.path.exists(path):
            say('  making %s' % name)
            part = path + '.part'
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if os.path.isdir(part):
                shutil.rmtree(part)
            write(part)
            os.rename(part, path)
        return path

    def by_hand(self, *arguments):
        return run([self.example('by_hand'), *arguments])

    def clicks(self):
        """Returns a directory with four files of clicks."""
        sizes = (self.of['records'], 4, self.of['users'], 5_000)
        return self.make('clicks', lambda part: self.by_hand('clicks', part, *sizes))

    def keys(self, name, count, first=0, stride=1, ids=IDS):
        """Returns a file with `count` records of keys; see by_hand."""
        return self.make(name + '.jsonl', lambda part: self.by_hand('keys', part, count, first, stride, ids))

    def keys_store(self):
        """Returns a store of one checkpoint of all keys, with a count and a sum each."""
        def write(part):
            os.makedirs(part)
            job = self.job(part, 'keys', [self.keys('keys', self.of['keys'])], 'u', 'count, s: sum(v)', '{schedule: 1h, store: store}')
            self.run_job(job)
        return os.path.join(self.make('keys-store', write), 'store')

    def big_store(self):
        """Returns a store with big rows."""
        return self.make('big-store', lambda part: self.by_hand('store', part, self.of['big_mib']))

    def job(self, directory, name, files, key, aggregate, checkpoint, more='', tasks=64):
        """Writes a job file and returns its path."""
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, name + '.yaml')
        with open(path, 'w') as file:
            file.write('job: %s\ninput: {files: %s, format: json}\nkey: %s\ntasks: %d\n' % (name, json.dumps(files), key, tasks))
            file.write('process:\n  aggregate: {n: %s}\n%scheckpoint: %s\n' % (aggregate, more, checkpoint))
        return path

    def run_job(self, job, *arguments):
        """Runs a job and returns what it took; `.json()` is its summary."""
        return run([self.ckpt, 'run', '--quiet', '--json', job, *arguments])

    def with_keys_store(self, name, files, checkpoint='{schedule: 1h, store: store}'):
        """Returns the job of the store of keys with additional `files`, and a copy of the store for it."""
        directory = fresh(self.path(name))
        shutil.copytree(self.keys_store(), os.path.join(directory, 'store'))
        inputs = [self.keys('keys', self.of['keys'])] + files
        return self.job(directory, 'keys', inputs, 'u', 'count, s: sum(v)', checkpoint), os.path.join(directory, 'store')

    def ask(self, *arguments, codes=(0,)):
        """Returns the JSON that a command of ckpt prints, on its last line."""
        return run([self.ckpt, *arguments, '--json'], codes=codes).json()

    def venv(self):
        """Returns a Python that has duckdb and polars, or None."""
        python = self.path('venv/bin/python')
        if not os.path.exists(self.path('venv/whole')):
            try:
                say('  installing duckdb and polars')
                run([sys.executable, '-m', 'venv', fresh(self.path('venv'))])
                run([python, '-m', 'pip', 'install', '--quiet', 'duckdb', 'polars'])
                open(self.path('venv/whole'), 'w').close()
            except (OSError, Failed) as error:
                say('  skipped: %s' % error)
                return None
        return python


class Row:
    """A line of the table of results."""

    def __init__(self, what, value, against='', ratio='', goal=''):
        self.fields = [what, value, against, '%.2f' % ratio if isinstance(ratio, float) else ratio, goal]


def mib(count):
    return '%.1f MiB' % (count / (1 << 20)) if count < 10 << 30 else '%.1f GiB' % (count / (1 << 30))


def count(number):
    return '{:,}'.format(number)
