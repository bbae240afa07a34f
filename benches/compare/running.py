"""Sections about the run: its speed, its checkpoints, its memory."""

import os
import random
import shutil
import statistics
import subprocess
import sys
import time

from job import ROW_BYTES, Row, count, mib
from measure import Failed, Memory, available_bytes, fresh, ratio, run, say, seconds, tree_files, turns


def batch(bench):
    """A run against a hand-written aggregate, DuckDB and Polars; the cost of checkpoints."""
    clicks, directory = bench.clicks(), fresh(bench.path('batch'))
    files = clicks + '/*.jsonl'
    window = '  window: {time: ts, unit: ms, every: 1m, late: 10s}\n'
    jobs = {'user': ('count, s: sum(amount)', ''), 'page': ('count', ''), 'country': ('count', window)}
    rows = []
    for name, (aggregate, more) in jobs.items():
        on = bench.job(directory, name, [files], name, aggregate, '{schedule: 1s, store: store-%s}' % name, more)
        off = bench.job(directory, name + '-off', [files], name, aggregate, '{enabled: false}', more)

        def with_checkpoints():
            fresh(os.path.join(directory, 'store-' + name))
            return bench.run_job(on)

        measures = {'by_hand': lambda: bench.by_hand('aggregate', clicks, name), 'ckpt': with_checkpoints, 'without': lambda: bench.run_job(off)}
        say('  %s' % name)
        taken = turns(bench.of['turns'], **measures)
        hand, own = taken['by_hand'][0].json(), taken['ckpt'][0].json()
        # Closed windows are no longer in the state at the end.
        if hand['records'] != own['records'] or (hand['keys'] != own['keys'] and not more):
            raise Failed('by hand %s, ckpt %s' % (hand, own))
        what = '`run`, %s records, count%s by %s, %s keys, a checkpoint a second' % (
            count(own['records']), ' and sum' if name == 'user' else '', 'country and minute' if more else name, count(hand['keys']))
        rows.append(Row(what, '%.2f s' % seconds(taken['ckpt']), 'by hand, without checkpoints: %.2f s' % seconds(taken['by_hand']),
                        ratio(taken['ckpt'], taken['by_hand']), '2'))
        rows.append(Row('the same', '', 'without checkpoints: %.2f s' % seconds(taken['without']), ratio(taken['ckpt'], taken['without']),
                        '1.1' if name == 'user' else ''))
        if name == 'user':
            users = (clicks, with_checkpoints)
    python = bench.venv()
    if python:
        clicks, with_checkpoints = users
        name = 'user'
        engines = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'engines.py')
        on = os.path.join(directory, 'user.yaml')
        for engine in ('duckdb', 'polars'):
            def ours():
                fresh(os.path.join(directory, 'store-user'))
                return bench.run_job(on)
            taken = turns(bench.of['turns'], ckpt=ours, other=lambda: run([python, engines, engine, clicks]))
            rows.append(Row('count and sum by user, a checkpoint a second', '%.2f s' % seconds(taken['ckpt']),
                            '%s, whole process: %.2f s' % (engine, seconds(taken['other'])), ratio(taken['ckpt'], taken['other'])))
    shutil.rmtree(directory)
    return rows


def access(bench):
    """Lines of an access log in the combined format, against Miller, which splits at spaces, and GoAccess, which parses them too."""
    def write(part):
        choose = random.Random(1)
        with open(part, 'w') as file:
            for number in range(bench.of['lines']):
                path = '/shop/item/%d' % min(choose.randrange(5_000), choose.randrange(5_000))
                file.write('10.%d.%d.%d - - [27/Nov/2026:%02d:%02d:%02d +0000] "GET %s HTTP/1.1" %d %d "https://example.com/" "Mozilla/5.0 (X11; Linux x86_64)"\n' % (
                    choose.randrange(4), choose.randrange(256), choose.randrange(256), number // 3_600 % 24, number // 60 % 60, number % 60,
                    path, choose.choice((200, 200, 200, 304, 404, 500)), choose.randrange(100_000)))
    log, directory = bench.make('access.log', write), fresh(bench.path('access'))
    os.makedirs(directory)
    job = os.path.join(directory, 'access.yaml')
    with open(job, 'w') as file:
        file.write('job: access\ninput: {files: %s, pattern: combined}\nkey: path\nprocess:\n  aggregate: {n: count, bytes: sum(bytes)}\n' % log)
        file.write('checkpoint: {schedule: 1s, store: store}\n')

    def ours():
        fresh(os.path.join(directory, 'store'))
        return bench.run_job(job)

    what, rows = '%s lines of a log in the combined format, count and sum of bytes by path, a checkpoint a second' % count(bench.of['lines']), []
    others = {'mlr': ['--inidx', '--ifs', ' ', '--ojson', 'stats1', '-a', 'count,sum', '-f', '10', '-g', '7', log],
              'goaccess': [log, '--log-format=COMBINED', '--no-global-config', '-o', os.path.join(directory, 'report.json')]}
    for other, arguments in others.items():
        if not shutil.which(other):
            say('  skipped: there is no %s' % other)
            continue
        # GoAccess makes many reports, which takes minutes.
        taken = turns(1 if other == 'goaccess' else bench.of['turns'], ckpt=ours, other=lambda: run([other, *arguments]))
        per_second = bench.of['lines'] / seconds(taken['ckpt'])
        rows.append(Row(what, '%.2f s, %s lines/s' % (seconds(taken['ckpt']), count(int(per_second))), '%s: %.2f s' % (other, seconds(taken['other'])),
                        ratio(taken['ckpt'], taken['other']), 'at least 1,000,000 lines/s'))
    shutil.rmtree(directory)
    return rows


def pause(bench):
    """How long processing pauses for a checkpoint in which all keys changed."""
    keys = bench.of['pause_keys']
    records = bench.keys('pause', keys * 10, ids=keys)
    job = bench.job(fresh(bench.path('pause')), 'pause', [records], 'u', 'count, s: sum(v)', '{records: %d, store: store}' % keys)
    worst, checkpoints = [], []
    for _ in range(bench.of['turns']):
        fresh(bench.path('pause/store'))
        summary = bench.run_job(job).json()
        worst.append(summary['pause_micros_p99'])
        checkpoints.append(summary['checkpoints'])
    changed = [one['changed_keys'] for one in bench.ask('list', bench.path('pause/store'))['checkpoints']]
    shutil.rmtree(bench.path('pause'))
    return [Row('pause for a checkpoint, 99th percentile; %s changed keys (median of %d checkpoints)' % (count(int(statistics.median(changed))), checkpoints[-1]),
                '%.2f ms (worst of %d runs: %.2f ms)' % (statistics.median(worst) / 1e3, len(worst), max(worst) / 1e3), '', '', '20 ms')]


class Feeder:
    """A run of a job that reads its standard input."""

    def __init__(self, bench, job):
        self.child = subprocess.Popen([bench.ckpt, 'run', '--quiet', '--json', job], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def feed(self, file):
        with open(file, 'rb') as source:
            shutil.copyfileobj(source, self.child.stdin, 1 << 20)
        self.child.stdin.flush()

    def __exit__(self, kind, *_):
        self.child.stdin.close()
        self.child.stdout.read()
        self.child.stdout.close()
        if self.child.wait() != 0 and kind is None:
            raise Failed('the run ended with %d' % self.child.returncode)


def delta(bench):
    """What a checkpoint writes when one key in a hundred changed, also over many checkpoints."""
    keys, deltas = bench.of['keys'], bench.of['deltas']
    one = keys // 100
    store = bench.keys_store()
    full = bench.ask('list', store)['checkpoints'][-1]['new_bytes']
    job, store = bench.with_keys_store('delta', [bench.keys('changes-1', one, 7, 100)])
    bench.run_job(job)
    first = bench.ask('list', store)['checkpoints'][-1]
    rows = [Row('bytes of an elided checkpoint, %s of %s keys changed' % (count(first['changed_keys']), count(keys)), mib(first['new_bytes']),
                'a full one: %s' % mib(full), '%.2f %%' % (100 * first['new_bytes'] / full), '3 %')]
    shutil.rmtree(bench.path('delta'))
    # A checkpoint is requested after each hundredth; other keys change each time.
    directory = bench.path('delta')
    job = bench.job(directory, 'delta', ['-'], 'u', 'count, s: sum(v)', '{schedule: 10h, store: store}')
    store = os.path.join(directory, 'store')
    more = [bench.keys('changes-%d' % number, one, number, 100) for number in range(1, deltas + 1)]
    began = time.perf_counter()
    with Feeder(bench, job) as feeder:
        for file in [bench.keys('keys', keys)] + more:
            feeder.feed(file)
            bench.ask('checkpoint', store)
    taken = time.perf_counter() - began
    made = [one for one in bench.ask('list', store)['checkpoints'] if one['changed_keys'] < keys // 2]
    total, changed = sum(one['new_bytes'] for one in made), sum(one['changed_keys'] for one in made)
    raw = changed * ROW_BYTES
    like_full = changed * full / keys
    rows.append(Row('bytes of %d such checkpoints in one run, folding included, against the changed keys and values' % len(made), mib(total),
                    'in memory: %s' % mib(raw), total / raw, '3'))
    rows.append(Row('the same against the changed keys and values as a full checkpoint has them', mib(total), mib(like_full), total / like_full, '3'))
    rows.append(Row('time of that run, %s records' % count(keys + one * deltas), '%.2f s' % taken))
    shutil.rmtree(bench.path('delta'))
    return rows


def memory(bench):
    """Resident memory against the size of the state, also during checkpoints."""
    keys = bench.of['keys']
    state, changes = bench.keys('keys', keys), bench.keys('changes-1', keys // 100, 7, 100)
    directory = fresh(bench.path('memory'))
    job = bench.job(directory, 'memory', ['-'], 'u', 'count, s: sum(v)', '{schedule: 10h, store: store}')
    store = os.path.join(directory, 'store')
    jumps, peak = [], 0
    with Feeder(bench, job) as feeder:
        watched = Memory(feeder.child.pid)
        for file in (state, changes):
            feeder.feed(file)
            settled = watched.when_idle()
            jumps.append((settled, watched.peak_during(lambda: bench.ask('checkpoint', store))))
            watched.when_idle()
        with open('/proc/%d/status' % feeder.child.pid) as status:
            peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith('VmHWM:'))
    watched.end()
    shutil.rmtree(directory)
    raw = keys * ROW_BYTES
    rows = [Row('peak memory at %s keys, from standard input' % count(keys), mib(peak), 'keys and values: %s' % mib(raw), peak / raw, '2.5')]
    for name, (settled, most) in zip(('all keys changed', '1 % changed'), jumps):
        rows.append(Row('memory during a checkpoint, %s' % name, mib(most), 'before it: %s' % mib(settled), most / settled, '1.3'))
    job = bench.job(directory, 'memory', [state], 'u', 'count, s: sum(v)', '{schedule: 10h, store: store}')
    peak = bench.run_job(job).peak_bytes
    shutil.rmtree(directory)
    return rows + [Row('peak memory at %s keys, from a file, with the last checkpoint' % count(keys), mib(peak), 'keys and values: %s' % mib(raw), peak / raw, '2.5')]


def resume(bench):
    """Resuming against reading, hashing and decoding the same bytes and building a table by hand."""
    one_more = bench.keys('one-more', 1, 3)
    stores = bench.path('resume/store')

    def resumed():
        job, _ = bench.with_keys_store('resume', [one_more])
        return bench.run_job(job)

    def by_hand():
        bench.with_keys_store('resume', [one_more])
        return bench.by_hand('load', stores)

    taken = turns(bench.of['turns'], by_hand=by_hand, ckpt=resumed)
    loading = [one.json()['loading_seconds'] for one in taken['ckpt']]
    hand = [one.json() for one in taken['by_hand']]
    if hand[0]['keys'] != bench.of['keys']:
        raise Failed('by hand %s' % hand[0])
    parts = ', '.join('%s %.2f s' % (part, statistics.median(one['cpu_' + part] for one in hand)) for part in ('hashing', 'decoding', 'building'))
    shutil.rmtree(bench.path('resume'))
    return [
        Row('resume with %s keys, time to the first new record' % count(hand[0]['keys']), '%.2f s' % statistics.median(loading),
            'by hand: %.2f s (over all threads: %s)' % (statistics.median(one['seconds'] for one in hand), parts),
            ratio(loading, [one['seconds'] for one in hand]), '1.5'),
        Row('the same, whole process, with one new record and its checkpoint', '%.2f s' % seconds(taken['ckpt']),
            'by hand, whole process: %.2f s' % seconds(taken['by_hand']), ratio(taken['ckpt'], taken['by_hand'])),
    ]


def tasks(bench):
    """A checkpoint of a job with many tasks against one with few."""
    many = bench.of['tasks']
    state = bench.keys('task-keys', many)
    changes = bench.keys('task-changes', many // 100, 7, 100)
    found = {64: [], many: []}
    for number in found:
        pristine = fresh(bench.path('tasks-%d' % number))
        bench.run_job(bench.job(pristine, 'tasks', [state], 'u', 'count, s: sum(v)', '{schedule: 1h, store: store}', tasks=number))
    for _ in range(max(5, bench.of['turns'])):
        for number, results in found.items():
            directory = fresh(bench.path('tasks'))
            shutil.copytree(bench.path('tasks-%d' % number), directory)
            store = os.path.join(directory, 'store')
            before = tree_files(os.path.join(store, 'objects'))
            bench.run_job(bench.job(directory, 'tasks', [state, changes], 'u', 'count, s: sum(v)', '{schedule: 1h, store: store}', tasks=number))
            attempt = bench.ask('log', store)['log'][-1]
            parts = [attempt[part + '_micros'] / 1e3 for part in ('snapshot', 'write', 'commit')]
            results.append((sum(parts), attempt['new_bytes'], tree_files(os.path.join(store, 'objects')) - before, parts))
    rows = []
    few_of, many_of = ([[result[part] for result in found[number]] for part in range(3)] for number in (64, many))
    changed = '%s changed' % count(many // 100)
    for part, what, form in ((0, 'time of a checkpoint', '%.1f ms'), (1, 'bytes of a checkpoint', '%d'), (2, 'files of a checkpoint', '%d')):
        few, much = statistics.median(few_of[part]), statistics.median(many_of[part])
        rows.append(Row('%s, %s tasks, %s' % (what, count(many), changed), form % much, '64 tasks: ' + form % few, ratio(many_of[part], few_of[part]), '1.2' if part < 2 else '1'))
    for name in ('tasks', 'tasks-64', 'tasks-%d' % many):
        shutil.rmtree(bench.path(name))
    return rows


def python(bench):
    """Records through a program in Python against the same code in a loop."""
    here = os.path.dirname(os.path.abspath(__file__))
    def head(part):
        with open(os.path.join(bench.clicks(), 'clicks-0.jsonl'), 'rb') as source, open(part, 'wb') as out:
            for number, line in enumerate(source):
                if number == bench.of['python_records']:
                    break
                out.write(line)
    file = bench.make('python.jsonl', head)
    directory = fresh(bench.path('python'))
    os.makedirs(directory)
    shutil.copy(os.path.join(here, 'count.py'), directory)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([os.path.join(bench.root, 'python'), here]), PYTHONDONTWRITEBYTECODE='1')

    def through(threads):
        fresh(os.path.join(directory, 'checkpoints'))
        command = [bench.ckpt, 'run', '--quiet', '--json', '--threads', threads, os.path.join(directory, 'count.py'), file]
        return run(command, env=env)

    plain = lambda: run([sys.executable, os.path.join(here, 'plain.py'), file], env=env)
    taken = turns(bench.of['turns'], plain=plain, one=lambda: through(1), two=lambda: through(2))
    records = taken['plain'][0].json()['records']
    if taken['one'][0].json()['keys'] != taken['plain'][0].json()['keys']:
        raise Failed('other keys')
    shutil.rmtree(directory)
    rate = lambda name: records / seconds(taken[name])
    return [Row('records through Python, %d worker%s' % (number, 's' * (number > 1)), '%s/s' % count(int(rate(name))), 'a loop: %s/s' % count(int(rate('plain'))),
                ratio(taken['plain'], taken[name]), 'at least 0.8') for number, name in ((1, 'one'), (2, 'two'))]


def growth(bench):
    """How the cost grows with the number of records and of keys."""
    rows = []
    sizes = bench.of['growth']
    for records, keys in [(size, sizes[0]) for size in sizes] + [(size, size) for size in sizes[1:]]:
        what = '`run` to its end, %s records, %s keys' % (count(records), count(keys))
        # A row takes about 90 bytes; the input should fit in the page cache as well.
        needed = keys * 110 + records * 30
        if needed > available_bytes():
            rows.append(Row(what, 'left out', 'needs about %s of memory, %s are there' % (mib(needed), mib(available_bytes()))))
            continue
        directory = fresh(bench.path('growth'))
        file = os.path.join(directory, 'records.jsonl')
        os.makedirs(directory)
        bench.by_hand('keys', file, records, 0, 1, keys)
        job = bench.job(directory, 'growth', [file], 'u', 'count, s: sum(v)', '{schedule: 1h, store: store}')
        taken = bench.run_job(job)
        summary = taken.json()
        if (summary['records'], summary['keys']) != (records, keys):
            raise Failed('%s' % summary)
        say('  %s: %.2f s' % (what, taken.seconds))
        rows.append(Row(what, '%.2f s' % taken.seconds, '%.0f ns a record; peak %s, %.0f bytes a key; checkpoint %s' % (
            taken.seconds * 1e9 / records, mib(taken.peak_bytes), taken.peak_bytes / keys, mib(summary['checkpoint_bytes']))))
        shutil.rmtree(directory)
    return rows
