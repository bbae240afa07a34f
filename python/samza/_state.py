"""The state of a task."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterator, Mapping
from typing import Any

from samza import _columns, _json
from samza._json import PLAIN, plain_key


class State(dict[str, Any]):
    """The state of one task: a dictionary that tracks its changes.

    Keys are text and values are JSON: text, numbers, booleans, ``None``, lists, and dictionaries with text keys. Subclasses of
    these types, such as ``Counter``, are refused: they would be plain dictionaries after a restart. A list or dictionary that
    you get from the state is handed over at the next checkpoint, in case you have modified it. So get it from ``self.state``
    each time, and do not keep a reference to it from one record to the next.

    If the job declares ``columns``, each value is a dictionary with exactly these columns, any of which may be ``None``.

    Iteration is in the order of the keys, not in the order in which they were added: the latter would be lost in a restart.
    """

    __slots__ = ('_touched', '_columns')

    def __init__(self, columns: Mapping[str, str] | None = None) -> None:
        dict.__init__(self)
        self._touched: set[str] = set()
        self._columns = columns

    def __getitem__(self, key: str) -> Any:
        value = dict.__getitem__(self, key)
        if type(value) not in PLAIN:
            self._touched.add(key)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        if type(key) is not str or not key.isascii():
            key = plain_key(key)
        if self._columns:
            _columns.check_row(key, value, self._columns)
        elif type(value) not in _KINDS:
            # At once, so that the traceback shows the line. What is inside of a value is checked when it is handed over.
            _json.of_value('the state of key %r' % key, value)
        self._touched.add(key)
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: str) -> None:
        dict.__delitem__(self, key)
        self._touched.add(key)

    # Because these methods are overridden, `dict(state)` and `{**state}` use `keys` and `__getitem__`.
    def __iter__(self) -> Iterator[str]:
        return self._iterate(False)

    def __reversed__(self) -> Iterator[str]:
        return self._iterate(True)

    def _iterate(self, descending: bool) -> Iterator[str]:
        size = len(self)
        for key in sorted(dict.__iter__(self), reverse=descending):
            yield key
            if len(self) != size:
                raise RuntimeError('the state changed size during iteration')

    def __or__(self, other: Any) -> Any:
        return {**self, **other} if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return {**other, **self} if isinstance(other, dict) else NotImplemented

    def __repr__(self) -> str:
        return repr({key: dict.__getitem__(self, key) for key in self})

    def get(self, key: str, default: Any = None) -> Any:
        value = dict.get(self, key, default)
        if type(value) not in PLAIN and key in self:
            self._touched.add(key)
        return value

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        if key in self:
            self._touched.add(key)
        return dict.pop(self, key, *default)

    def popitem(self) -> tuple[str, Any]:
        if not self:
            raise KeyError('popitem(): the state is empty')
        key = max(dict.__iter__(self))
        return key, self.pop(key)

    def clear(self) -> None:
        self._touched.update(self)
        dict.clear(self)

    def update(self, *others: Any, **more: Any) -> None:
        for key, value in dict(*others, **more).items():
            self[key] = value

    def __ior__(self, other: Any) -> State:  # type: ignore[override]
        self.update(other)
        return self

    def keys(self) -> Any:
        return collections.abc.KeysView(self)

    def values(self) -> Any:
        return collections.abc.ValuesView(self)

    def items(self) -> Any:
        return collections.abc.ItemsView(self)

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # What `copy` and `pickle` make is a plain dictionary: its changes are not changes of the state.
        return dict, (dict(self),)

    def _load(self, key: str, value: Any) -> None:
        """Loads a row of a checkpoint, which does not count as a change."""
        dict.__setitem__(self, key, value)

    def _take(self) -> list[tuple[str, str | None]]:
        """Returns the keys that may have changed since the last call, sorted, each with its JSON, or None if it was deleted."""
        changes: list[tuple[str, str | None]] = []
        for key in sorted(self._touched):
            changes.append((key, self._json(key, dict.__getitem__(self, key)) if key in self else None))
        self._touched.clear()
        return changes

    def _json(self, key: str, value: Any) -> str:
        if type(value) is int and not self._columns:
            return repr(value)
        if self._columns:
            return _columns.state_json(key, value, self._columns)
        return _json.of_value('the state of key %r' % key, value)


_KINDS = PLAIN | {list, dict}
