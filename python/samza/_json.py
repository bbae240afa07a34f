"""JSON text of keys, values and rows, which must be the same when it is read again."""

from __future__ import annotations

import json
from typing import Any

# The types of values that cannot be modified in place.
PLAIN = frozenset((str, int, float, bool, type(None)))

encode = json.JSONEncoder(ensure_ascii=False, separators=(',', ':'), allow_nan=False).encode


def plain_key(key: object) -> str:
    """Returns a key of the state as text, without its subclass: that is how it comes back after a restart."""
    if not isinstance(key, str):
        raise TypeError('the keys of state must be text, found %s: %r' % (type(key).__name__, key))
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise ValueError('the key %r of the state is not Unicode text: %s' % (key, error.reason)) from None
    return str.__str__(key)


def of_value(what: str, value: Any) -> str:
    """Returns a value of the state as JSON. ``what`` is its name in errors."""
    text = of_row(what, value)
    if type(value) not in PLAIN:
        change = _change(value)
        if change:
            raise TypeError('%s is not JSON: it would be %.200s after a restart (%s)' % (what, text, change))
    return text


def of_row(what: str, value: Any) -> str:
    """Returns a value as JSON, even if it would come back as another type."""
    try:
        if type(value) is int:
            return repr(value)
        text = encode(value)
        if not text.isascii():
            text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError('%s is not JSON: %s' % (what, error)) from None
    return text


def _change(value: Any) -> str | None:
    """Says what in a value would have another type when its JSON is read. Returns None if nothing would."""
    kind = type(value)
    if kind is list:
        for item in value:
            if type(item) not in PLAIN:
                change = _change(item)
                if change:
                    return change
        return None
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                return 'a key of type %s becomes str' % type(key).__name__
            if type(item) not in PLAIN:
                change = _change(item)
                if change:
                    return change
        return None
    for plain, becomes in ((dict, 'dict'), (str, 'str'), (int, 'int'), (float, 'float')):
        if isinstance(value, plain):
            return '%s becomes %s' % (kind.__name__, becomes)
    return '%s becomes list' % kind.__name__
