"""Calls the methods of a job for the tasks of one worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from samza import _columns, _errors
from samza._job import SamzaJob, check_result
from samza._state import State


class Sink(Protocol):
    """Where the output of a job goes."""

    def emit(self, task: int, row: str) -> None: ...

    def reject(self, record: int, reason: str) -> None: ...


class Worker:
    """A job with the states of its tasks."""

    def __init__(self, job: SamzaJob, sink: Sink) -> None:
        self.record: int | None = None
        """The index of the record that is processed, within its batch."""
        self._job = job
        self._sink = sink
        self._states: dict[int, State] = {}
        self._columns: Mapping[str, str] = {}
        self._has_window = type(job).window is not SamzaJob.window

    def setup(self) -> None:
        check_result('setup', self._job.setup())  # type: ignore[func-returns-value]

    def declare(self, columns: Mapping[str, str]) -> None:
        """Says which columns the state has."""
        self._columns = columns

    def restore(self, rows: Iterable[tuple[int, str, Any]]) -> None:
        """Loads rows of a checkpoint."""
        for task, key, value in rows:
            self._state(task)._load(key, _columns.restored(value, self._columns) if self._columns else value)

    def start(self, output_columns: Mapping[str, str]) -> None:
        self._job._connect(self._sink, self, output_columns)

    def batch(self, partition: str, records: Iterable[tuple[int, int, dict[str, Any]]]) -> None:
        job = self._job
        process: Any = job.process
        job.partition = partition
        current = None
        for self.record, (task, job.position, data) in enumerate(records):
            if task != current:
                current = task
                job._begin(task, self._state(task))
            result = process(data)
            if result is not None:
                check_result('process', result)
        self.record = None

    def reject(self, reason: object) -> None:
        """Rejects the current record."""
        if self.record is None:
            raise RuntimeError('reject works in process only')
        self._sink.reject(self.record, _errors.text(reason))

    def tick(self, ended: bool) -> None:
        job = self._job
        job.input_ended = ended
        if not self._has_window:
            return
        job.partition = job.position = None
        for task in sorted(self._states):
            if self._states[task]:
                job._begin(task, self._states[task])
                check_result('window', job.window())  # type: ignore[func-returns-value]

    def changes(self) -> Iterator[tuple[int, str, str | None]]:
        """Takes what may have changed: the task and the key, with the value as JSON, or None if it was deleted."""
        for task in sorted(self._states):
            for key, value in self._states[task]._take():
                yield task, key, value

    def close(self) -> None:
        self._job._connect(None, None, {})
        check_result('close', self._job.close())  # type: ignore[func-returns-value]

    def _state(self, task: int) -> State:
        state = self._states.get(task)
        if state is None:
            state = self._states[task] = State(self._columns)
        return state
