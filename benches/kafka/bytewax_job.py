"""The job in Bytewax: counts the clicks of each user and adds up their amounts, and writes the rows at the end.

BROKERS, TOPIC and ROWS are environment variables, because `python -m bytewax.run` passes no arguments on.
"""

import os

import bytewax.operators as op
import orjson
from bytewax.connectors.files import FileSink
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow


def parse(message):
    return message.key.decode(), orjson.loads(message.value)['amount']


def add(totals, amount):
    clicks, spent = totals
    return clicks + 1, spent + amount


def line(row):
    user, (clicks, spent) = row
    return user, '%s\t%d\t%.2f' % (user, clicks, spent)


flow = Dataflow('clicks')
source = KafkaSource([os.environ['BROKERS']], [os.environ['TOPIC']], tail=False, batch_size=5000)
clicks = op.map('parse', op.input('clicks', flow, source), parse)
totals = op.fold_final('totals', clicks, lambda: (0, 0.0), add)
op.output('rows', op.map('lines', totals, line), FileSink(os.environ['ROWS']))
