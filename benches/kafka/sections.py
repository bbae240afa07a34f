"""The sections of the measurement: which engines take turns, and what is asked of them."""

import os
import shutil
import signal
import statistics
import time

from jobs import Bare, Bytewax, Ckpt, Samza, Streams
from measure import Failed, say

# How long a process is left alone, so that everything that it has applied is committed; its interval is a second.
SETTLING = 3


def topic(bench):
    """No output: the limit, ckpt, and other engines that count each message at least once."""
    jobs = [Bare(bench), Ckpt(bench), Ckpt(bench, partitions=True), Streams(bench, 'at_least_once'), Samza(bench),
            Bytewax(bench)]
    lines, ready = compete(bench, jobs)
    return {'speed': lines, 'recovery': [recovery(bench, job) for job in ready if hasattr(job, 'start')]}


def output(bench):
    """Each changed row goes to a topic, in transactions."""
    jobs = [Bare(bench), Ckpt(bench, output=True), Ckpt(bench, partitions=True, output=True),
            Streams(bench, 'exactly_once_v2', output=True)]
    return {'speed': compete(bench, jobs)[0], 'recovery': []}


SECTIONS = {'topic': topic, 'output': output}


def compete(bench, jobs):
    """Runs all jobs in turns, and compares their rows. Returns the lines of the table, and the jobs that ran.

    A job that fails gets no more turns, and its line says why."""
    lacks = {job: job.lacks() for job in jobs}
    taken, expected = {job: [] for job in jobs}, None
    for turn in range(bench.turn_count):
        for job, before in taken.items():
            if lacks[job] or sum(one.seconds for one, _ in before) > bench.budget:
                continue
            broker = bench.broker_seconds()
            try:
                before.append((job.run(), bench.broker_seconds() - broker))
                for rows in job.rows():
                    expected = expected or rows
                    if rows != expected or rows['records'] != bench.records:
                        raise Failed('other rows: %s, and %s before' % (rows, expected))
                say('  turn %d: %s: %.2f s' % (turn + 1, job.name, before[-1][0].seconds))
            except Failed as error:
                bench.failed.append('%s: %s' % (job.name, error))
                lacks[job] = bench.failed[-1]
                say('  ' + lacks[job])
    return [line(bench, job, taken, lacks[job]) for job in jobs], [job for job in jobs if not lacks[job]]


def line(bench, job, taken, lack):
    if lack:
        return [job.name, 'not measured: ' + lack.splitlines()[-1]] + [''] * 6
    runs, limit = taken[job], next(iter(taken.values()))
    seconds = statistics.median(one.seconds for one, _ in runs)
    rate = statistics.median(alone.seconds / one.seconds for (one, _), (alone, _) in zip(runs, limit))
    return [job.name, '{:,.0f}'.format(bench.records / seconds), '' if isinstance(job, Bare) else '%.2f' % rate,
            '%.2f s' % seconds, '%.1f s' % statistics.median(one.cpu_seconds for one, _ in runs),
            '%.1f s' % statistics.median(broker for _, broker in runs),
            '%.0f MiB' % (statistics.median(one.peak_bytes for one, _ in runs) / (1 << 20)), str(len(runs))]


def recovery(bench, job):
    """Continues the last run of `job`, kills it, and measures the time to the first message of the next process."""
    mib = lambda count: '%.1f MiB' % (count / (1 << 20))
    total, note, last = job.saved()
    saved = [job.name, mib(total), note % mib(last)]
    process = job.start()
    try:
        bench.send_marks()
        job.wait_for_first(process)
        taken, without = [], 'the same: it has none'
        for _ in range(bench.turn_count):
            process, seconds = restart(bench, job, process)
            taken.append(seconds)
        if hasattr(job, 'local'):
            process, seconds = restart(bench, job, process, lambda: shutil.rmtree(job.local()))
            without = '%.2f s' % seconds
    except Failed as error:
        bench.failed.append('%s: %s' % (job.name, error))
        return [*saved, 'failed', '']
    finally:
        process.kill()
        process.wait()
    seconds = statistics.median(taken)
    say('  %s: next message after %.2f s; without local files: %s' % (job.name, seconds, without))
    return [*saved, '%.2f s' % seconds, without]


def restart(bench, job, process, between=lambda: None):
    """Kills `process` when there is something to apply, and starts another. Returns it, and the seconds from SIGKILL to
    the first message that it has applied."""
    time.sleep(SETTLING)
    # A process that is stopped applies nothing.
    os.kill(process.pid, signal.SIGSTOP)
    bench.send_marks()
    begun = time.monotonic()
    process.kill()
    process.wait()
    between()
    process = job.start()
    try:
        job.wait_for_first(process)
    except BaseException:
        process.kill()
        raise
    return process, time.monotonic() - begun
