"""How a script describes its job to ckpt, and how it starts ckpt."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any, NoReturn

from samza import _columns, _errors
from samza._job import SamzaJob, check_methods, check_result
from samza._streams import take_streams


def launch() -> NoReturn:
    """Becomes `ckpt run SCRIPT ARGUMENTS`."""
    ckpt = os.environ.get('CKPT') or _installed() or shutil.which('ckpt')
    if not ckpt:
        raise SystemExit('ckpt is not in PATH; install it, or set CKPT=/path/to/ckpt')
    environment = dict(os.environ)
    environment.setdefault('CKPT_PYTHON', sys.executable)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(ckpt, [ckpt, 'run', _script()] + sys.argv[1:], environment)
    except OSError as error:
        raise SystemExit('cannot start %s: %s' % (ckpt, error.strerror)) from None


def _installed() -> str | None:
    """Returns the ckpt that was installed with this package, as in a virtual environment that is not activated."""
    # Workers do not need it, and it takes a while to import.
    from importlib import metadata

    try:
        paths = [str(path.locate()) for path in metadata.files('samza') or ()]
    except metadata.PackageNotFoundError:
        return None
    this = os.path.realpath(__file__)
    if not any(os.path.realpath(path) == this for path in paths):
        return None
    return next((path for path in paths if os.path.basename(path) == 'ckpt' and os.access(path, os.X_OK)), None)


def describe(job: SamzaJob) -> None:
    """Prints the job as a job file: `configs`, with this script as the program."""
    stream = take_streams()[1]
    check_methods(job)
    try:
        check_result('setup', job.setup())  # type: ignore[func-returns-value]
        configs = _configs(job)
    except Exception as error:
        sys.stderr.write(_errors.shown_traceback(error) or _errors.words(error) + '\n')
        raise SystemExit(1) from None
    # Something may have been printed before, so ckpt names a line that separates it from the job.
    mark = os.environ['CKPT_DESCRIBE']
    if mark != '1':
        stream.write(('\n%s\n' % mark).encode())
    stream.write((json.dumps(configs, indent=2, allow_nan=False) + '\n').encode())
    stream.flush()


def _configs(job: SamzaJob) -> dict[str, Any]:
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
    if isinstance(process, dict) and job.columns:
        process = dict(process, columns=_columns.names('columns', job.columns))
    configs['process'] = process
    output = configs.get('output')
    if job.output_columns:
        if output is None:
            raise SystemExit("output_columns need an output: set self.configs['output']")
        output = dict(output if isinstance(output, dict) else {'files': output})
        configs['output'] = dict(output, columns=_columns.names('output_columns', job.output_columns))
    for key, value in configs.items():
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise SystemExit('configs[%r] is not JSON: %s' % (key, error)) from None
    return configs


def _script() -> str:
    script: str | None = getattr(sys.modules.get('__main__'), '__file__', None)
    if script is None:
        raise SystemExit('run() works only in a script, because ckpt starts the script again for each worker')
    return script
