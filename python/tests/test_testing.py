import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(HERE)
sys.path.insert(0, PACKAGE)

import samza
from samza import SamzaJob
from samza.testing import Rejected, run


class Visits(SamzaJob):
    def setup(self):
        self.configs['key'] = 'user'

    def process(self, data):
        if 'user' not in data:
            return self.reject('no user')
        visits = self.state.setdefault(data.pop('user'), {'n': 0, 'at': []})
        visits['n'] += 1
        visits['at'].append([self.task, self.partition, self.position])

    def window(self):
        for user, visits in self.state.items():
            self.emit({'user': user, 'n': visits['n'], 'ended': self.input_ended})

    def close(self):
        self.state['late'] = 1


class Forgetful(SamzaJob):
    def __init__(self):
        self.seen = 0

    def process(self, data):
        self.seen += 1
        self.state['seen'] = self.seen


class RunTest(unittest.TestCase):
    def test_the_result_has_state_rows_and_rejected_records(self):
        records = [{'user': 'ann'}, {'page': '/'}, {'user': 'bob'}, {'user': 'ann'}]
        result = run(Visits, records, partition='p')
        at = lambda *positions: [[0, 'p', position] for position in positions]
        self.assertEqual(result.state, {'ann': {'n': 2, 'at': at(0, 3)}, 'bob': {'n': 1, 'at': at(2)}})
        self.assertEqual(result.rows, [{'user': 'ann', 'n': 2, 'ended': True}, {'user': 'bob', 'n': 1, 'ended': True}])
        self.assertEqual(result.rejected, [Rejected({'page': '/'}, 'no user')])
        self.assertEqual(records[0], {'user': 'ann'})
        for restart_after in (1, 2, 3, 4, 9):
            self.assertEqual(run(Visits, records, restart_after=restart_after, partition='p'), result)

    def test_a_job_starts_with_the_state_that_it_is_given(self):
        state = {'ann': {'n': 7, 'at': []}, 'cat': {'n': 1, 'at': []}}
        result = run(Visits, [{'user': 'ann'}], state=state)
        self.assertEqual({user: visits['n'] for user, visits in result.state.items()}, {'ann': 8, 'cat': 1})
        self.assertEqual(state['ann'], {'n': 7, 'at': []})
        self.assertEqual(run(Visits, [], state=state).state, state)

    def test_what_is_kept_outside_of_the_state_is_lost_at_a_restart(self):
        records = [{}, {}, {}]
        self.assertEqual(run(Forgetful, records).state, {'seen': 3})
        self.assertEqual(run(Forgetful, records, restart_after=2).state, {'seen': 1})

    def test_what_the_job_raises_is_raised(self):
        with self.assertRaisesRegex(KeyError, 'user'):
            run(type('Job', (SamzaJob,), {'process': lambda self, data: data['user']}), [{}])
        with self.assertRaisesRegex(TypeError, "the state of key 'x' is not JSON"):
            run(type('Job', (SamzaJob,), {'process': lambda self, data: self.state.update(x=[{1}])}), [{}])
        with self.assertRaisesRegex(RuntimeError, 'reject works in process only'):
            run(type('Job', (Visits,), {'window': lambda self: self.reject('no')}), [{'user': 'a'}])
        with self.assertRaisesRegex(ValueError, 'restart_after must be at least 1'):
            run(Visits, [], restart_after=0)
        with self.assertRaisesRegex(TypeError, 'not JSON serializable'):
            run(Visits, [{'user': {1}}])


class ReadmeTest(unittest.TestCase):
    def test_the_examples_of_the_readme_run(self):
        with open(os.path.join(PACKAGE, 'README.md')) as file:
            job, test = [block.split('```')[0] for block in file.read().split('```python\n')[1::2]]
        with tempfile.TemporaryDirectory() as directory:
            for name, text in [('sessions.py', job), ('test_sessions.py', test + '\n\ntest_an_hour_without_a_click_ends_a_session()\n')]:
                with open(os.path.join(directory, name), 'w') as file:
                    file.write(text)
            done = subprocess.run(
                [sys.executable, '-B', 'test_sessions.py'], cwd=directory, env=dict(os.environ, PYTHONPATH=PACKAGE), capture_output=True, text=True
            )
        self.assertEqual((done.returncode, done.stderr), (0, ''))


TYPED = '''
from __future__ import annotations

from typing import Any

import samza
from samza import SamzaJob
from samza.testing import run


class Visits(SamzaJob):
    def setup(self) -> None:
        self.configs['key'] = 'user'

    def process(self, data: dict[str, Any]) -> None:
        if 'user' not in data:
            return self.reject('no user')
        self.state[data['user']] = self.state.get(data['user'], 0) + 1
        self.state |= {'last': self.position or 0}
        self.emit({'user': data['user']})


version: str = samza.__version__
rows: list[dict[str, Any]] = run(Visits, [{'user': 'ann'}]).rows
'''


class TypesTest(unittest.TestCase):
    @unittest.skipUnless(shutil.which('mypy'), 'needs mypy')
    def test_the_package_and_a_job_pass_mypy(self):
        check = lambda *arguments: subprocess.run(
            ['mypy', '--strict', '--no-incremental', *arguments], cwd=PACKAGE, capture_output=True, text=True, timeout=300
        )
        done = check('-p', 'samza')
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        done = check('-c', TYPED)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        done = check('-c', TYPED.replace("self.reject('no user')", 'self.rejct(1)'))
        self.assertIn('has no attribute "rejct"', done.stdout)

    def test_it_is_typed_and_has_a_version(self):
        self.assertTrue(os.path.exists(os.path.join(PACKAGE, 'samza', 'py.typed')))
        self.assertRegex(samza.__version__, r'^\d+\.\d+\.\d+$')

    def test_everything_that_jobs_use_has_a_docstring(self):
        for item in [samza, samza.testing, SamzaJob, samza.State, run, *(getattr(SamzaJob, name) for name in dir(SamzaJob) if name[0] != '_')]:
            if not isinstance(item, (dict, property)):
                self.assertTrue(item.__doc__, item)


if __name__ == '__main__':
    unittest.main()
