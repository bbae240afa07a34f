
use builtin;
use str;

set edit:completion:arg-completer[ckpt] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'ckpt'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'ckpt'= {
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand -V 'Print the version'
            cand --version 'Print the version'
            cand --verbose 'With --version, also print the commit, the target, the features, and the formats'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand run 'Run a job, or resume it from its latest checkpoint'
            cand init 'Look at an input and write a job file for it'
            cand check 'Show what `ckpt run` would do with a job, and whether it would start'
            cand checkpoint 'Ask the running job for a checkpoint, and wait for it'
            cand list 'List the checkpoints of a store, newest last'
            cand log 'Show what happened to a job and its store, newest last'
            cand report 'Write a page about a store, to look at or to attach to a ticket'
            cand inspect 'Show what a checkpoint is, or what it holds'
            cand workers 'Show which worker has which tasks, and how old their checkpoints are'
            cand verify 'Check that checkpoints are intact'
            cand diff 'Show what changed between two checkpoints'
            cand restore 'Roll back to an older checkpoint, or export its state'
            cand prune 'Remove checkpoints that no rule keeps, and leftovers of crashed runs'
            cand pin 'Keep a checkpoint from being pruned'
            cand unpin 'Remove the pin of a checkpoint'
            cand copy 'Copy checkpoints to another store'
            cand latest 'Print the path of the newest checkpoint, for scripts'
            cand stats 'Show how much space a store uses, and what removing checkpoints would free'
            cand samza 'Look at checkpoints of Apache Samza, or take them over'
            cand schema 'Print the JSON Schema of job files, or of what a command prints with --json'
            cand completions 'Print a completion script for a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;run'= {
            cand --set 'Use VALUE instead of what the job file has for KEY, such as `checkpoint.schedule=1s`; may be repeated. Without a value, the key is left out'
            cand --worker 'Be one of several workers that share the partitions of the job''s topic, under a name that no other has'
            cand --assume-output 'If it is unknown whether the topic of the output has the messages of the latest checkpoint, assume that it has them, or send them, perhaps again'
            cand --threads 'The number of threads that parse and apply records [default: the number of cores]'
            cand --log 'The format of events, warnings and errors on standard error'
            cand --metrics 'Serve metrics for Prometheus at http://ADDR/metrics, and whether the run is alive and ready at /livez and /readyz; ADDR is HOST:PORT, or a port on this machine'
            cand --metrics-file 'Write the metrics to this file, for the textfile collector of Prometheus''s node exporter: every 15 seconds, and at the end of the run'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --must-resume 'Fail if there is no checkpoint to resume from'
            cand --latest-good 'If the latest checkpoint is damaged, resume from the newest intact one; report what is lost, and move away outputs that the skipped checkpoints published'
            cand --leave 'Leave the group of workers at the end, so that others get the partitions at once'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;init'= {
            cand -o 'The job file to write, which must not exist; `-` means standard output [default: named after the first input]'
            cand --output 'The job file to write, which must not exist; `-` means standard output [default: named after the first input]'
            cand --format 'The format of the input, if the names of the files do not show it [default: from the names, or the first bytes]'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;check'= {
            cand --set 'Use VALUE instead of what the job file has for KEY, such as `checkpoint.schedule=1s`; may be repeated. Without a value, the key is left out'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;checkpoint'= {
            cand --wait 'How long to wait for the answer, such as `30s`'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;list'= {
            cand -n 'Show only the newest N checkpoints; 0 means all'
            cand --limit 'Show only the newest N checkpoints; 0 means all'
            cand --replica 'Also use a replica that the store does not know; can be repeated'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand -r 'Show the newest first'
            cand --reverse 'Show the newest first'
            cand --sizes 'Show what each checkpoint shares, and what removing it would free'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;log'= {
            cand -n 'Show only the newest N entries; 0 means all'
            cand --limit 'Show only the newest N entries; 0 means all'
            cand --since 'Show only entries since this time, such as `2026-11-22T14:00`, or since so long ago, such as `2h`'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --failed 'Show only attempts and runs that failed, and runs that were killed'
            cand -f 'Keep printing what happens, until interrupted'
            cand --follow 'Keep printing what happens, until interrupted'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;report'= {
            cand -o 'The file to write, which must not exist; `-` means standard output [default: JOB-report.html]'
            cand --output 'The file to write, which must not exist; `-` means standard output [default: JOB-report.html]'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand -f 'Replace the file if it exists'
            cand --force 'Replace the file if it exists'
            cand --quick 'Do not read the rows of the state: leave out the largest tasks and keys, and what changed'
            cand --verify 'Verify the store and its replicas, and show the findings'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;inspect'= {
            cand --task 'Show only rows of task N'
            cand --key 'Show only the row of key K, reading only its shard; exit with code 1 if there is no such key. A key of several fields is `--key path=/cart --key status=500` or `--key ''["/cart",500]''`'
            cand --prefix 'Show only rows whose key starts with PREFIX; a key of several fields is a list such as `["/cart",500]`'
            cand -n 'Show at most N rows or tasks; 0 means all'
            cand --limit 'Show at most N rows or tasks; 0 means all'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --state 'Show the rows of the state by task and key, as stored: a mean is its sum and its count'
            cand --tasks 'Show each task that has keys, with its shard, keys, and bytes before encoding'
            cand --positions 'Show how far each partition of the input was applied'
            cand --objects 'Show the objects, and which of them the parent has too'
            cand --job 'Print the job file'
            cand --all 'Show tasks without keys too'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;workers'= {
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --tasks 'Show each task on a line of its own'
            cand --lag 'Ask the brokers how far each task is behind'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;verify'= {
            cand --sample 'Read only one Nth of the objects, a different part each day'
            cand --for 'Stop starting new reads after this time, such as `10m`; next time, start with the objects unread for longest'
            cand --state 'The file where --for records when each object was read; must be outside the store'
            cand --replica 'Also check a replica that the store does not know; can be repeated'
            cand --metrics-file 'Write what was found as metrics to this file, for the textfile collector of Prometheus''s node exporter'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand -v 'List the leftovers of runs that were cut short one by one, instead of counting them'
            cand --verbose 'List the leftovers of runs that were cut short one by one, instead of counting them'
            cand --quick 'Check only that every object exists and has the right size'
            cand --deep 'Also read every row: order, routing, counts and totals'
            cand --repair 'Replace damaged files with good copies'
            cand --dry-run 'With --repair: show what would be repaired, without repairing it'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;diff'= {
            cand --task 'Compare only keys of task N'
            cand --key 'Compare only key K. A key of several fields is `--key path=/cart --key status=500` or `--key ''["/cart",500]''`'
            cand --prefix 'Compare only keys that start with PREFIX; a key of several fields is a list such as `["/cart",500]`'
            cand -n 'Show at most N keys, or tasks and partitions; 0 means all, and totals always cover all [default: all keys, 10 tasks and partitions]'
            cand --limit 'Show at most N keys, or tasks and partitions; 0 means all, and totals always cover all [default: all keys, 10 tasks and partitions]'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --keys 'List every changed key with its old and new values, by task and key'
            cand --stat 'Show how many keys changed in each task'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;restore'= {
            cand --to 'Write the state into the directory or URL DIR, and leave the store unchanged'
            cand --format 'The format of the files'
            cand --as 'What to write instead of the state'
            cand --seek 'Resume the input PARTITION at another position: `start`, `end`, a number of bytes, or `record:N`'
            cand --forget 'Let the input PARTITION go: the new checkpoint has no position in it'
            cand --input-base 'With --seek: the directory of the job file, which input paths are relative to'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --dry-run 'Show what would be done, without doing it'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;prune'= {
            cand --keep-last 'Keep the newest N'
            cand --keep-hourly 'Keep the newest one of each of the last N hours that have any'
            cand --keep-daily 'Keep the newest one of each of the last N days that have any'
            cand --keep-weekly 'Keep the newest one of each of the last N weeks that have any'
            cand --keep-monthly 'Keep the newest one of each of the last N months that have any'
            cand --keep-within 'Keep those made at most DURATION before the newest, such as `36h` or `7d`'
            cand --keep-bytes 'Keep the newest ones that together need at most SIZE bytes, such as `10GiB`'
            cand --grace 'How long removed checkpoints can be brought back, and how old leftovers must be'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --keep-all 'Keep all checkpoints; remove only leftovers, and pruned checkpoints whose grace period is over'
            cand --undo 'Bring back the checkpoints that the last prune removed'
            cand --dry-run 'Show the plan without carrying it out'
            cand -y 'Do not ask for confirmation'
            cand --yes 'Do not ask for confirmation'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;pin'= {
            cand --reason 'Why the checkpoint is pinned'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;unpin'= {
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;copy'= {
            cand --to 'The store to copy to'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --dry-run 'Show what would be copied, without copying'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;latest'= {
            cand --max-age 'Exit with code 1 if the checkpoint is older than this, such as `1h`, or as far in the future'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --verified 'Read every byte, and print the newest intact checkpoint'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;stats'= {
            cand -n 'Show only the newest N checkpoints; 0 means all, and totals always cover all'
            cand --limit 'Show only the newest N checkpoints; 0 means all, and totals always cover all'
            cand --metrics-file 'Write the totals as metrics to this file, for the textfile collector of Prometheus''s node exporter'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --totals 'Show only the totals'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;samza'= {
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand inspect 'Show what is in checkpoints of Samza'
            cand verify 'Check that checkpoints of Samza are whole'
            cand diff 'Show what differs between checkpoints of Samza'
            cand import 'Make the first checkpoint of a job from a checkpoint of Samza'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;samza;inspect'= {
            cand --task 'Show only this task'
            cand --read-version 'With --properties and --state: the version to use where a task has both, as `task.checkpoint.read.versions` of the job says [default: 1]'
            cand -n 'With --state: show at most N rows of each store of a task; 0 means all [default: 20]'
            cand --limit 'With --state: show at most N rows of each store of a task; 0 means all [default: 20]'
            cand --store 'The store, as `stores.NAME` in the properties of the job'
            cand --key-serde 'How keys were written, as `stores.NAME.key.serde` of the job says: string, long, integer, json or bytes'
            cand --value-serde 'How values were written, as `stores.NAME.msg.serde` of the job says'
            cand --changelog 'Read changelogs from this dump, which `kcat -J` printed; may be repeated'
            cand --brokers 'Read changelogs from these brokers, HOST:PORT or several with commas [default: those of the PATH]'
            cand --kafka-settings 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --properties 'Print the offsets as a Java properties file'
            cand --state 'Show the keys and values of stores'
            cand --rocksdb 'Read stores from their RocksDB directories below the PATH instead of their changelogs'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;samza;verify'= {
            cand --blobs 'A JSON file with the file of each blob id; relative paths start at its directory'
            cand --kafka-settings 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --quick 'Check only that every blob exists and has the right size'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;samza;diff'= {
            cand --read-version 'The version to use where a task has both, as `task.checkpoint.read.versions` of the job says'
            cand --kafka-settings 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;samza;import'= {
            cand --job 'The job file'
            cand --set 'Use VALUE instead of what the job file has for KEY; may be repeated'
            cand --column 'Fill a column of the state from `value` or from a field such as `value.total`; may be repeated. The only column of a job gets a value that is a number without it'
            cand --read-version 'The version of checkpoints to use, as `task.checkpoint.read.versions` of the job says; needed if the versions of a task differ'
            cand --store 'The store, as `stores.NAME` in the properties of the job'
            cand --key-serde 'How keys were written, as `stores.NAME.key.serde` of the job says: string, long, integer, json or bytes'
            cand --value-serde 'How values were written, as `stores.NAME.msg.serde` of the job says'
            cand --changelog 'Read changelogs from this dump, which `kcat -J` printed; may be repeated'
            cand --brokers 'Read changelogs from these brokers, HOST:PORT or several with commas [default: those of the PATH]'
            cand --kafka-settings 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login'
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --rocksdb 'Read stores from their RocksDB directories below the PATH instead of their changelogs'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;samza;help'= {
            cand inspect 'Show what is in checkpoints of Samza'
            cand verify 'Check that checkpoints of Samza are whole'
            cand diff 'Show what differs between checkpoints of Samza'
            cand import 'Make the first checkpoint of a job from a checkpoint of Samza'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;samza;help;inspect'= {
        }
        &'ckpt;samza;help;verify'= {
        }
        &'ckpt;samza;help;diff'= {
        }
        &'ckpt;samza;help;import'= {
        }
        &'ckpt;samza;help;help'= {
        }
        &'ckpt;schema'= {
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;completions'= {
            cand --color 'When to use color; `auto` means on a terminal, unless NO_COLOR is set'
            cand --cache 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]'
            cand --cache-size 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]'
            cand --json 'Print the answer as JSON'
            cand -q 'Print no notes and no progress; warnings and errors are still printed'
            cand --quiet 'Print no notes and no progress; warnings and errors are still printed'
            cand --utc 'Show and read times in UTC instead of the local time zone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;help'= {
            cand run 'Run a job, or resume it from its latest checkpoint'
            cand init 'Look at an input and write a job file for it'
            cand check 'Show what `ckpt run` would do with a job, and whether it would start'
            cand checkpoint 'Ask the running job for a checkpoint, and wait for it'
            cand list 'List the checkpoints of a store, newest last'
            cand log 'Show what happened to a job and its store, newest last'
            cand report 'Write a page about a store, to look at or to attach to a ticket'
            cand inspect 'Show what a checkpoint is, or what it holds'
            cand workers 'Show which worker has which tasks, and how old their checkpoints are'
            cand verify 'Check that checkpoints are intact'
            cand diff 'Show what changed between two checkpoints'
            cand restore 'Roll back to an older checkpoint, or export its state'
            cand prune 'Remove checkpoints that no rule keeps, and leftovers of crashed runs'
            cand pin 'Keep a checkpoint from being pruned'
            cand unpin 'Remove the pin of a checkpoint'
            cand copy 'Copy checkpoints to another store'
            cand latest 'Print the path of the newest checkpoint, for scripts'
            cand stats 'Show how much space a store uses, and what removing checkpoints would free'
            cand samza 'Look at checkpoints of Apache Samza, or take them over'
            cand schema 'Print the JSON Schema of job files, or of what a command prints with --json'
            cand completions 'Print a completion script for a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;help;run'= {
        }
        &'ckpt;help;init'= {
        }
        &'ckpt;help;check'= {
        }
        &'ckpt;help;checkpoint'= {
        }
        &'ckpt;help;list'= {
        }
        &'ckpt;help;log'= {
        }
        &'ckpt;help;report'= {
        }
        &'ckpt;help;inspect'= {
        }
        &'ckpt;help;workers'= {
        }
        &'ckpt;help;verify'= {
        }
        &'ckpt;help;diff'= {
        }
        &'ckpt;help;restore'= {
        }
        &'ckpt;help;prune'= {
        }
        &'ckpt;help;pin'= {
        }
        &'ckpt;help;unpin'= {
        }
        &'ckpt;help;copy'= {
        }
        &'ckpt;help;latest'= {
        }
        &'ckpt;help;stats'= {
        }
        &'ckpt;help;samza'= {
            cand inspect 'Show what is in checkpoints of Samza'
            cand verify 'Check that checkpoints of Samza are whole'
            cand diff 'Show what differs between checkpoints of Samza'
            cand import 'Make the first checkpoint of a job from a checkpoint of Samza'
        }
        &'ckpt;help;samza;inspect'= {
        }
        &'ckpt;help;samza;verify'= {
        }
        &'ckpt;help;samza;diff'= {
        }
        &'ckpt;help;samza;import'= {
        }
        &'ckpt;help;schema'= {
        }
        &'ckpt;help;completions'= {
        }
        &'ckpt;help;help'= {
        }
    ]
    $completions[$command]
}
