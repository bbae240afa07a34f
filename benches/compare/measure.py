"""Runs programs and measures them."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import threading
import time


class Failed(Exception):
    """A measured program has failed."""


class Taken:
    """What one run of a program took, and its output."""

    def __init__(self, seconds, cpu_seconds, peak_bytes, out):
        self.seconds, self.cpu_seconds, self.peak_bytes, self.out = seconds, cpu_seconds, peak_bytes, out

    def json(self):
        return json.loads(self.out.splitlines()[-1])


def run(command, cwd=None, env=None, codes=(0,)):
    """Runs `command` to its end."""
    command = [str(part) for part in command]
    begun = time.perf_counter()
    child = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    errors = []
    reader = threading.Thread(target=lambda: errors.append(child.stderr.read()))
    reader.start()
    out = child.stdout.read()
    reader.join()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stdout.close()
    child.stderr.close()
    if child.returncode not in codes:
        raise Failed('`%s` ended with %s: %s' % (' '.join(command), child.returncode, errors[0].decode(errors='replace')[-2000:]))
    return Taken(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, out.decode(errors='replace'))


def turns(count, **measures):
    """Runs all `measures` alternately, `count` times each, and returns the list of results of each."""
    taken = {name: [] for name in measures}
    for turn in range(count):
        for name, measure in measures.items():
            taken[name].append(measure())
        say('  turn %d: %s' % (turn + 1, ', '.join('%s %s' % (name, brief(taken[name][-1])) for name in measures)))
    return taken


def brief(value):
    if isinstance(value, Taken):
        return '%.3f s' % value.seconds
    return '%.4g' % value if isinstance(value, float) else str(value)


def seconds(taken):
    """Returns the median time of several runs."""
    return statistics.median(one.seconds for one in taken)


def ratio(some, others):
    """Returns the median of the ratios of two lists that were measured alternately."""
    value = lambda one: one.seconds if isinstance(one, Taken) else one
    return statistics.median(value(one) / value(other) for one, other in zip(some, others))


class Memory:
    """Watches the resident memory of a process."""

    def __init__(self, pid):
        self.pid, self.samples, self.stop = pid, [], threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def sample(self):
        while not self.stop.wait(0.01):
            try:
                self.samples.append(self.now())
            except OSError:
                return

    def now(self):
        with open('/proc/%d/statm' % self.pid) as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def cpu_ticks(self):
        with open('/proc/%d/stat' % self.pid) as file:
            fields = file.read().rpartition(')')[2].split()
        return int(fields[11]) + int(fields[12])

    def when_idle(self):
        """Waits until the process has been idle for half a second, and returns its memory then."""
        idle, before = 0, -1
        while idle < 5:
            now = self.cpu_ticks()
            idle = idle + 1 if now <= before + 1 else 0
            before = now
            time.sleep(0.1)
        return self.now()

    def peak_during(self, work):
        """Returns the largest memory seen during `work`."""
        known = len(self.samples)
        work()
        return max(self.samples[known:] + [self.now()])

    def end(self):
        self.stop.set()
        self.thread.join()


def say(text):
    print(text, file=sys.stderr, flush=True)


def tree_bytes(directory):
    """Returns the sizes of all files in `directory`."""
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(directory) for name in names)


def tree_files(directory):
    return sum(len(names) for _, _, names in os.walk(directory))


def fresh(directory):
    """Removes `directory`, and returns its path."""
    shutil.rmtree(directory, ignore_errors=True)
    return directory


def read_all(directory):
    """Reads every file, so that it is in the page cache."""
    for at, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(at, name), 'rb') as file:
                while file.read(1 << 20):
                    pass


def available_bytes():
    with open('/proc/meminfo') as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith('MemAvailable:'))


def machine():
    """Describes this machine."""
    with open('/proc/cpuinfo') as file:
        models = [line.partition(':')[2].strip() for line in file if line.startswith('model name')]
    with open('/proc/meminfo') as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    return '%s, %d cores, %.0f GiB of memory, Linux %s' % (models[0] if models else platform.machine(), os.cpu_count(), memory, platform.release())


def version(*command):
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.splitlines()
        return said[0].strip() if said else None
    except (OSError, subprocess.SubprocessError):
        return None
