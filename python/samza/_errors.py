"""How exceptions of a job are shown."""

from __future__ import annotations

import os
import traceback

# The most characters of the text of an exception that are reported.
_MOST_WORDS = 4000

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def words(error: BaseException) -> str:
    """Describes an exception as Unicode text. Lone surrogates, as in names of files that are not UTF-8, are escaped."""
    try:
        described = '%s: %s' % (type(error).__name__, error)
    except Exception:
        described = type(error).__name__
    return text(described)


def text(described: object) -> str:
    """Returns words as Unicode text of limited length."""
    described = str(described)
    if len(described) > _MOST_WORDS:
        described = described[:_MOST_WORDS] + '...'
    return described.encode('utf-8', 'backslashreplace').decode()


def shown_traceback(error: BaseException) -> str | None:
    """Returns the traceback of an exception without the lines of this package. None if no others are left."""
    shown = traceback.TracebackException.from_exception(error)
    has_lines = _leave_out_own(shown)
    return ''.join(shown.format()).encode('utf-8', 'backslashreplace').decode() if has_lines else None


def _leave_out_own(shown: traceback.TracebackException) -> bool:
    """Leaves out the lines of this package. Returns whether the exception itself has others."""
    for cause in (shown.__cause__, shown.__context__):
        if cause is not None:
            _leave_out_own(cause)
    lines = [frame for frame in shown.stack if not os.path.abspath(frame.filename).startswith(_PACKAGE)]
    shown.stack = traceback.StackSummary.from_list(lines)
    return bool(lines)
