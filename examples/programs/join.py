"""Integration: joins purchases with a small table of pages, and keeps the revenue of each section.

    ckpt run examples/programs/join.py
    ckpt inspect examples/programs/checkpoints/join --state

Every worker reads the table when it starts. The state is one sum per section that the worker's pages belong to.
"""

import csv
from decimal import Decimal

from samza import SamzaJob


class Join(SamzaJob):
    def setup(self):
        self.configs['input'] = '../data/clicks-*.jsonl'
        self.configs['where'] = 'amount > 0'
        self.configs['key'] = 'page'
        self.configs['tasks'] = 4
        self.configs['output'] = 'out/'
        with open('data/pages.csv', newline='') as table:
            self.pages = {row['page']: row for row in csv.DictReader(table)}

    def process(self, data):
        page = self.pages.get(data['page'], {'section': 'other', 'owner': None})
        amount = Decimal(str(data['amount']))
        section = page['section']
        self.state[section] = str(Decimal(self.state.get(section, '0')) + amount)
        self.emit({'user': data['user'], 'amount': str(amount), 'section': section, 'owner': page['owner']})


if __name__ == '__main__':
    Join().run()
