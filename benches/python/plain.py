"""The same job in one loop, without ckpt: what there is to be had from Python.

    python3 benches/python/plain.py FILE
"""

import json
import sys
import time

from count import Count

job = Count()
job.state = {}
begun = time.monotonic()
records = 0
with open(sys.argv[1], 'rb') as lines:
    for line in lines:
        job.process(json.loads(line))
        records += 1
seconds = time.monotonic() - begun
print('plain: %d records in %.2f s (%d/s), %d keys' % (records, seconds, records / seconds, len(job.state)))
