"""The standard streams, over which a job talks to ckpt."""

from __future__ import annotations

import os
import sys
from typing import IO


def take_streams() -> tuple[IO[bytes], IO[bytes]]:
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
