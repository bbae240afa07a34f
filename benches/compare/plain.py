"""The job of count.py in a plain loop, without ckpt: the limit of Python.

    PYTHONPATH=python python3 benches/compare/plain.py FILE
"""

import json
import sys

from count import Count

job = Count()
job._begin(0, {})
records = 0
with open(sys.argv[1], 'rb') as lines:
    for line in lines:
        job.process(json.loads(line))
        records += 1
print(json.dumps({'records': records, 'keys': len(job.state)}))
