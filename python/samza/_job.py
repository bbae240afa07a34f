"""The class that jobs are derived from."""

from __future__ import annotations

import collections.abc
import operator
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from samza import _columns, _json
from samza._state import State

_GENERATOR = '%s must not be a generator: use self.emit(row) instead of yield'
_ASYNC = '%s must not be async: it is called without await'
_LAZY = '%s returned a %s, which nothing iterates over: use a loop'
_STATE = '%s cannot be replaced, because ckpt would not see the changes: change self.state in place, with clear and update'


class _Output(Protocol):
    """Where the rows of the output go."""

    def emit(self, task: int, row: str) -> None: ...


class _Rejects(Protocol):
    """Where rejected records go."""

    def reject(self, reason: object) -> None: ...


class SamzaJob:
    """A job. Override ``process`` and any other method that you need, and call ``run``.

    In ``process`` and ``window``:

    - ``self.state`` is the dictionary of the current task. With ``key`` in ``configs``, all records with one key belong to one
      task, which several keys share. Without it, each input file is a task.
    - ``self.task``, ``self.partition`` and ``self.position`` say where the record comes from: its task, its file, and the byte
      offset of its start.
    - ``self.emit(row)`` adds a row, a dictionary, to the job's output.
    """

    configs: dict[str, Any]
    """The keys of a job file, which ``setup`` sets; docs/job-file.md lists them."""

    columns: Mapping[str, Any] = {}
    """The columns of the state, such as ``{'clicks': int, 'spent': Decimal}``.

    With them, each value of the state is a dictionary with exactly these columns, and tables have a typed column for each. The
    types are ``int`` (64 bits), ``Decimal`` (up to 18 decimal places), ``str``, ``bool`` and ``object``, which is any JSON.
    Any value may be ``None``.
    """

    output_columns: Mapping[str, Any] = {}
    """The columns of the rows that ``emit`` adds to the output. CSV and Parquet need them."""

    task: int | None
    """The task that the record belongs to."""

    partition: str | None
    """The input file that the record comes from. None in ``window``."""

    position: int | None
    """The byte offset at which the record begins. None in ``window``."""

    input_ended: bool
    """Whether the input has been read to its end."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
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
        self.__rejects = None
        self.__columns = {}
        return self

    def _set_state(self, state: object) -> None:
        if state is not self.__state:
            raise TypeError(_STATE % 'self.state')

    if TYPE_CHECKING:
        __state: State | None
        __task: int | None
        __output: _Output | None
        __rejects: _Rejects | None
        __columns: Mapping[str, str]

        @property
        def state(self) -> State:
            """The state of the current task."""

        @state.setter
        def state(self, state: State) -> None: ...

    else:
        state = property(operator.attrgetter('_SamzaJob__state'), _set_state)

    def _begin(self, task: int, state: State) -> None:
        """Says which task the next records belong to, and what its state is."""
        self.task = self.__task = task
        self.__state = state

    def _connect(self, output: _Output | None, rejects: _Rejects | None, columns: Mapping[str, str]) -> None:
        """Says where the rows of the output, which have ``columns``, and the rejected records go; None if they are not taken."""
        self.__output = output
        self.__rejects = rejects
        self.__columns = columns

    def setup(self) -> None:
        """Is called first. Sets ``self.configs``, the keys of a job file; docs/job-file.md lists them."""

    def process(self, data: dict[str, Any]) -> None:
        """Is called for each record. ``data`` is a dictionary."""
        raise NotImplementedError('a SamzaJob needs a method process(self, data)')

    def window(self) -> None:
        """Is called for each task that has state, every ``process: tick`` and at the end of the input.

        At the end of the input, ``self.input_ended`` is true.
        """

    def close(self) -> None:
        """Is called last, when all state was handed over. Changes that it makes to the state are not kept."""

    def emit(self, row: Mapping[str, Any]) -> None:
        """Adds a row to the output. It is published together with the checkpoint that it belongs to."""
        if self.__output is None or self.__task is None:
            raise RuntimeError('emit works in process and window only')
        if not isinstance(row, dict):
            raise TypeError('emit needs a dictionary, found %s' % type(row).__name__)
        text = _columns.row_json(row, self.__columns) if self.__columns else _json.of_row('the row', row)
        self.__output.emit(self.__task, text)

    def reject(self, reason: object) -> None:
        """Rejects the current record: it counts as a bad record, and ``on_error`` in ``configs`` says what happens to it.

        What ``process`` has changed and emitted for the record so far is kept, so call this first: ``return self.reject('no amount')``.
        If it is called again for the same record, the first reason counts.
        """
        if self.__rejects is None:
            raise RuntimeError('reject works in process only')
        self.__rejects.reject(reason)

    def run(self) -> None:
        """Runs the job with ckpt. The arguments of the command line, input files and options, go to ``ckpt run``."""
        # Only when needed: `samza.testing` needs none of it.
        from samza import _start
        from samza._program import Program

        if os.environ.get('CKPT_PROGRAM'):
            Program(self).run()
        elif os.environ.get('CKPT_DESCRIBE'):
            _start.describe(self)
        else:
            _start.launch()


def check_methods(job: SamzaJob) -> None:
    """Refuses methods that would do nothing, because calling a generator or a coroutine function does not run it."""
    import inspect

    for name in ('setup', 'process', 'window', 'close'):
        method = getattr(job, name)
        if inspect.isgeneratorfunction(method):
            raise SystemExit(_GENERATOR % name)
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            raise SystemExit(_ASYNC % name)


def check_result(name: str, result: object) -> None:
    """Refuses what such a method returns: it may be hidden by a decorator. The same goes for other lazy results."""
    if isinstance(result, collections.abc.Generator):
        raise TypeError(_GENERATOR % name)
    if isinstance(result, (collections.abc.Awaitable, collections.abc.AsyncIterator)):
        if isinstance(result, collections.abc.Coroutine):
            result.close()
        raise TypeError(_ASYNC % name)
    if isinstance(result, collections.abc.Iterator):
        raise TypeError(_LAZY % (name, type(result).__name__))
