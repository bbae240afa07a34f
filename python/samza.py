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

``python3 visits.py`` and ``ckpt run visits.py`` do the same. ``ckpt`` reads the input, starts one Python process per worker,
passes each record to ``process``, and stores ``self.state`` in its checkpoints.

This module has no dependencies and runs on Python 3.9 and later.
"""

import collections.abc
import gc
import json
import operator
import os
import shutil
import sys
import traceback

__all__ = ['SamzaJob', 'State']

PROTOCOL = 1

# A line is ended once it has this many characters of rows.
_PART_CHARACTERS = 1 << 20

# The most characters of the text of an exception that are reported.
_MOST_WORDS = 4000

# The types of values that cannot be modified in place.
_PLAIN = frozenset((str, int, float, bool, type(None)))

_encode = json.JSONEncoder(ensure_ascii=False, separators=(',', ':'), allow_nan=False).encode


class State(dict):
    """The state of one task: a dictionary that tracks its changes.

    Keys are text and values are JSON: text, numbers, booleans, ``None``, lists, and dictionaries with text keys. Subclasses of
    these types, such as ``Counter``, are refused: they would be plain dictionaries after a restart. A list or dictionary that
    you get from the state is handed over at the next checkpoint, in case you have modified it. So get it from ``self.state``
    each time, and do not keep a reference to it from one record to the next.

    Iteration is in the order of the keys, not in the order in which they were added: the latter would be lost in a restart.
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
        if type(key) is not str or not key.isascii():
            key = _plain_key(key)
        self._touched.add(key)
        dict.__setitem__(self, key, value)

    def __delitem__(self, key):
        dict.__delitem__(self, key)
        self._touched.add(key)

    # Because these methods are overridden, `dict(state)` and `{**state}` use `keys` and `__getitem__`.
    def __iter__(self):
        return self._iterate(False)

    def __reversed__(self):
        return self._iterate(True)

    def _iterate(self, descending):
        size = len(self)
        for key in sorted(dict.__iter__(self), reverse=descending):
            yield key
            if len(self) != size:
                raise RuntimeError('the state changed size during iteration')

    def __or__(self, other):
        return {**self, **other} if isinstance(other, dict) else NotImplemented

    def __ror__(self, other):
        return {**other, **self} if isinstance(other, dict) else NotImplemented

    def __repr__(self):
        return repr({key: dict.__getitem__(self, key) for key in self})

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
        if not self:
            raise KeyError('popitem(): the state is empty')
        key = max(dict.__iter__(self))
        return key, self.pop(key)

    def clear(self):
        self._touched.update(self)
        dict.clear(self)

    def update(self, *others, **more):
        for key, value in dict(*others, **more).items():
            self[key] = value

    def __ior__(self, other):
        self.update(other)
        return self

    def keys(self):
        return collections.abc.KeysView(self)

    def values(self):
        return collections.abc.ValuesView(self)

    def items(self):
        return collections.abc.ItemsView(self)

    def copy(self):
        return dict(self)

    def __reduce_ex__(self, protocol):
        # What `copy` and `pickle` make is a plain dictionary: its changes are not changes of the state.
        return dict, (dict(self),)

    def _load(self, key, value):
        """Loads a row of a checkpoint, which does not count as a change."""
        dict.__setitem__(self, key, value)

    def _take(self):
        """Returns the keys that may have changed since the last call, sorted, each with its JSON, or None if it was deleted."""
        changes = []
        for key in sorted(self._touched):
            if key in self:
                changes.append((key, _json(key, dict.__getitem__(self, key))))
            else:
                changes.append((key, None))
        self._touched.clear()
        return changes


class SamzaJob:
    """A job. Override ``process`` and any other method that you need, and call ``run``.

    In ``process`` and ``window``:

    - ``self.state`` is the dictionary of the current task. With ``key`` in ``configs``, all records with one key belong to one
      task, which several keys share. Without it, each input file is a task.
    - ``self.task``, ``self.partition`` and ``self.position`` say where the record comes from: its task, its file, and the byte
      offset of its start.
    - ``self.emit(row)`` adds a row, a dictionary, to the job's output.
    """

    def __new__(cls, *arguments, **keywords):
        # Not in `__init__`, so that a job may define its own without calling this one.
        if cls.state is not SamzaJob.state:
            raise TypeError(_STATE % ('%s.state' % cls.__name__))
        self = super().__new__(cls)
        self.configs = {}
        self.task = None
        self.partition = None
        self.position = None
        self.input_ended = False
        self.__state = None
        self.__task = None
        self.__output = None
        self.__program = None
        return self

    def _set_state(self, state):
        if state is not self.__state:
            raise TypeError(_STATE % 'self.state')

    state = property(operator.attrgetter('_SamzaJob__state'), _set_state)

    def _begin(self, task, state):
        """Says which task the next records belong to, and what its state is."""
        self.task = self.__task = task
        self.__state = state

    def _connect(self, output, program=None):
        """Says where the rows of the output and the rejected records go; None if they are not taken."""
        self.__output = output
        self.__program = program

    def setup(self):
        """Is called first. Sets ``self.configs``, the keys of a job file; docs/job-file.md lists them."""

    def process(self, data):
        """Is called for each record. ``data`` is a dictionary."""
        raise NotImplementedError('a SamzaJob needs a method process(self, data)')

    def window(self):
        """Is called for each task that has state, every ``process: tick`` and at the end of the input.

        At the end of the input, ``self.input_ended`` is true.
        """

    def close(self):
        """Is called last, when all state was handed over. Changes that it makes to the state are not kept."""

    def emit(self, row):
        """Adds a row to the output. It is published together with the checkpoint that it belongs to."""
        if self.__output is None:
            raise RuntimeError('emit works in process and window only')
        if not isinstance(row, dict):
            raise TypeError('emit needs a dictionary, found %s' % type(row).__name__)
        self.__output.emit(self.__task, _json(None, row))

    def reject(self, reason):
        """Rejects the current record: it counts as a bad record, and ``on_error`` in ``configs`` says what happens to it.

        What ``process`` has changed and emitted for the record so far is kept, so call this first: ``return self.reject('no amount')``.
        If it is called again for the same record, the first reason counts.
        """
        if self.__program is None:
            raise RuntimeError('reject works in process only')
        self.__program.reject(reason)

    def run(self):
        """Runs the job with ckpt. The arguments of the command line, input files and options, go to ``ckpt run``."""
        if os.environ.get('CKPT_PROGRAM'):
            _Program(self).run()
        elif os.environ.get('CKPT_DESCRIBE'):
            _describe(self)
        else:
            _launch()


def _plain_key(key):
    """Returns a key of the state as text, without its subclass: that is how it comes back after a restart."""
    if not isinstance(key, str):
        raise TypeError('the keys of state must be text, found %s: %r' % (type(key).__name__, key))
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise ValueError('the key %r of the state is not Unicode text: %s' % (key, error.reason)) from None
    return str.__str__(key)


def _json(key, value):
    """Returns a value of the state as JSON, or a row if `key` is None. A value must be the same when it is read again."""
    kind = type(value)
    what = 'the row' if key is None else 'the state of key %r' % (key,)
    try:
        if kind is int:
            return repr(value)
        text = _encode(value)
        if not text.isascii():
            text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError('%s is not JSON: %s' % (what, error)) from None
    if key is not None and kind not in _PLAIN:
        change = _change(value)
        if change:
            raise TypeError('%s is not JSON: it would be %.200s after a restart (%s)' % (what, text, change))
    return text


def _change(value):
    """Says what in a value would have another type when its JSON is read. Returns None if nothing would."""
    kind = type(value)
    if kind is list:
        for item in value:
            if type(item) not in _PLAIN:
                change = _change(item)
                if change:
                    return change
        return None
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                return 'a key of type %s becomes str' % type(key).__name__
            if type(item) not in _PLAIN:
                change = _change(item)
                if change:
                    return change
        return None
    for plain, becomes in ((dict, 'dict'), (str, 'str'), (int, 'int'), (float, 'float')):
        if isinstance(value, plain):
            return '%s becomes %s' % (kind.__name__, becomes)
    return '%s becomes list' % kind.__name__


def _check_methods(job):
    """Refuses methods that would do nothing, because calling a generator or a coroutine function does not run it."""
    import inspect

    for name in ('setup', 'process', 'window', 'close'):
        method = getattr(job, name)
        if inspect.isgeneratorfunction(method):
            raise SystemExit(_GENERATOR % name)
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            raise SystemExit(_ASYNC % name)


def _check_result(name, result):
    """Refuses what such a method returns: it may be hidden by a decorator. The same goes for other lazy results."""
    if isinstance(result, collections.abc.Generator):
        raise TypeError(_GENERATOR % name)
    if isinstance(result, (collections.abc.Awaitable, collections.abc.AsyncIterator)):
        if isinstance(result, collections.abc.Coroutine):
            result.close()
        raise TypeError(_ASYNC % name)
    if isinstance(result, collections.abc.Iterator):
        raise TypeError(_LAZY % (name, type(result).__name__))


_GENERATOR = '%s must not be a generator: use self.emit(row) instead of yield'
_ASYNC = '%s must not be async: it is called without await'
_LAZY = '%s returned a %s, which nothing iterates over: use a loop'
_STATE = '%s cannot be replaced, because ckpt would not see the changes: change self.state in place, with clear and update'


def _script():
    script = getattr(sys.modules.get('__main__'), '__file__', None)
    if script is None:
        raise SystemExit('run() works only in a script, because ckpt starts the script again for each worker')
    return script


def _launch():
    """Becomes `ckpt run SCRIPT ARGUMENTS`."""
    ckpt = os.environ.get('CKPT') or shutil.which('ckpt')
    if not ckpt:
        raise SystemExit('ckpt is not in PATH; install it, or set CKPT=/path/to/ckpt')
    environment = dict(os.environ)
    environment.setdefault('CKPT_PYTHON', sys.executable)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(ckpt, [ckpt, 'run', _script()] + sys.argv[1:], environment)
    except OSError as error:
        raise SystemExit('cannot start %s: %s' % (ckpt, error.strerror))


def _describe(job):
    """Prints the job as a job file: `configs`, with this script as the program."""
    stream = _take_streams()[1]
    _check_methods(job)
    _check_result('setup', job.setup())
    script = os.path.basename(_script())
    configs = dict(job.configs)
    if 'job' not in configs:
        stem = os.path.splitext(script)[0]
        name = ''.join(c if c.isascii() and (c.isalnum() or c in '-_.') else '_' for c in stem)
        configs['job'] = name[:100].lstrip('.-') or type(job).__name__
    process = configs.get('process', {})
    if isinstance(process, dict) and 'exec' not in process:
        # A name that begins with `-` would be an option.
        argument = os.path.join('.', script) if script.startswith('-') else script
        process = dict(process, exec=[os.environ.get('CKPT_PYTHON') or 'python3', argument])
    configs['process'] = process
    for key, value in configs.items():
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise SystemExit('configs[%r] is not JSON: %s' % (key, error))
    # Something may have been printed before, so ckpt names a line that separates it from the job.
    mark = os.environ['CKPT_DESCRIBE']
    if mark != '1':
        stream.write(('\n%s\n' % mark).encode())
    stream.write((json.dumps(configs, indent=2, allow_nan=False) + '\n').encode())
    stream.flush()


def _take_streams():
    """Returns standard input and output and replaces them: from here on, what the job prints goes to standard error."""
    try:
        sys.stdout.flush()
    except (AttributeError, ValueError):
        # The job has replaced or closed it.
        pass
    source = os.fdopen(os.dup(0), 'rb', 1 << 20)
    sink = os.fdopen(os.dup(1), 'wb', 1 << 18)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return source, sink


def _words(error):
    """Describes an exception as Unicode text. Lone surrogates, as in names of files that are not UTF-8, are escaped."""
    try:
        words = '%s: %s' % (type(error).__name__, error)
    except Exception:
        words = type(error).__name__
    return _text(words)


def _text(words):
    """Returns words as Unicode text of limited length."""
    words = str(words)
    if len(words) > _MOST_WORDS:
        words = words[:_MOST_WORDS] + '...'
    return words.encode('utf-8', 'backslashreplace').decode()


class _Output:
    """The lines of JSON that go to ckpt."""

    def __init__(self, stream):
        self._stream = stream
        self._process = os.getpid()
        self._rows = []
        self._rejected = {}
        self._characters = 0

    def emit(self, task, row):
        self._rows.append('[%d,%s]' % (task, row))
        self._characters += len(row)
        if self._characters > _PART_CHARACTERS:
            self.write('{"type":"part"%s}\n' % self._take())

    def reject(self, record, reason):
        """Adds a record that is rejected, by its index in the batch."""
        if record in self._rejected:
            return
        self._rejected[record] = reason
        self._characters += len(reason)
        if self._characters > _PART_CHARACTERS:
            self.write('{"type":"part"%s}\n' % self._take())

    def changed(self, states):
        """Hands over what may have changed in the states, in parts. Returns the last part as fields of a message."""
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
        if self._rows or self._rejected:
            fields += self._take()
        self.write('{"type":"done","number":%d%s}\n' % (number, fields))

    def write(self, line):
        # A process that the job has forked, and that returns from `process`, is not the program.
        if os.getpid() != self._process:
            os._exit(1)
        self._stream.write(line.encode())
        # Nothing may wait here while the job runs: a process that it forks would write it once more.
        self._stream.flush()

    def say(self, message):
        self.write(_encode(message) + '\n')

    def _take(self):
        """Returns the rows and the rejected records since the last call as fields of a message."""
        fields = ''
        if self._rows:
            fields += ',"emit":[%s]' % ','.join(self._rows)
            self._rows.clear()
        if self._rejected:
            fields += ',"rejected":%s' % _encode(list(self._rejected.items()))
            self._rejected.clear()
        self._characters = 0
        return fields


def _changes(changed, deleted):
    fields = ''
    if changed:
        fields += ',"changed":[%s]' % ','.join(changed)
    if deleted:
        fields += ',"deleted":[%s]' % ','.join(deleted)
    return fields


class _Program:
    """The program of one worker. It speaks the protocol that docs/protocol.md specifies."""

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
            # ckpt has ended.
            os._exit(0)
        except Exception as error:
            traceback.print_exc()
            sys.stderr.flush()
            message = {'type': 'error', 'message': _words(error)}
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
                # The restored state stays, so the garbage collector need not look at it again and again.
                gc.collect()
                gc.freeze()
                gc.set_threshold(50_000, 20, 100)
                job._connect(output, self)
                output.say({'type': 'ready', 'protocol': PROTOCOL})
            elif kind == 'hello':
                if message['protocol'] != PROTOCOL:
                    raise RuntimeError('ckpt speaks version %s of the protocol, this module %d' % (message['protocol'], PROTOCOL))
                _check_result('setup', job.setup())
            elif kind == 'close':
                job._connect(None)
                _check_result('close', job.close())
                return

    def reject(self, reason):
        """Rejects the current record."""
        if self._record is None:
            raise RuntimeError('reject works in process only')
        self._output.reject(self._record, _text(reason))

    def _batch(self, message):
        job, states = self._job, self._states
        process = job.process
        job.partition = message['partition']
        current = None
        for self._record, (task, job.position, data) in enumerate(message['records']):
            if task != current:
                current = task
                state = states.get(task)
                if state is None:
                    state = states[task] = State()
                job._begin(task, state)
            result = process(data)
            if result is not None:
                _check_result('process', result)
        self._record = None

    def _window(self):
        job = self._job
        job.partition = job.position = None
        for task in sorted(self._states):
            if self._states[task]:
                job._begin(task, self._states[task])
                result = job.window()
                if result is not None:
                    _check_result('window', result)
