import json
import sys

visits, changed = {}, set()
for line in sys.stdin:
    message = json.loads(line)
    kind, answer = message["type"], {"type": "done", "number": message.get("number")}
    if kind == "restore":
        visits.update({(task, key): value for task, key, value in message["rows"]})
        continue
    if kind == "batch":
        for task, offset, record in message["records"]:
            key = task, record["user"]
            changed.add(key)
            if record["page"] == "/logout":
                visits.pop(key, None)
            else:
                pages = visits.setdefault(key, {"n": 0, "pages": []})
                pages["n"] += 1
                pages["pages"].append(record["page"])
    elif kind == "checkpoint":
        answer["changed"] = [[*key, visits[key]] for key in sorted(changed) if key in visits]
        answer["deleted"] = [[*key] for key in sorted(changed) if key not in visits]
        changed.clear()
    elif kind == "start":
        answer = {"type": "ready"}
    elif kind != "tick":
        continue
    print(json.dumps(answer, separators=(",", ":")), flush=True)
