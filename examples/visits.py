"""Counts the visits of each user. Run it with `ckpt run examples/visits.py`, or `python3 examples/visits.py` with ckpt on the PATH."""

from samza import SamzaJob


class Visits(SamzaJob):
    def setup(self):
        self.configs['input'] = 'data/clicks-*.jsonl'
        self.configs['key'] = 'user'
        self.configs['checkpoint'] = {'enabled': True, 'schedule': '10m', 'mode': 'elided'}

    def process(self, data):
        user = data['user']
        self.state[user] = self.state.get(user, 0) + 1


if __name__ == '__main__':
    Visits().run()
