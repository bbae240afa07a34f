"""Sections about the commands that read checkpoints: verify, restore, diff, list, prune."""

import os
import re
import shutil
import statistics
import subprocess

from job import Row, count, mib
from measure import Failed, fresh, ratio, read_all, run, say, seconds, tree_bytes, turns


def openssl_seconds(byte_count):
    """Returns how long `openssl speed -multi 2 sha256` would take for that many bytes, or None if it is not installed."""
    if not shutil.which('openssl'):
        say('  skipped: no openssl')
        return None
    cores = str(os.cpu_count())
    said = run(['openssl', 'speed', '-multi', cores, '-seconds', '2', '-bytes', '1048576', 'sha256']).out
    rate = re.search(r'^sha256\s+([0-9.]+)k', said, re.MULTILINE)
    return byte_count / (float(rate[1]) * 1e3)


def verify(bench):
    """Verifying and restoring big rows against openssl, sha256sum, cp, restic and borg."""
    store = bench.big_store()
    size = tree_bytes(store)
    read_all(store)
    hashing = lambda: run(['sh', '-c', 'find "$0" -type f -print0 | xargs -0 -n 4 -P %d sha256sum > /dev/null' % os.cpu_count(), store])
    measures = {'verify': lambda: run([bench.ckpt, 'verify', '--quiet', store]), 'deep': lambda: run([bench.ckpt, 'verify', '--quiet', '--deep', store]), 'sha256sum': hashing}
    if openssl_seconds(size):
        measures['openssl'] = lambda: openssl_seconds(size)
    taken = turns(bench.of['turns'], **measures)
    speed = lambda name: '%.2f GB/s' % (size / seconds(taken[name]) / 1e9)
    rows = []
    if 'openssl' in taken:
        rates = '%.2f GB/s' % (size / statistics.median(taken['openssl']) / 1e9)
        rows.append(Row('`verify` of %s in the page cache' % mib(size), speed('verify'), '`openssl speed -multi`, 1 MiB blocks: ' + rates,
                        ratio(taken['openssl'], taken['verify']), 'at least 0.9'))
    rows.append(Row('the same', speed('verify'), '`sha256sum`, one process per core: ' + speed('sha256sum'), ratio(taken['verify'], taken['sha256sum'])))
    rows.append(Row('`verify --deep` of the same, rows of 8 KiB', '%.2f s' % seconds(taken['deep']), '`verify`: %.2f s' % seconds(taken['verify']),
                    ratio(taken['deep'], taken['verify']), '2'))
    return rows + restored(bench, store, 'the same', min(3, bench.of['turns'])) + backed_up(bench, store, size)


def restored(bench, store, what, count_of_turns):
    """Restoring a checkpoint's state against copying the store and verifying it."""
    to, copy = bench.path('restored'), bench.path('copied')

    def copied(flushed):
        fresh(copy)
        command = 'cp -r "$0" "$1"' + (' && sync "$1" && find "$1" -type f -exec sync {} +' if flushed else '')
        return run(['sh', '-c', command, store, copy])

    def restore():
        fresh(to)
        return run([bench.ckpt, 'restore', '--quiet', store, '--to', to])

    taken = turns(count_of_turns, cp=lambda: copied(False), cp_and_flush=lambda: copied(True), restore=restore,
                  verify=lambda: run([bench.ckpt, 'verify', '--quiet', store]))
    fresh(to)
    fresh(copy)
    both = lambda name: [one.seconds + other.seconds for one, other in zip(taken[name], taken['verify'])]
    return [Row('`restore --to` Parquet, on disk at the end; of %s' % what, '%.2f s' % seconds(taken['restore']),
                '%s and `verify`: %.2f s' % (words, statistics.median(both(name))), ratio([one.seconds for one in taken['restore']], both(name)), '1.3')
            for name, words in (('cp', '`cp -r`'), ('cp_and_flush', '`cp -r`, flushed,'))]


def backed_up(bench, store, size):
    """The check of a backup tool's copy of the same bytes."""
    rows = []
    repository, cache = fresh(bench.path('backup')), fresh(bench.path('backup-cache'))
    env = dict(os.environ, RESTIC_PASSWORD='x', RESTIC_REPOSITORY=repository, RESTIC_CACHE_DIR=cache, BORG_REPO=repository,
               BORG_BASE_DIR=cache, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK='yes')
    tools = {
        'restic': (['restic', 'init'], ['restic', 'backup', '--quiet', store], ['restic', 'check', '--read-data']),
        'borg': (['borg', 'init', '-e', 'none'], ['borg', 'create', '--compression', 'none', '::one', store], ['borg', 'check', '--verify-data']),
    }
    for tool, (init, create, check) in tools.items():
        if not shutil.which(tool):
            say('  skipped: no %s' % tool)
            continue
        os.makedirs(cache, exist_ok=True)
        run(init, env=env)
        made = run(create, env=env)
        read_all(repository)
        taken = turns(1, other=lambda: run(check, env=env), verify=lambda: run([bench.ckpt, 'verify', '--quiet', store]))
        rows.append(Row('`verify` of the same', '%.2f s' % seconds(taken['verify']), '`%s` of a backup of it: %.2f s (making it took %.2f s)' % (
            ' '.join(check), seconds(taken['other']), made.seconds), ratio(taken['verify'], taken['other'])))
        fresh(repository)
        fresh(cache)
    return rows


def narrow(bench):
    """The same for many small rows."""
    store, keys = bench.keys_store(), bench.of['keys']
    read_all(store)
    size = tree_bytes(store)
    taken = turns(bench.of['turns'], verify=lambda: run([bench.ckpt, 'verify', '--quiet', store]), deep=lambda: run([bench.ckpt, 'verify', '--quiet', '--deep', store]),
                  by_hand=lambda: bench.by_hand('load', store))
    cpu = statistics.median(one.cpu_seconds for one in taken['deep'])
    decoding = statistics.median(one.json()['cpu_decoding'] for one in taken['by_hand'])
    rows = [
        Row('`verify` of %s keys in %s' % (count(keys), mib(size)), '%.3f s' % seconds(taken['verify'])),
        Row('`verify --deep` of the same', '%.2f s, %.0f ns of processor time a row' % (seconds(taken['deep']), cpu * 1e9 / keys),
            'decoding the same Parquet and nothing else: %.0f ns a row' % (decoding * 1e9 / keys), cpu / decoding),
    ]
    return rows + restored(bench, store, 'the same', bench.of['turns'])


def diff(bench):
    """Two checkpoints that differ in one key in a hundred."""
    keys = bench.of['keys']
    job, store = bench.with_keys_store('diff', [bench.keys('changes-1', keys // 100, 7, 100)])
    bench.run_job(job)
    objects = bench.ask('stats', store)
    taken = turns(bench.of['turns'], diff=lambda: run([bench.ckpt, 'diff', store + '@1', store + '@2', '--stat', '--json'], codes=(1,)))
    total = taken['diff'][0].json()
    if total['changed'] != keys // 100:
        raise Failed('%s' % total)
    new = objects['stored_bytes'] - total['bytes_shared']
    shutil.rmtree(bench.path('diff'))
    return [
        Row('`diff`, %s of %s keys changed, all over the shards' % (count(total['changed']), count(keys)), '%.2f s' % seconds(taken['diff']), '', '', '1 s'),
        Row('bytes that it read', mib(total['bytes_read']), 'not shared: %s; the whole store: %s' % (mib(new), mib(objects['stored_bytes'])), total['bytes_read'] / new, ''),
    ]


def many(bench):
    """A store of many checkpoints."""
    number = bench.of['checkpoints']
    store = bench.make('many', lambda part: run([bench.example('many_checkpoints'), part, number]))
    taken = turns(bench.of['turns'], list=lambda: run([bench.ckpt, 'list', store]), inspect=lambda: run([bench.ckpt, 'inspect', store]),
                  prune=lambda: run([bench.ckpt, 'prune', store, '--keep-daily', '7', '--dry-run']))
    names = (('list', 'list', 0.5), ('inspect', 'inspect', 0.05), ('prune', 'prune --dry-run', 2))
    return [Row('`%s` with %s checkpoints' % (words, count(number)), '%.3f s' % seconds(taken[name]), '', '', '%g s' % goal) for name, words, goal in names]


def start(bench):
    """How long a process takes that does little."""
    directory = fresh(bench.path('start'))
    job = bench.job(directory, 'small', [bench.keys('small', 1000)], 'u', 'count, s: sum(v)', '{schedule: 1h, store: store}')
    bench.run_job(job)
    store = os.path.join(directory, 'store')
    commands = {'true': ['true'], 'version': [bench.ckpt, '--version'], 'list': [bench.ckpt, 'list', store], 'latest': [bench.ckpt, 'latest', store]}
    taken = {name: [] for name in commands}
    for _ in range(bench.of['starts']):
        for name, command in commands.items():
            taken[name].append(run(command))
    shutil.rmtree(directory)
    milliseconds = {name: seconds(several) * 1e3 for name, several in taken.items()}
    floor = '`true`: %.1f ms' % milliseconds['true']
    names = (('version', '`ckpt --version`'), ('list', '`ckpt list` of a small store'), ('latest', '`ckpt latest` of it'))
    return [Row('%s, whole process' % words, '%.1f ms' % milliseconds[name], floor, '', '10 ms') for name, words in names]
