"""The program of one worker. It speaks the protocol that docs/protocol.md specifies."""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import IO, Any

from samza import _errors
from samza._columns import Digits
from samza._job import SamzaJob
from samza._json import encode
from samza._streams import take_streams
from samza._worker import Worker

PROTOCOL = 1

# A line is ended once it has this many characters of rows.
_PART_CHARACTERS = 1 << 20


class Output:
    """The lines of JSON that go to ckpt."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._process = os.getpid()
        self._rows: list[str] = []
        self._rejected: dict[int, str] = {}
        self._characters = 0

    def emit(self, task: int, row: str) -> None:
        self._rows.append('[%d,%s]' % (task, row))
        self._add(len(row))

    def reject(self, record: int, reason: str) -> None:
        """Adds a record that is rejected, by its index in the batch."""
        if record not in self._rejected:
            self._rejected[record] = reason
            self._add(len(reason))

    def _add(self, characters: int) -> None:
        self._characters += characters
        if self._characters > _PART_CHARACTERS:
            self.write('{"type":"part"%s}\n' % self._take())

    def changed(self, worker: Worker) -> str:
        """Hands over what may have changed in the states, in parts. Returns the last part as fields of a message."""
        changed: list[str] = []
        deleted: list[str] = []
        characters = 0
        for task, key, value in worker.changes():
            if value is None:
                row = '[%d,%s]' % (task, encode(key))
                deleted.append(row)
            else:
                row = '[%d,%s,%s]' % (task, encode(key), value)
                changed.append(row)
            characters += len(row)
            if characters > _PART_CHARACTERS:
                self.write('{"type":"part"%s}\n' % _changes(changed, deleted))
                changed, deleted, characters = [], [], 0
        return _changes(changed, deleted)

    def done(self, number: int, fields: str = '') -> None:
        if self._rows or self._rejected:
            fields += self._take()
        self.write('{"type":"done","number":%d%s}\n' % (number, fields))

    def write(self, line: str) -> None:
        # A process that the job has forked, and that returns from `process`, is not the program.
        if os.getpid() != self._process:
            os._exit(1)
        self._stream.write(line.encode())
        # Nothing may wait here while the job runs: a process that it forks would write it once more.
        self._stream.flush()

    def say(self, message: dict[str, Any]) -> None:
        self.write(encode(message) + '\n')

    def _take(self) -> str:
        """Returns the rows and the rejected records since the last call as fields of a message."""
        fields = ''
        if self._rows:
            fields += ',"emit":[%s]' % ','.join(self._rows)
            self._rows.clear()
        if self._rejected:
            fields += ',"rejected":%s' % encode(list(self._rejected.items()))
            self._rejected.clear()
        self._characters = 0
        return fields


def _changes(changed: list[str], deleted: list[str]) -> str:
    fields = ''
    if changed:
        fields += ',"changed":[%s]' % ','.join(changed)
    if deleted:
        fields += ',"deleted":[%s]' % ','.join(deleted)
    return fields


class Program:
    """The conversation with ckpt."""

    def __init__(self, job: SamzaJob) -> None:
        self._source, sink = take_streams()
        self._output = Output(sink)
        self._worker = Worker(job, self._output)
        self._greeting: dict[str, Any] = {}

    def run(self) -> None:
        try:
            self._serve()
        except BrokenPipeError:
            # ckpt has ended.
            os._exit(0)
        except Exception as error:
            sys.stderr.flush()
            message: dict[str, Any] = {'type': 'error', 'message': _errors.words(error)}
            traceback = _errors.shown_traceback(error)
            if traceback is not None:
                message['traceback'] = traceback
            if self._worker.record is not None:
                message['record'] = self._worker.record
            try:
                self._output.say(message)
            except OSError:
                pass
            sys.exit(1)

    def _serve(self) -> None:
        worker, output = self._worker, self._output
        for line in self._source:
            message = json.loads(line)
            kind = message['type']
            if kind == 'batch':
                worker.batch(message['partition'], message['records'])
                output.done(message['number'])
            elif kind == 'checkpoint':
                output.done(message['number'], output.changed(worker))
            elif kind == 'tick':
                worker.tick(message['ended'])
                output.done(message['number'])
            elif kind == 'restore':
                if self._greeting.get('columns'):
                    message = json.loads(line, parse_float=Digits)
                worker.restore(message['rows'])
            elif kind == 'start':
                # The restored state stays, so the garbage collector need not look at it again and again.
                gc.collect()
                gc.freeze()
                gc.set_threshold(50_000, 20, 100)
                worker.start(self._greeting.get('output_columns') or {})
                output.say({'type': 'ready', 'protocol': PROTOCOL})
            elif kind == 'hello':
                if message['protocol'] != PROTOCOL:
                    raise RuntimeError('ckpt speaks version %s of the protocol, this module %d' % (message['protocol'], PROTOCOL))
                self._greeting = message
                worker.setup()
                worker.declare(message.get('columns') or {})
            elif kind == 'close':
                worker.close()
                return
