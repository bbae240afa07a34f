"""Stateful jobs in Python, run by ckpt: checkpointed, resumed, inspected and compared.

A job is a class:

    from samza import SamzaJob

    class Visits(SamzaJob):
        def setup(self):
            self.configs['input'] = 'clicks.jsonl'
            self.configs['key'] = 'user'

        def process(self, data):
            user = data['user']
            self.state[user] = self.state.get(user, 0) + 1

    if __name__ == '__main__':
        Visits().run()

``python3 visits.py`` and ``ckpt run visits.py`` are the same. ``ckpt`` reads the input, gives each record to ``process`` in a
process of its own for each worker, and keeps what ``self.state`` holds in its checkpoints.

This module has no dependencies and runs on Python 3.9 and later.
"""

import collections.abc
import gc
import json
import os
import shutil
import sys
import traceback

__all__ = ['SamzaJob', 'State']

PROTOCOL = 1

# So many characters of rows are put into one line.
_PART_CHARACTERS = 1 << 20

# Values that can not be changed: whoever has one can not change the state with it.
_PLAIN = frozenset((str, int, float, bool, type(None)))

_encode = json.JSONEncoder(ensure_ascii=False, separators=(',', ':'), allow_nan=False).encode


class State(dict):
    """The state of one task: a dictionary whose changes are known.

    Keys are text and values are JSON: text, numbers, booleans, ``None``, lists, and dictionaries with text as keys. A list or
    dictionary that was taken out of it is handed over at the next checkpoint, in case something in it was changed. So take it
    out of ``self.state`` whenever it is needed, and do not keep it elsewhere from one record to the next.
    """

    __slots__ = ('_touched',)

    def __init__(self):
        dict.__init__(self)
        self._touched = set()

    def __getitem__(self, key):
        value = dict.__getitem__(self, key)
        if type(value) not in _PLAIN:
            self._touched.add(key)
        return value

    def __setitem__(self, key, value):
        if type(key) is not str:
            _check_key(key)
        self._touched.add(key)
        dict.__setitem__(self, key, value)

    def __delitem__(self, key):
        dict.__delitem__(self, key)
        self._touched.add(key)

    # With a method of its own, `dict(state)` and `{**state}` go through `keys` and `__getitem__`.
    def __iter__(self):
        return dict.__iter__(self)

    def get(self, key, default=None):
        value = dict.get(self, key, default)
        if type(value) not in _PLAIN and key in self:
            self._touched.add(key)
        return value

    def setdefault(self, key, default=None):
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key, *default):
        if key in self:
            self._touched.add(key)
        return dict.pop(self, key, *default)

    def popitem(self):
        key, value = dict.popitem(self)
        self._touched.add(key)
        return key, value

    def clear(self):
        self._touched.update(self)
        dict.clear(self)

    def update(self, *others, **more):
        for key, value in dict(*others, **more).items():
            self[key] = value

    def __ior__(self, other):
        self.update(other)
        return self

    def values(self):
        return collections.abc.ValuesView(self)

    def items(self):
        return collections.abc.ItemsView(self)

    def copy(self):
        return dict(self)

    def _load(self, key, value):
        """Puts back a row of a checkpoint. It is not a change."""
        dict.__setitem__(self, key, value)

    def _take(self):
        """Returns the keys that may have changed since the last call, sorted: key and JSON, or None when it is gone."""
        changes = []
        for key in sorted(self._touched):
            if key in self:
                changes.append((key, _json(key, dict.__getitem__(self, key))))
            else:
                changes.append((key, None))
        self._touched.clear()
        return changes


class SamzaJob:
    """A job. Override ``process``, and what else is needed, and call ``run``.

    In ``process`` and ``window``:

    - ``self.state`` is the dictionary of the current task. With ``key`` in ``configs``, records with the same key are always of
      the same task; several keys share one. Without it each input file is a task.
    - ``self.task``, ``self.partition`` and ``self.position`` say where the record is from: its task, its file, and the byte at
      which it begins.
    - ``self.emit(row)`` adds a row, a dictionary, to the job's output.
    """

    def __new__(cls, *arguments, **keywords):
        # Not in `__init__`: a job with one of its own need not call it.
        self = super().__new__(cls)
        self.configs = {}
        self.state = None
        self.task = None
        self.partition = None
        self.position = None
        self.input_ended = False
        self._output = None
        return self

    def setup(self):
        """Is called first, and may set ``self.configs``: the keys of a job file, which docs/job-file.md lists."""

    def process(self, data):
        """Is called for each record: a dictionary."""
        raise NotImplementedError('a SamzaJob needs a method process(self, data)')

    def window(self):
        """Is called for each task with state every ``process: tick``, and when the input has ended: then ``self.input_ended`` is true."""

    def close(self):
        """Is called when everything is done and handed over. What it does to the state is not kept."""

    def emit(self, row):
        """Adds a row to the output. It is published together with the checkpoint that holds the state that belongs to it."""
        if self._output is None:
            raise RuntimeError('emit works in process and window only')
        if not isinstance(row, dict):
            raise TypeError('emit needs a dictionary, found %s' % type(row).__name__)
        self._output.emit(self.task, _json(None, row))

    def run(self):
        """Runs the job through ckpt. Arguments of the command line go to ``ckpt run``: input files and options."""
        if os.environ.get('CKPT_PROGRAM'):
            _Program(self).run()
        elif os.environ.get('CKPT_DESCRIBE'):
            _describe(self)
        else:
            _launch()


def _check_key(key):
    if not isinstance(key, str):
        raise TypeError('the keys of state must be text, found %s: %r' % (type(key).__name__, key))


def _json(key, value):
    """Returns a value as JSON. It must be what comes back when the JSON is read."""
    kind = type(value)
    if kind is int:
        return repr(value)
    what = 'the row' if key is None else 'the state of key %r' % (key,)
    try:
        text = _encode(value)
        if not text.isascii():
            text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError('%s is no JSON: %s' % (what, error)) from None
    if key is not None and kind not in _PLAIN and json.loads(text) != value:
        raise TypeError('%s is no JSON: it would be %.200s after a restart' % (what, text))
    return text


def _script():
    script = getattr(sys.modules.get('__main__'), '__file__', None)
    if script is None:
        raise SystemExit('run() works in a script only: ckpt starts the script again for each worker')
    return script


def _launch():
    """Becomes `ckpt run SCRIPT ARGUMENTS`."""
    ckpt = os.environ.get('CKPT') or shutil.which('ckpt')
    if not ckpt:
        raise SystemExit('ckpt is not in PATH; install it, or say where it is: CKPT=/path/to/ckpt')
    environment = dict(os.environ)
    environment.setdefault('CKPT_PYTHON', sys.executable)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(ckpt, [ckpt, 'run', _script()] + sys.argv[1:], environment)
    except OSError as error:
        raise SystemExit('cannot start %s: %s' % (ckpt, error.strerror))


def _describe(job):
    """Prints the job as a job file: `configs`, and this script as the program."""
    stream = _take_streams()[1]
    job.setup()
    script = os.path.basename(_script())
    configs = dict(job.configs)
    if 'job' not in configs:
        stem = os.path.splitext(script)[0]
        name = ''.join(c if c.isascii() and (c.isalnum() or c in '-_.') else '_' for c in stem)
        configs['job'] = name[:100].lstrip('.-') or type(job).__name__
    process = configs.get('process', {})
    if isinstance(process, dict) and 'exec' not in process:
        process = dict(process, exec=[os.environ.get('CKPT_PYTHON') or 'python3', script])
    configs['process'] = process
    for key, value in configs.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise SystemExit('configs[%r] is no JSON: %s' % (key, error))
    stream.write((json.dumps(configs, indent=2, allow_nan=False) + '\n').encode())
    stream.flush()


def _take_streams():
    """Returns standard input and output, and puts others in their place: what the job prints goes to standard error."""
    sys.stdout.flush()
    source = os.fdopen(os.dup(0), 'rb', 1 << 20)
    sink = os.fdopen(os.dup(1), 'wb', 1 << 18)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return source, sink


class _Output:
    """What goes to ckpt: lines of JSON."""

    def __init__(self, stream):
        self._stream = stream
        self._rows = []
        self._characters = 0

    def emit(self, task, row):
        self._rows.append('[%d,%s]' % (task, row))
        self._characters += len(row)
        if self._characters > _PART_CHARACTERS:
            self.write('{"type":"part","emit":[%s]}\n' % self._take_rows())

    def changed(self, states):
        """Hands over what may have changed in the states, a part at a time. Returns the last part: fields of a message."""
        changed, deleted, characters = [], [], 0
        for task in sorted(states):
            for key, value in states[task]._take():
                if value is None:
                    row = '[%d,%s]' % (task, _encode(key))
                    deleted.append(row)
                else:
                    row = '[%d,%s,%s]' % (task, _encode(key), value)
                    changed.append(row)
                characters += len(row)
                if characters > _PART_CHARACTERS:
                    self.write('{"type":"part"%s}\n' % _changes(changed, deleted))
                    changed, deleted, characters = [], [], 0
        return _changes(changed, deleted)

    def done(self, number, fields=''):
        if self._rows:
            fields += ',"emit":[%s]' % self._take_rows()
        self.write('{"type":"done","number":%d%s}\n' % (number, fields))
        self._stream.flush()

    def write(self, line):
        self._stream.write(line.encode())

    def say(self, message):
        self.write(json.dumps(message, separators=(',', ':')) + '\n')
        self._stream.flush()

    def _take_rows(self):
        rows = ','.join(self._rows)
        self._rows.clear()
        self._characters = 0
        return rows


def _changes(changed, deleted):
    fields = ''
    if changed:
        fields += ',"changed":[%s]' % ','.join(changed)
    if deleted:
        fields += ',"deleted":[%s]' % ','.join(deleted)
    return fields


class _Program:
    """The program of one worker: speaks the protocol, docs/protocol.md."""

    def __init__(self, job):
        self._job = job
        self._states = {}
        self._source, sink = _take_streams()
        self._output = _Output(sink)
        self._record = None

    def run(self):
        try:
            self._serve()
        except BrokenPipeError:
            # Nobody listens: ckpt has ended.
            os._exit(0)
        except Exception as error:
            traceback.print_exc()
            sys.stderr.flush()
            message = {'type': 'error', 'message': '%s: %s' % (type(error).__name__, error)}
            if self._record is not None:
                message['record'] = self._record
            try:
                self._output.say(message)
            except OSError:
                pass
            sys.exit(1)

    def _serve(self):
        job, states, output = self._job, self._states, self._output
        has_window = type(job).window is not SamzaJob.window
        for line in self._source:
            message = json.loads(line)
            kind = message['type']
            if kind == 'batch':
                self._batch(message)
                output.done(message['number'])
            elif kind == 'checkpoint':
                output.done(message['number'], output.changed(states))
            elif kind == 'tick':
                job.input_ended = message['ended']
                if has_window:
                    self._window()
                output.done(message['number'])
            elif kind == 'restore':
                for task, key, value in message['rows']:
                    state = states.get(task)
                    if state is None:
                        state = states[task] = State()
                    state._load(key, value)
            elif kind == 'start':
                # What was restored stays: it need not be looked at again and again.
                gc.collect()
                gc.freeze()
                gc.set_threshold(50_000, 20, 100)
                job._output = output
                output.say({'type': 'ready', 'protocol': PROTOCOL})
            elif kind == 'hello':
                if message['protocol'] != PROTOCOL:
                    raise RuntimeError('ckpt speaks version %s of the protocol, this module %d' % (message['protocol'], PROTOCOL))
                job.setup()
            elif kind == 'close':
                job._output = None
                job.close()
                return

    def _batch(self, message):
        job, states = self._job, self._states
        process = job.process
        job.partition = message['partition']
        current = None
        for self._record, (task, job.position, data) in enumerate(message['records']):
            if task != current:
                current = job.task = task
                state = states.get(task)
                if state is None:
                    state = states[task] = State()
                job.state = state
            process(data)
        self._record = None

    def _window(self):
        job = self._job
        job.partition = job.position = None
        for task in sorted(self._states):
            if self._states[task]:
                job.task = task
                job.state = self._states[task]
                job.window()
