"""Counts the records of each user: the job that is measured."""

from samza import SamzaJob


class Count(SamzaJob):
    def setup(self):
        self.configs['key'] = 'user'
        self.configs['checkpoint'] = {'schedule': '5s', 'store': 'checkpoints/count'}

    def process(self, data):
        user = data['user']
        self.state[user] = self.state.get(user, 0) + 1


if __name__ == '__main__':
    Count().run()
