import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import samza
from samza import SamzaJob, State


def taken(state):
    return dict(state._take())


class StateTest(unittest.TestCase):
    def setUp(self):
        self.state = State()
        self.state['n'] = 1
        self.state['list'] = [1, {'deep': [2]}]
        self.state['gone'] = 'x'
        taken(self.state)

    def test_nothing_is_handed_over_twice(self):
        self.assertEqual(taken(self.state), {})

    def test_what_is_set_is_a_change(self):
        self.state['n'] += 1
        self.state['new'] = None
        self.assertEqual(taken(self.state), {'n': '2', 'new': 'null'})

    def test_what_is_removed_is_a_deletion(self):
        del self.state['gone']
        self.state.pop('n')
        self.assertEqual(taken(self.state), {'gone': None, 'n': None})
        self.state.clear()
        self.assertEqual(taken(self.state), {'list': None})

    def test_popitem_and_pop_of_what_is_not_there(self):
        key, _ = self.state.popitem()
        self.assertEqual(taken(self.state), {key: None})
        self.assertEqual(self.state.pop('never', 7), 7)
        with self.assertRaises(KeyError):
            self.state.pop('never')
        self.assertEqual(taken(self.state), {})

    def test_what_is_set_again_after_it_was_removed_is_a_change(self):
        del self.state['n']
        self.state['n'] = 9
        self.assertEqual(taken(self.state), {'n': '9'})

    def test_changes_inside_of_values_are_found(self):
        whole = '[1,{"deep":[2,3]}]'
        ways = [
            lambda state: state['list'],
            lambda state: state.get('list'),
            lambda state: state.setdefault('list', []),
            lambda state: list(state.values())[0],
            lambda state: dict(state.items())['list'],
            lambda state: dict(state)['list'],
            lambda state: {**state}['list'],
            lambda state: state.copy()['list'],
            lambda state: (state | {})['list'],
            lambda state: ({} | state)['list'],
            lambda state: [state[key] for key in state if key == 'list'][0],
        ]
        for way in ways:
            state = State()
            state._load('n', 1)
            state._load('list', [1, {'deep': [2]}])
            way(state)[1]['deep'].append(3)
            self.assertEqual(taken(state).get('list'), whole)

    def test_looking_at_plain_values_is_no_change(self):
        self.assertEqual((self.state['n'], self.state.get('gone'), self.state.get('never', 5)), (1, 'x', 5))
        self.assertIn('n', self.state)
        self.assertEqual(len(self.state), 3)
        self.assertEqual(taken(self.state), {})

    def test_update_in_all_its_forms(self):
        self.state.update({'a': 1})
        self.state.update([('b', 2)], c=3)
        self.state |= {'d': 4}
        self.assertEqual(taken(self.state), {'a': '1', 'b': '2', 'c': '3', 'd': '4'})

    def test_keys_are_text(self):
        for key in [1, None, b'x', (1,)]:
            with self.assertRaisesRegex(TypeError, 'keys of state must be text'):
                self.state[key] = 1

    def test_values_are_json_and_the_error_names_the_key(self):
        endless = []
        endless.append(endless)
        for value in [{1}, (1, 2), {1: 2}, float('inf'), b'x', object(), [float('nan')], '\ud800', endless]:
            with self.assertRaisesRegex(TypeError, "the state of key 'bad' is not JSON"):
                self.state['bad'] = value
                taken(self.state)

    def test_a_type_that_would_be_lost_is_refused_wherever_it_is(self):
        class Text(str):
            pass

        class Level(enum.IntEnum):
            LOW = 1

        class Share(float):
            pass

        for value, change in [
            (collections.Counter(x=1), 'Counter becomes dict'),
            (collections.defaultdict(int), 'defaultdict becomes dict'),
            (collections.OrderedDict(x=1), 'OrderedDict becomes dict'),
            (Text('x'), 'Text becomes str'),
            (Level.LOW, 'Level becomes int'),
            (Share(1.5), 'Share becomes float'),
            ((), 'tuple becomes list'),
            ({'a': [{}, collections.Counter()]}, 'Counter becomes dict'),
            ([{Text('x'): 1}], 'a key of type Text becomes str'),
            ({None: 1}, 'a key of type NoneType becomes str'),
        ]:
            with self.assertRaisesRegex(TypeError, r"the state of key 'bad' is not JSON: it would be .*\(%s\)" % change):
                self.state['bad'] = value
                taken(self.state)

    def test_a_value_of_another_type_is_refused_where_it_is_set(self):
        for value in [{1}, (1, 2), collections.Counter(), decimal.Decimal(1), object()]:
            for put in (self.state.__setitem__, self.state.setdefault, lambda key, value: self.state.update({key: value})):
                with self.assertRaisesRegex(TypeError, "the state of key 'bad' is not JSON"):
                    put('bad', value)
        self.assertEqual(taken(self.state), {})

    def test_keys_are_plain_text_at_once(self):
        class Color(str, enum.Enum):
            RED = 'red'

        self.state[Color.RED] = 1
        self.state[Color.RED] += 1
        self.assertEqual(taken(self.state), {'red': '2'})
        self.assertEqual({type(key) for key in self.state}, {str})
        with self.assertRaisesRegex(ValueError, r"the key 'caf\\udce9' of the state is not Unicode text"):
            self.state['caf\udce9'] = 1
        self.state['café'] = 1

    def test_the_order_is_that_of_the_keys(self):
        state = State()
        for key in 'zayb':
            state[key] = key.upper()
        for found in [state, state.keys(), dict(state), {**state}, state.copy(), state | {}, {} | state, json.loads(json.dumps(state))]:
            self.assertEqual(list(found), ['a', 'b', 'y', 'z'])
        self.assertEqual((list(state.values()), list(state.items())[0]), (['A', 'B', 'Y', 'Z'], ('a', 'A')))
        self.assertEqual(list(reversed(state)), ['z', 'y', 'b', 'a'])
        self.assertEqual(repr(state), "{'a': 'A', 'b': 'B', 'y': 'Y', 'z': 'Z'}")
        self.assertEqual((state.popitem(), next(iter(state))), (('z', 'Z'), 'a'))
        with self.assertRaisesRegex(RuntimeError, 'changed size during iteration'):
            for key in state:
                del state[key]
        state.clear()
        with self.assertRaises(KeyError):
            state.popitem()

    def test_values_are_as_they_were(self):
        for value in [True, 0, -1, 2 ** 70, 1.5, 1e300, 'ä\n"', '', None, [], {}, [None, {'a': [True]}]]:
            self.state['v'] = value
            self.assertEqual(json.loads(taken(self.state)['v']), value)


    def test_a_copy_is_a_plain_dictionary(self):
        for make in (copy.copy, copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state)), State.copy):
            made = make(self.state)
            self.assertIs(type(made), dict)
            self.assertEqual((list(made), made), (list(self.state), dict(self.state)))
            taken(self.state)
            made['new'] = 1
            self.assertEqual(taken(self.state), {})

    def test_the_order_inside_of_a_value_is_handed_over(self):
        self.state['d'] = {'a': 1, 'b': 2}
        taken(self.state)
        self.state['d']['a'] = self.state['d'].pop('a')
        self.assertEqual(taken(self.state), {'d': '{"b":2,"a":1}'})

    def test_types_of_other_libraries_are_refused_with_their_key(self):
        class Scalar(float):
            """As `numpy.float64`."""

        Point = collections.namedtuple('Point', 'x y')
        Made = dataclasses.make_dataclass('Made', ['x'])
        day = datetime.date(2026, 11, 22)
        values = [Scalar(1), Point(1, 2), Made(1), day, b'x', bytearray(b'x'), {1}, range(2), 1j, decimal.Decimal(1), fractions.Fraction(1, 2)]
        values += [collections.defaultdict(int), collections.deque([1]), enum.IntFlag('F', 'A B').A, type('Text', (str,), {})('x')]
        for value in values:
            for wrap in (lambda v: v, lambda v: [v], lambda v: {'deep': {'er': [v]}}):
                with self.assertRaisesRegex(TypeError, "^the state of key 'culprit' is not JSON: "):
                    self.state['culprit'] = wrap(value)
                    self.state._take()

    def test_numbers_are_the_same_digit_by_digit(self):
        for value in [-0.0, 1.0, 1e16, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 2 ** 53 + 1, -2 ** 63 - 1]:
            self.state['v'] = value
            read = json.loads(taken(self.state)['v'])
            self.assertEqual((type(read), repr(read)), (type(value), repr(value)))


class Talk:
    """A script that is run as a program, and what it answers."""

    def __init__(self, body, messages, environment={}, arguments=()):
        script = 'from samza import SamzaJob\nclass Job(SamzaJob):\n%s\nif __name__ == "__main__":\n    Job().run()\n' % body
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'a job.py')
            with open(path, 'w') as file:
                file.write(script)
            variables = dict(os.environ, PYTHONPATH=os.path.dirname(HERE), PYTHONDONTWRITEBYTECODE='1', **environment)
            for name in ('CKPT_PROGRAM', 'CKPT_DESCRIBE', 'CKPT_PYTHON'):
                if name not in environment:
                    variables.pop(name, None)
            lines = ''.join(json.dumps(message) + '\n' for message in messages)
            done = subprocess.run([sys.executable, path, *arguments], input=lines, env=variables, capture_output=True, text=True, timeout=60)
        self.status, self.output, self.errors = done.returncode, done.stdout, done.stderr

    @property
    def answers(self):
        """The answers, without tracebacks."""
        answers = [json.loads(line) for line in self.output.splitlines()]
        for answer in answers:
            answer.pop('traceback', None)
        return answers

    @property
    def traceback(self):
        """The traceback of the error that the program has reported."""
        return json.loads(self.output.splitlines()[-1])['traceback']


HELLO = [{'type': 'hello', 'protocol': 1}, {'type': 'start'}]
PROGRAM = {'CKPT_PROGRAM': '1'}


def batch(number, *records):
    return {'type': 'batch', 'number': number, 'partition': 'p', 'records': list(records)}


class ProgramTest(unittest.TestCase):
    def test_a_conversation(self):
        body = '''
    def process(self, data):
        print('printed')
        input_is_empty = __import__('sys').stdin.read() == ''
        self.state[data['k']] = [self.state.get(data['k'], [0])[0] + 1, input_is_empty]
        self.emit({'at': [self.task, self.partition, self.position]})
    def window(self):
        self.emit({'keys': len(self.state), 'ended': self.input_ended})
    def close(self):
        print('closed')
'''
        messages = [
            HELLO[0],
            {'type': 'restore', 'rows': [[1, 'a', [7]], [2, 'b', None]]},
            HELLO[1],
            batch(1, [1, 0, {'k': 'a'}], [3, 9, {'k': 'a'}]),
            {'type': 'tick', 'number': 2, 'ended': True},
            {'type': 'checkpoint', 'number': 3},
            {'type': 'checkpoint', 'number': 4},
            {'type': 'close'},
        ]
        talk = Talk(body, messages, PROGRAM)
        self.assertEqual(talk.answers, [
            {'type': 'ready', 'protocol': 1},
            {'type': 'done', 'number': 1, 'emit': [[1, {'at': [1, 'p', 0]}], [3, {'at': [3, 'p', 9]}]]},
            {'type': 'done', 'number': 2, 'emit': [[task, {'keys': 1, 'ended': True}] for task in (1, 2, 3)]},
            {'type': 'done', 'number': 3, 'changed': [[1, 'a', [8, True]], [3, 'a', [1, True]]]},
            {'type': 'done', 'number': 4},
        ])
        self.assertEqual((talk.status, talk.errors), (0, 'printed\nprinted\nclosed\n'))

    def test_much_state_is_handed_over_in_parts(self):
        body = '''
    def process(self, data):
        for i in range(40):
            self.state['k%02d' % i] = 'x' * 100_000
            self.emit({'row': 'x' * 100_000})
'''
        talk = Talk(body, HELLO + [batch(1, [0, 0, {}]), {'type': 'checkpoint', 'number': 2}], PROGRAM)
        keys = [row[1] for answer in talk.answers for row in answer.get('changed', [])]
        rows = [row for answer in talk.answers for row in answer.get('emit', [])]
        self.assertEqual((keys, len(rows)), (['k%02d' % i for i in range(40)], 40))
        self.assertGreater(sum(answer['type'] == 'part' for answer in talk.answers), 4)
        self.assertLess(max(map(len, talk.output.splitlines())), 2 << 20)

    def test_an_exception_names_the_record(self):
        body = '    def process(self, data): self.state[data["k"]] = 1 / data["n"]'
        talk = Talk(body, HELLO + [batch(1, [0, 0, {'k': 'a', 'n': 1}], [0, 9, {'k': 'b', 'n': 0}])], PROGRAM)
        self.assertEqual(talk.answers[-1], {'type': 'error', 'message': 'ZeroDivisionError: division by zero', 'record': 1})
        self.assertEqual((talk.status, talk.errors), (1, ''))
        self.assertRegex(talk.traceback, r'^Traceback .*\n  File ".*/a job.py", line 3, in process\n(.*\n)+ZeroDivisionError: division by zero\n$')

    def test_a_traceback_has_the_lines_of_the_job_only(self):
        body = '''
    def process(self, data): self.add(data)
    def add(self, data):
        try:
            self.state['x'] = {1}
        except TypeError as error:
            raise ValueError('no') from error
'''
        talk = Talk(body, HELLO + [batch(1, [0, 0, {}])], PROGRAM)
        lines = [line.split(', ', 1)[1] for line in talk.traceback.splitlines() if line.startswith('  File')]
        self.assertEqual(lines, ['line 7, in add', 'line 4, in process', 'line 9, in add'])
        self.assertEqual(talk.traceback.count('Traceback'), 2)
        # What only the package sees has no line of the job.
        talk = Talk('    def process(self, data): self.state["x"] = [{1}]', HELLO + [batch(1, [0, 0, {}]), {'type': 'checkpoint', 'number': 2}], PROGRAM)
        self.assertNotIn('traceback', json.loads(talk.output.splitlines()[-1]))

    def test_an_exception_is_reported_whatever_its_text_is(self):
        for raised, message in [
            (r'ValueError("no such file: caf\udce9.txt")', r'ValueError: no such file: caf\udce9.txt'),
            ('Unspeakable()', 'Unspeakable'),
        ]:
            body = '    def process(self, data): raise %s\nclass Unspeakable(Exception):\n    def __str__(self): return 1' % raised
            talk = Talk(body, HELLO + [batch(1, [0, 0, {}])], PROGRAM)
            self.assertEqual(talk.answers[-1], {'type': 'error', 'message': message, 'record': 0})

    def test_methods_that_would_not_run_are_refused(self):
        generator = 'TypeError: process must not be a generator: use self.emit(row) instead of yield'
        coroutine = 'TypeError: process must not be async: it is called without await'
        for body, message in [
            ('    def process(self, data): yield data', generator),
            ('    def process(self, data): return (x for x in [1])', generator),
            ('    async def process(self, data): pass', coroutine),
            ('    async def process(self, data): yield data', coroutine),
        ]:
            talk = Talk(body, HELLO + [batch(1, [0, 0, {}])], PROGRAM)
            self.assertEqual(talk.answers[-1], {'type': 'error', 'message': message, 'record': 0})
        body = '    def process(self, data): self.state["k"] = 1\n    def window(self): yield 1'
        talk = Talk(body, HELLO + [batch(1, [0, 0, {}]), {'type': 'tick', 'number': 2, 'ended': True}], PROGRAM)
        self.assertEqual(talk.answers[-1]['message'], generator.replace('process', 'window'))
        talk = Talk('    def process(self, data): return 7', HELLO + [batch(1, [0, 0, {}])], PROGRAM)
        self.assertEqual(talk.answers[-1], {'type': 'done', 'number': 1})

    def test_a_state_that_is_replaced_is_refused(self):
        for body in (
            '    def process(self, data): self.state = {"a": 1}',
            '    def process(self, data): self.state = dict(self.state)',
            '    def window(self): self.state = {}\n    def process(self, data): self.state["a"] = 1',
            '    def setup(self): self.state = {}',
            '    def __init__(self): self.state = {}',
            '    state = {}',
        ):
            messages = HELLO + [batch(1, [0, 0, {}]), {'type': 'tick', 'number': 2, 'ended': True}]
            talk = Talk(body, messages, PROGRAM)
            self.assertEqual(talk.status, 1)
            shown = talk.errors or talk.traceback
            self.assertRegex(shown, r'TypeError: (self|Job)\.state cannot be replaced, because ckpt would not see the changes')

    def test_a_state_that_is_updated_in_place_is_kept(self):
        body = '    def process(self, data):\n        self.state |= {"a": 1}\n        self.task = self._output = None\n        self.emit({})'
        talk = Talk(body, HELLO + [batch(1, [3, 0, {}]), {'type': 'checkpoint', 'number': 2}], PROGRAM)
        self.assertEqual(talk.answers[1:], [
            {'type': 'done', 'number': 1, 'emit': [[3, {}]]},
            {'type': 'done', 'number': 2, 'changed': [[3, 'a', 1]]},
        ])

    def test_results_that_nothing_iterates_over_are_refused(self):
        body = '    def process(self, data): return map(self.emit, [{}])'
        talk = Talk(body, HELLO + [batch(1, [0, 0, {}])], PROGRAM)
        self.assertEqual(talk.answers[-1]['message'], 'TypeError: process returned a map, which nothing iterates over: use a loop')
        body = '    def wrapped(function): return lambda self: function(self)\n    @wrapped\n    async def setup(self): pass'
        talk = Talk(body, HELLO, PROGRAM)
        self.assertEqual(talk.answers[-1]['message'], 'TypeError: setup must not be async: it is called without await')

    def test_a_process_that_the_job_forks_answers_nothing(self):
        body = '''
    def process(self, data):
        import os
        self.state['k'] = 1
        self.emit({'x': 'x' * 2_000_000})
        child = os.fork()
        if child:
            os.waitpid(child, 0)
'''
        talk = Talk(body, HELLO + [batch(1, [0, 0, {}]), {'type': 'checkpoint', 'number': 2}], PROGRAM)
        self.assertEqual([answer['type'] for answer in talk.answers], ['ready', 'part', 'done', 'done'])
        self.assertEqual(talk.answers[-1], {'type': 'done', 'number': 2, 'changed': [[0, 'k', 1]]})

    def test_the_text_of_an_exception_has_a_limit(self):
        body = '    def process(self, data): raise ValueError("x" * 1_000_000)'
        talk = Talk(body, HELLO + [batch(1, [0, 0, {}])], PROGRAM)
        self.assertLess(len(talk.answers[-1]['message']), 5000)

    def test_records_are_rejected_with_a_reason(self):
        body = r'''
    def process(self, data):
        if data['n'] == 1:
            self.state['seen'] = True
            self.emit({'n': 1})
            self.reject('is one')
            return self.reject('again')
        if data['n'] == 2: self.reject(ValueError('caf\udce9'))
    def window(self): self.reject('too late')
'''
        records = [[0, at, {'n': at}] for at in range(4)]
        messages = HELLO + [batch(1, *records), batch(2, *records[3:]), {'type': 'tick', 'number': 3, 'ended': True}]
        talk = Talk(body, messages, PROGRAM)
        rejected = [[1, 'is one'], [2, r'caf\udce9']]
        self.assertEqual(talk.answers[1:3], [
            {'type': 'done', 'number': 1, 'emit': [[0, {'n': 1}]], 'rejected': rejected},
            {'type': 'done', 'number': 2},
        ])
        self.assertEqual(talk.answers[3]['message'], 'RuntimeError: reject works in process only')

    def test_many_rejected_records_are_handed_over_in_parts(self):
        body = '    def process(self, data): self.reject("x" * 3_000)'
        talk = Talk(body, HELLO + [batch(1, *[[0, at, {}] for at in range(1000)])], PROGRAM)
        rejected = [row[0] for answer in talk.answers for row in answer.get('rejected', [])]
        self.assertEqual((rejected, talk.answers[1]['type']), (list(range(1000)), 'part'))

    def test_emit_needs_a_dictionary(self):
        talk = Talk('    def process(self, data): self.emit([1])', HELLO + [batch(1, [0, 0, {}])], PROGRAM)
        self.assertEqual(talk.answers[-1]['message'], 'TypeError: emit needs a dictionary, found list')

    def test_the_end_of_input_ends_it(self):
        talk = Talk('    def process(self, data): pass', HELLO, PROGRAM)
        self.assertEqual((talk.status, talk.answers, talk.errors), (0, [{'type': 'ready', 'protocol': 1}], ''))


class DescribeTest(unittest.TestCase):
    def describe(self, body, environment={}):
        return Talk(body, [], dict({'CKPT_DESCRIBE': '1'}, **environment))

    def test_a_job_is_described_with_its_script_as_the_program(self):
        body = '''
    def setup(self):
        print('in setup')
        self.configs['checkpoint'] = {'enabled': True, 'schedule': '10m', 'mode': 'elided'}
        self.configs['process'] = {'restarts': 3}
    def process(self, data): pass
'''
        described = self.describe(body)
        self.assertEqual(json.loads(described.output), {
            'job': 'a_job',
            'checkpoint': {'enabled': True, 'schedule': '10m', 'mode': 'elided'},
            'process': {'restarts': 3, 'exec': ['python3', 'a job.py']},
        })
        self.assertEqual(described.errors, 'in setup\n')

    def test_configs_win_and_init_need_not_call_its_parent(self):
        body = '''
    def __init__(self): self.mine = 1
    def setup(self): self.configs.update(job='other', process={'exec': ['pypy3', 'x.py']})
'''
        self.assertEqual(json.loads(self.describe(body).output), {'job': 'other', 'process': {'exec': ['pypy3', 'x.py']}})
        described = self.describe('    pass', {'CKPT_PYTHON': '/opt/python'})
        self.assertEqual(json.loads(described.output)['process'], {'exec': ['/opt/python', 'a job.py']})

    def test_configs_that_are_not_json_are_named(self):
        described = self.describe('    def setup(self): self.configs["key"] = {1}')
        self.assertIn("configs['key'] is not JSON", described.errors)
        self.assertNotIn('Traceback', described.errors)
        self.assertNotEqual(described.status, 0)


    def test_methods_that_would_not_run_are_refused(self):
        described = self.describe('    def process(self, data): yield data')
        self.assertIn('process must not be a generator: use self.emit(row) instead of yield', described.errors)
        described = self.describe('    async def close(self): pass')
        self.assertIn('close must not be async', described.errors)
        self.assertEqual((described.status, described.output), (1, ''))

    def test_the_description_follows_the_line_that_was_asked_for(self):
        described = self.describe('    print("printed", end="")', {'CKPT_DESCRIBE': '--- job ---'})
        printed, job = described.output.split('\n--- job ---\n')
        self.assertEqual((printed, json.loads(job)['job']), ('printed', 'a_job'))


    def test_a_mistake_in_setup_is_shown_with_the_lines_of_the_job_only(self):
        described = self.describe('    def setup(self): self.confgs["key"] = 1')
        files = [line.split(', ', 1)[1] for line in described.errors.splitlines() if line.startswith('  File')]
        self.assertEqual((described.status, files), (1, ['line 3, in setup']))
        self.assertRegex(described.errors, "AttributeError: 'Job' object has no attribute 'confgs'")


class LaunchTest(unittest.TestCase):
    def test_it_becomes_ckpt_run_with_the_arguments(self):
        with tempfile.TemporaryDirectory() as directory:
            ckpt = os.path.join(directory, 'ckpt')
            with open(ckpt, 'w') as file:
                file.write('#!/bin/sh\nprintf "%s|" "$@"\n')
            os.chmod(ckpt, 0o755)
            talk = Talk('    pass', [], {'CKPT': ckpt}, ['in.jsonl', '--json'])
        self.assertRegex(talk.output, r'^run\|.*/a job\.py\|in\.jsonl\|--json\|$')

    def test_without_ckpt_it_says_what_to_do(self):
        talk = Talk('    pass', [], {'PATH': '', 'CKPT': ''})
        self.assertIn('ckpt is not in PATH', talk.errors)
        self.assertEqual(talk.status, 1)


if __name__ == '__main__':
    unittest.main()
