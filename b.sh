cd /tmp/rbbench; cat data/*.jsonl >/dev/null
for i in $(seq 1 11); do for b in before after; do rm -rf store; /usr/bin/time -f "$b %e %U %S" -a -o times.txt ./$b run --quiet job.yaml >/dev/null 2>err || { echo FAIL; cat err; }; done; done
