"""User behavior: cuts the clicks of each user into sessions, which end after half an hour without a click.

    ckpt run examples/programs/sessions.py
    ckpt inspect examples/programs/checkpoints/sessions --state --limit 5

Sessions that have ended are rows of the output. Open sessions are the state.
"""

from samza import SamzaJob

GAP_MILLIS = 30 * 60 * 1000


class Sessions(SamzaJob):
    def setup(self):
        self.configs['input'] = '../data/clicks-0.jsonl'
        self.configs['key'] = 'user'
        self.configs['output'] = 'out/'

    def process(self, data):
        user, now = data['user'], data['ts']
        session = self.state.get(user)
        if session and now - session['end'] > GAP_MILLIS:
            self.emit(session)
            session = None
        if not session:
            session = self.state[user] = {'user': user, 'start': now, 'clicks': 0, 'pages': []}
        session['end'] = now
        session['clicks'] += 1
        if data['page'] not in session['pages']:
            session['pages'].append(data['page'])


if __name__ == '__main__':
    Sessions().run()
