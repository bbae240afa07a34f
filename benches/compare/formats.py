"""Sections about formats other than JSON, and about a log that is followed."""

import csv
import json
import math
import os
import random
import shutil
import signal
import statistics
import subprocess
import threading
import time

from job import Row, count
from measure import Failed, fresh, ratio, run, say, seconds, turns

WORDS = 20_000
# Appends for a followed log, and how long to follow it.
LINES_PER_SECOND, BATCHES_PER_SECOND, FOLLOW_SECONDS = 50_000, 100, 20


def tables(bench):
    """CSV with and without quotes against DuckDB, mawk and Miller."""
    def write(part, quoting):
        choose = random.Random(2)
        with open(part, 'w', newline='') as file:
            out = csv.writer(file, quoting=quoting, lineterminator='\n')
            out.writerow(['ts', 'user', 'page', 'country', 'amount'])
            for number in range(bench.of['lines']):
                page = choose.randrange(5_000)
                # A quoted field may have what needs quotes; mawk cannot read it.
                country = 'Korea, South' if quoting == csv.QUOTE_NONNUMERIC and page % 16 == 0 else 'C%d' % (page % 16)
                out.writerow([1_767_225_600_000 + 2 * number, 'u%07d' % choose.randrange(bench.of['users']), '/catalog/item-%05d' % page, country, choose.randrange(60_000) / 100])
    rows = []
    for name, quoting in (('without quotes', csv.QUOTE_MINIMAL), ('with quotes', csv.QUOTE_NONNUMERIC)):
        file = bench.make(name.replace(' ', '-') + '.csv', lambda part: write(part, quoting))
        sql = 'SELECT page, count(*) AS n, sum(amount) AS s FROM read_csv($files, header = true) GROUP BY 1 ORDER BY 1'
        others = {'mlr': ['mlr', '--icsv', '--ojson', 'stats1', '-a', 'count,sum', '-f', 'amount', '-g', 'page', file]}
        if quoting == csv.QUOTE_MINIMAL:
            others['mawk'] = ['mawk', '-F,', 'NR > 1 {n[$3]++; s[$3] += $5} END {for (page in n) print page, n[page], s[page]}', file]
        rows += against(bench, '%s lines of CSV %s, count and sum by page' % (count(bench.of['lines']), name), file,
                        'format: csv', 'page', '{n: count, s: sum(amount)}', sql, others)
    return rows


def text(bench):
    """Words of a text against DuckDB and mawk, which split at spaces only."""
    def write(part):
        choose = random.Random(3)
        words = ['w%s' % format(number * 2_654_435_761 % (1 << 32), 'x')[:choose.randrange(2, 9)] for number in range(WORDS)]
        with open(part, 'w') as file:
            for _ in range(bench.of['lines']):
                # A few words are frequent, as in a language.
                file.write(' '.join(words[int(math.exp(choose.random() * math.log(WORDS))) - 1] for _ in range(10)) + '\n')
    file = bench.make('words.txt', write)
    sql = ("SELECT word, count(*) AS n FROM (SELECT unnest(string_split(line, ' ')) AS word FROM read_csv($files, columns = {'line': 'VARCHAR'}, delim = '\\0', quote = '', header = false)) "
           'GROUP BY 1 ORDER BY 1')
    others = {'mawk': ['mawk', '{for (at = 1; at <= NF; at++) n[$at]++} END {for (word in n) print word, n[word]}', file]}
    return against(bench, '%s lines of ten words, count by word' % count(bench.of['lines']), file, 'split: words', 'word', '{n: count}', sql, others)


def against(bench, what, file, format, key, aggregate, sql, others):
    """Measures a job with its output and a checkpoint a second against a query in DuckDB and `others`, and returns their rows."""
    directory = fresh(bench.path('formats'))
    os.makedirs(directory)
    job = os.path.join(directory, 'job.yaml')
    with open(job, 'w') as out:
        out.write('job: formats\ninput: {files: %s, %s}\nkey: %s\nprocess:\n  aggregate: %s\n' % (file, format, key, aggregate))
        out.write('checkpoint: {schedule: 1s, store: store}\noutput: {files: out}\n')

    def ours():
        fresh(os.path.join(directory, 'store'))
        fresh(os.path.join(directory, 'out'))
        return bench.run_job(job)

    measures, python = {'ckpt': ours}, bench.venv()
    if python:
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'duckdb_query.py')
        measures['duckdb'] = lambda: run([python, script, sql, os.path.join(directory, 'duckdb.json'), file])
    for name, command in others.items():
        if shutil.which(name):
            measures[name] = lambda command=command: run(command)
        else:
            say('  skipped: there is no %s' % name)
    taken = turns(bench.of['turns'], **measures)
    check_rows(directory, taken.get('mawk'))
    shutil.rmtree(directory)
    names = [name for name in taken if name != 'ckpt']
    return [Row('the same' if position else what, '%.2f s' % seconds(taken['ckpt']), '%s: %.2f s' % (name, seconds(taken[name])), ratio(taken['ckpt'], taken[name]))
            for position, name in enumerate(names)]


def check_rows(directory, awk):
    """Fails if the programs found another number of rows."""
    def lines(path):
        with open(path, 'rb') as file:
            return sum(1 for _ in file)
    found = {'ckpt': lines(os.path.join(directory, 'out/formats.jsonl'))}
    if os.path.exists(os.path.join(directory, 'duckdb.json')):
        found['duckdb'] = lines(os.path.join(directory, 'duckdb.json'))
    if awk:
        found['mawk'] = awk[0].out.count('\n')
    if len(set(found.values())) != 1:
        raise Failed('different rows: %s' % found)


def follow(bench):
    """The delay from an append to a log until its row is published, with a checkpoint a second."""
    directory = fresh(bench.path('follow'))
    os.makedirs(os.path.join(directory, 'out'))
    log, job = os.path.join(directory, 'app.log'), os.path.join(directory, 'follow.yaml')
    with open(job, 'w') as out:
        out.write('job: follow\ninput: {files: %s, format: json, follow: true}\nkey: at\nprocess:\n  aggregate: {n: count}\n' % log)
        out.write('checkpoint: {schedule: 1s, store: store}\noutput: {files: out, emit: changes}\n')
    open(log, 'w').close()
    child = subprocess.Popen([bench.ckpt, 'run', '--quiet', job], stdout=subprocess.DEVNULL)
    seen, done = {}, threading.Event()

    def watch():
        while not done.is_set():
            for entry in os.scandir(os.path.join(directory, 'out')):
                if entry.name.endswith('.jsonl'):
                    seen.setdefault(entry.path, time.time())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        appended = append(log)
        time.sleep(3)
        child.send_signal(signal.SIGTERM)
        if child.wait() != 0:
            raise Failed('the run ended with %d' % child.returncode)
    finally:
        child.kill()
        done.set()
        watcher.join()
    delays, known = [], {}
    for path in sorted(seen):
        for at, rows in counts(path):
            # The key is the moment of the append, in microseconds.
            delays += [seen[path] - int(at) / 1e6] * (rows - known.get(at, 0))
            known[at] = rows
    if len(delays) != appended:
        raise Failed('%d of %d lines were published' % (len(delays), appended))
    delays.sort()
    shutil.rmtree(directory)
    return [Row('a followed log with %s lines/s, from append to published row, a checkpoint a second' % count(LINES_PER_SECOND),
                'median %.2f s, 99th percentile %.2f s' % (statistics.median(delays), delays[len(delays) * 99 // 100]))]


def append(log):
    """Appends lines at a steady rate, and returns how many."""
    size, begun = LINES_PER_SECOND // BATCHES_PER_SECOND, time.time()
    with open(log, 'ab', buffering=0) as file:
        for batch in range(FOLLOW_SECONDS * BATCHES_PER_SECOND):
            time.sleep(max(0, begun + batch / BATCHES_PER_SECOND - time.time()))
            file.write(b'{"at":"%d","level":"info","text":"a line of an ordinary length, of some service"}\n' % int(time.time() * 1e6) * size)
    return FOLLOW_SECONDS * LINES_PER_SECOND


def counts(path):
    """Returns the keys and counts in a file of changes."""
    with open(path) as file:
        for line in file:
            row = json.loads(line)
            yield row['at'], row['n']
