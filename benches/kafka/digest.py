"""Reads rows from standard input, and prints how many there are, and a digest of them that all engines have in common.

    digest.py state    what `ckpt inspect --state --json` prints
    digest.py rows     a user, the number of clicks, and the sum, with tabs between them
    digest.py topic    a user, a tab, and the row as JSON

Users whose names begin with `mark` are left out: their clicks are sent while engines are stopped. This is a program
of its own because a measured process seems to have at least as much memory as the one that started it.
"""

import hashlib
import json
import sys


def state(text):
    for row in json.loads(text)['rows']:
        yield row['key'], row['values']['clicks'], row['values']['spent']


def rows(text):
    return (line.split('\t') for line in text.splitlines())


def topic(text):
    for line in text.splitlines():
        user, row = line.split('\t')
        row = json.loads(row)
        yield user, row['clicks'], row['spent']


def main():
    found = {'state': state, 'rows': rows, 'topic': topic}[sys.argv[1]](sys.stdin.read())
    lines = sorted('%s %d %.2f\n' % (user, int(clicks), float(spent)) for user, clicks, spent in found)
    lines = [line for line in lines if not line.startswith('mark')]
    digest = hashlib.sha256(''.join(lines).encode()).hexdigest()
    records = sum(int(line.split()[1]) for line in lines)
    print(json.dumps({'keys': len(lines), 'records': records, 'digest': digest}))


if __name__ == '__main__':
    main()
