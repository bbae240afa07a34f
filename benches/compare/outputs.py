"""Sections about whole jobs, from their input to the output file."""

import os
import shutil
import subprocess

from job import Row, count
from measure import fresh, ratio, run, seconds, turns

WINDOW = '  window: {time: ts, unit: ms, every: 1m, late: 10s}\n'
# The aggregate of each job, and what else it has.
JOBS = {'user': ('count, s: sum(amount)', ''), 'page': ('count', ''), 'country': ('count, s: sum(amount)', WINDOW)}
NAMES = {'user': 'count and sum by user', 'page': 'count by page', 'country': 'count and sum by country and minute'}


class Whole:
    """A job with an output file, in ckpt and in DuckDB."""

    def __init__(self, bench, name, files):
        self.bench, self.name, self.files = bench, name, files
        self.directory = fresh(bench.path('outputs'))
        self.job = self.write(name, files, '{schedule: 1s, store: store}')
        self.without = self.write(name + '-off', files, '{enabled: false}')
        self.piped = self.write(name + '-piped', ['-'], '{schedule: 1s, store: store}')

    def write(self, job, files, checkpoint):
        aggregate, more = JOBS[self.name]
        return self.bench.job(self.directory, job, files, self.name, aggregate, checkpoint, more + 'output: {files: out%s}\n' % (', emit: changes' if more else ''))

    def clear(self):
        fresh(os.path.join(self.directory, 'store'))
        fresh(os.path.join(self.directory, 'out'))

    def run(self):
        self.clear()
        return self.bench.run_job(self.job)

    def run_without(self):
        self.clear()
        return self.bench.run_job(self.without)

    def run_piped(self, unpack):
        """Runs the job on what `unpack` writes for its files."""
        self.clear()
        command = '%s %s | %s run --quiet --json %s' % (unpack, ' '.join(self.files), self.bench.ckpt, self.piped)
        return run(['sh', '-c', command])

    def duckdb(self, python):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'duckdb_output.py')
        return run([python, script, self.name, os.path.join(self.directory, 'duckdb.json'), *self.files])


def whole(bench):
    """Whole jobs with their sorted output, a checkpoint a second, against DuckDB without any."""
    python, rows = bench.venv(), []
    for name in JOBS:
        clicks = bench.clicks()
        job = Whole(bench, name, sorted(os.path.join(clicks, part) for part in os.listdir(clicks)))
        measures = {'ckpt': job.run}
        # The windows that have closed are published with checkpoints.
        if not JOBS[name][1]:
            measures['without'] = job.run_without
        if python:
            measures['duckdb'] = lambda: job.duckdb(python)
        taken = turns(bench.of['turns'], **measures)
        what = '%s, %s records, with the output, a checkpoint a second' % (NAMES[name], count(taken['ckpt'][0].json()['records']))
        others = {'duckdb': ('duckdb, whole process: %.2f s', '0.8'), 'without': ('without checkpoints: %.2f s', '1.1')}
        for other, (against, goal) in others.items():
            if other in taken:
                rows.append(Row(what, '%.2f s' % seconds(taken['ckpt']), against % seconds(taken[other]), ratio(taken['ckpt'], taken[other]), goal))
        shutil.rmtree(job.directory)
    return rows


def packed(bench):
    """Compressed files against a pipe from the program that decompresses them, and against DuckDB."""
    python, rows = bench.venv(), []
    clicks = bench.clicks()
    parts = sorted(os.path.join(clicks, part) for part in os.listdir(clicks))[:2]
    for pack, unpack, suffix in (('gzip -6', 'zcat', 'gz'), ('zstd -3 -q', 'zstdcat', 'zst')):
        if not shutil.which(unpack):
            continue

        def write(part, source):
            lines = bench.of['records'] * 3 // 20
            subprocess.run('head -n %d %s | %s > %s' % (lines, source, pack, part), shell=True, check=True)
        files = [bench.make('clicks-%d.jsonl.%s' % (number, suffix), lambda part: write(part, source)) for number, source in enumerate(parts)]
        job = Whole(bench, 'page', files)
        measures = {'ckpt': job.run, 'piped': lambda: job.run_piped(unpack)}
        if python:
            measures['duckdb'] = lambda: job.duckdb(python)
        taken = turns(bench.of['turns'], **measures)
        what = 'count by page, %s records in two `.%s`, a checkpoint a second' % (count(taken['ckpt'][0].json()['records']), suffix)
        rows.append(Row(what, '%.2f s' % seconds(taken['ckpt']), 'the same job after `%s`, through a pipe: %.2f s' % (unpack, seconds(taken['piped'])), ratio(taken['ckpt'], taken['piped']), '1.15'))
        if python:
            rows.append(Row('the same', '', 'duckdb, whole process: %.2f s' % seconds(taken['duckdb']), ratio(taken['ckpt'], taken['duckdb'])))
        shutil.rmtree(job.directory)
    return rows
