"""Runs jobs in tests, without ckpt:

    from samza.testing import run
    from visits import Visits

    def test_visits_are_counted():
        result = run(Visits, [{'user': 'ann'}, {'user': 'bob'}, {'user': 'ann'}])
        assert result.state == {'ann': 2, 'bob': 1}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from samza import _columns
from samza._columns import Digits
from samza._job import SamzaJob, check_methods
from samza._state import State
from samza._worker import Worker

__all__ = ['Rejected', 'Result', 'run']


@dataclass
class Rejected:
    """A record that the job has rejected."""

    record: dict[str, Any]
    reason: str


@dataclass
class Result:
    """What a job has done with its records."""

    state: dict[str, Any] = field(default_factory=dict)
    """The state as a checkpoint holds it."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """The rows that were emitted."""

    rejected: list[Rejected] = field(default_factory=list)
    """The records that were rejected."""


def run(
    job: type[SamzaJob],
    records: Iterable[Mapping[str, Any]],
    *,
    state: Mapping[str, Any] | None = None,
    restart_after: int | None = None,
    partition: str = 'test',
) -> Result:
    """Processes ``records`` as a run does that reads its input to the end. Raises what the job raises.

    ``state`` is what the job starts with. All records belong to one task. ``where``, ``let`` and the other ``configs`` are
    not applied: ``records`` are what ``process`` gets.

    With ``restart_after``, the job is restarted each time that it has processed this many records, with what a checkpoint
    holds. The result should be the same: if it is not, the job keeps something outside of ``self.state``.
    """
    if restart_after is not None and restart_after < 1:
        raise ValueError('restart_after must be at least 1, found %d' % restart_after)
    given = [json.loads(json.dumps(dict(record))) for record in records]
    size = restart_after or max(len(given), 1)
    result = Result(state=dict(state or {}))
    for first in range(0, max(len(given), 1), size):
        is_last = first + size >= len(given)
        _Part(job(), result).run(given[first : first + size], first, is_last, partition)
    return result


class _Part:
    """A job from its start to its end, with some of the records."""

    def __init__(self, job: SamzaJob, result: Result) -> None:
        check_methods(job)
        self._worker = Worker(job, self)
        self._worker.setup()
        self._columns = _columns.names('columns', job.columns)
        self._output_columns = _columns.names('output_columns', job.output_columns)
        self._result = result
        self._records: list[dict[str, Any]] = []
        self._rejected: set[int] = set()

    def run(self, records: list[dict[str, Any]], first: int, is_last: bool, partition: str) -> None:
        worker, state = self._worker, self._result.state
        self._records = records
        worker.declare(self._columns)
        stored = State(self._columns)
        stored.update(state)
        worker.restore([(0, key, self._loaded(value)) for key, value in stored._take() if value is not None])
        worker.start(self._output_columns)
        # What is given to the job is its own: `result.rejected` shows the record as it was.
        worker.batch(partition, [(0, first + at, json.loads(json.dumps(record))) for at, record in enumerate(records)])
        if is_last:
            worker.tick(True)
        for _, key, value in worker.changes():
            if value is None:
                state.pop(key, None)
            else:
                loaded = self._loaded(value)
                state[key] = _columns.restored(loaded, self._columns) if self._columns else loaded
        worker.close()

    def _loaded(self, value: str) -> Any:
        return json.loads(value, parse_float=Digits) if self._columns else json.loads(value)

    def emit(self, task: int, row: str) -> None:
        columns = self._output_columns
        self._result.rows.append(_columns.restored(json.loads(row, parse_float=Digits), columns) if columns else json.loads(row))

    def reject(self, record: int, reason: str) -> None:
        if record not in self._rejected:
            self._rejected.add(record)
            self._result.rejected.append(Rejected(self._records[record], reason))
