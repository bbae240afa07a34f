"""Batch cleaning: drops duplicate customers and normalizes the others.

    ckpt run examples/programs/clean.py
    ckpt inspect examples/programs/checkpoints/clean --state --limit 5

The state is the set of customers seen so far, so a run that is killed and resumed emits no customer twice.
"""

from samza import SamzaJob


class Clean(SamzaJob):
    def setup(self):
        self.configs['input'] = 'data/customers.csv'
        self.configs['key'] = 'id'
        self.configs['tasks'] = 8
        self.configs['where'] = "email != null && email.contains('@')"
        self.configs['output'] = 'out/'

    def process(self, data):
        if data['id'] in self.state:
            self.state[data['id']] += 1
            return
        self.state[data['id']] = 1
        self.emit({
            'id': data['id'],
            'name': ' '.join(data['name'].split()).title(),
            'email': data['email'].strip().lower(),
            'country': {'deutschland': 'DE', 'germany': 'DE', 'france': 'FR'}.get(data['country'].strip().lower(), data['country'].strip().upper()),
        })


if __name__ == '__main__':
    Clean().run()
