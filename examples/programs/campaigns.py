"""Marketing: the top three pages that each campaign led to.

    ckpt run examples/programs/campaigns.py
    ckpt inspect examples/programs/checkpoints/campaigns --state --key spring

The counts are the state. The ranking is emitted when the input has ended.
"""

from samza import SamzaJob


class Campaigns(SamzaJob):
    def setup(self):
        self.configs['input'] = 'data/landings.jsonl'
        self.configs['key'] = 'campaign'
        self.configs['tasks'] = 4
        self.configs['output'] = 'out/'

    def process(self, data):
        pages = self.state.setdefault(data['campaign'], {})
        pages[data['page']] = pages.get(data['page'], 0) + 1

    def window(self):
        for campaign, pages in sorted(self.state.items()):
            top = sorted(pages.items(), key=lambda page: (-page[1], page[0]))[:3]
            self.emit({'campaign': campaign, 'top': [{'page': page, 'visits': visits} for page, visits in top]})


if __name__ == '__main__':
    Campaigns().run()
