"""How long the build takes, and how much of it each dependency takes."""

import glob
import json
import os
import re

from job import Row
from measure import fresh, run, say


def build(bench):
    """A clean release build."""
    target = fresh(bench.path('build'))
    if bench.size == 'small':
        say('  skipped: there is no small release build')
        return []
    env = dict(os.environ, CARGO_TARGET_DIR=target)
    # Downloading is not part of it.
    run(['cargo', 'fetch', '--locked'], cwd=bench.root, env=env)
    taken = run(['cargo', 'build', '--release', '--locked', '--offline', '--timings', '--bin', 'ckpt'], cwd=bench.root, env=env)
    rows = [Row('clean release build on %d cores' % os.cpu_count(), '%.0f s' % taken.seconds, '%.0f s of processor time' % taken.cpu_seconds, '', '240 s')]
    with open(sorted(glob.glob(target + '/cargo-timings/cargo-timing-*.html'))[-1]) as file:
        units = json.loads(re.search(r'const UNIT_DATA = (\[.*?\]);\n', file.read(), re.DOTALL)[1])
    spent = {}
    for unit in units:
        spent[unit['name']] = spent.get(unit['name'], 0) + unit['duration']
    for name, own in sorted(spent.items(), key=lambda one: -one[1])[:14]:
        rows.append(Row('of that, `%s`' % name, '%.1f s' % own, '%.0f %% of all compiling' % (100 * own / sum(spent.values()))))
    fresh(target)
    return rows
