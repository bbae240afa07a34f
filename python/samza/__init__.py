"""Stateful jobs in Python, run by ckpt: checkpointed, resumed, inspected and compared.

A job is a class:

    from samza import SamzaJob

    class Visits(SamzaJob):
        def setup(self):
            self.configs['input'] = 'clicks.jsonl'
            self.configs['key'] = 'user'

        def process(self, data):
            user = data['user']
            self.state[user] = self.state.get(user, 0) + 1

    if __name__ == '__main__':
        Visits().run()

``python3 visits.py`` and ``ckpt run visits.py`` do the same. ``ckpt`` reads the input, starts one Python process per worker,
passes each record to ``process``, and stores ``self.state`` in its checkpoints. ``samza.testing`` runs a job in tests,
without ``ckpt``.

This package has no dependencies and runs on Python 3.9 and later.
"""

from samza._job import SamzaJob
from samza._state import State

__all__ = ['SamzaJob', 'State', '__version__']

__version__ = '0.1.0'
