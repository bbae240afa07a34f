"""Counts the visits of each user, speaking the protocol (docs/protocol.md) without a library."""

import json
import sys

visits, changed = {}, set()


def say(message):
    print(json.dumps(message, separators=(",", ":")), flush=True)


for line in sys.stdin:
    message = json.loads(line)
    kind = message["type"]
    if kind == "restore":
        for task, user, count in message["rows"]:
            visits[task, user] = count
    elif kind == "start":
        say({"type": "ready", "protocol": 1})
    elif kind == "batch":
        for task, offset, record in message["records"]:
            user = record["user"]
            visits[task, user] = visits.get((task, user), 0) + 1
            changed.add((task, user))
        say({"type": "done", "number": message["number"]})
    elif kind == "checkpoint":
        rows = [[task, user, visits[task, user]] for task, user in sorted(changed)]
        changed.clear()
        say({"type": "done", "number": message["number"], "changed": rows})
    elif kind == "tick":
        say({"type": "done", "number": message["number"]})
