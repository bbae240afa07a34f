"""Declared columns: ``columns = {'clicks': int, 'spent': Decimal}``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from samza import _json

# The types of columns in Python, and their names in a job file.
_TYPES: dict[Any, str] = {int: 'int', Decimal: 'number', str: 'text', bool: 'bool', object: 'json', dict: 'json', list: 'json'}
_NAMES = frozenset(_TYPES.values())


def names(what: str, columns: Mapping[str, Any]) -> dict[str, str]:
    """Returns declared columns with the names of their types, as a job file has them."""
    named = {}
    for name, kind in columns.items():
        if isinstance(kind, str) and kind in _NAMES:
            named[name] = kind
        elif isinstance(kind, type) and kind in _TYPES:
            named[name] = _TYPES[kind]
        elif kind is float:
            raise TypeError('%s[%r] cannot be float, which is not exact: use Decimal, or object for JSON' % (what, name))
        else:
            raise TypeError('%s[%r] must be int, Decimal, str, bool, or object for JSON, found %r' % (what, name, kind))
    return named


def check_row(key: str, row: Any, columns: Mapping[str, str]) -> None:
    """Checks that a value of the state has all columns and no others, and puts them in order, as after a restart."""
    if type(row) is not dict:
        raise TypeError('the state of key %r must be a dictionary with the columns %s, found %s' % (key, _list(columns), type(row).__name__))
    if len(row) != len(columns) or any(name not in row for name in columns):
        raise TypeError(_difference(key, row, columns))
    if tuple(row) != tuple(columns):
        for name in columns:
            row[name] = row.pop(name)


def state_json(key: str, row: Any, columns: Mapping[str, str]) -> str:
    """Returns a value of the state as JSON."""
    check_row(key, row, columns)
    return '{%s}' % ','.join(
        '%s:%s' % (_json.encode(name), _state_value(key, name, row[name], kind)) for name, kind in columns.items()
    )


def row_json(row: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """Returns a row for the output as JSON. Columns that it lacks are missing in the output."""
    for name in row:
        if name not in columns:
            raise TypeError('the row has %r, which is not one of its columns: %s' % (name, _list(columns)))
    return '{%s}' % ','.join('%s:%s' % (_json.encode(name), _row_value(name, value)) for name, value in row.items())


def restored(row: dict[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Returns a value of a checkpoint, in which ``Digits`` stand for numbers, as ``process`` left it."""
    return {name: _restored(value, columns[name]) for name, value in row.items()}


class Digits(str):
    """The text of a number of JSON that is not an integer. Only its column says what it is."""

    __slots__ = ()


def _state_value(key: str, name: str, value: Any, kind: str) -> str:
    what = 'the column %r of the state of key %r' % (name, key)
    if value is None:
        return 'null'
    if kind == 'json':
        return _json.of_value(what, value)
    expected = next(type_ for type_, named in _TYPES.items() if named == kind)
    if type(value) is not expected:
        raise TypeError('%s must be %s, found %s: %.200r' % (what, expected.__name__, type(value).__name__, value))
    if kind == 'number':
        return _digits(what, value)
    return _json.of_value(what, value)


def _row_value(name: str, value: Any) -> str:
    what = 'the column %r of the row' % name
    return _digits(what, value) if isinstance(value, Decimal) else _json.of_row(what, value)


def _digits(what: str, value: Decimal) -> str:
    if not value.is_finite():
        raise TypeError('%s must be a number, found %s' % (what, value))
    return format(value, 'f')


def _restored(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == 'number':
        return Decimal(value)
    return _with_floats(value)


def _with_floats(value: Any) -> Any:
    if isinstance(value, Digits):
        return float(value)
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_floats(item) for key, item in value.items()}
    return value


def _difference(key: str, row: dict[str, Any], columns: Mapping[str, str]) -> str:
    for name in columns:
        if name not in row:
            return 'the state of key %r lacks the column %r; a value may be None' % (key, name)
    other = next(name for name in row if name not in columns)
    return 'the state of key %r has %r, which is not one of its columns: %s' % (key, other, _list(columns))


def _list(columns: Mapping[str, str]) -> str:
    return ', '.join(columns)
