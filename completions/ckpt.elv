
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
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand run 'Run a job, or go on with it from its latest checkpoint'
            cand check 'Say what `ckpt run` would do with a job, and whether it would start'
            cand checkpoint 'Ask the running job for a checkpoint, and wait for it'
            cand list 'List the checkpoints of a store, the newest last'
            cand log 'Show what happened to a store, the newest last'
            cand inspect 'Show what a checkpoint is, or what it holds'
            cand verify 'Prove that checkpoints are what was committed'
            cand diff 'Show what changed between two checkpoints'
            cand restore 'Put the content of an old checkpoint back, or write it out'
            cand prune 'Remove checkpoints that no rule keeps, and what crashed runs left behind'
            cand pin 'Keep a checkpoint from being pruned'
            cand unpin 'Take the pin of a checkpoint away'
            cand copy 'Copy checkpoints to another store'
            cand latest 'Print the path of the newest checkpoint, for scripts'
            cand stats 'Show what a store takes, and what removing checkpoints would free'
            cand completions 'Print the completion script of a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;run'= {
            cand --threads 'Threads that parse and apply records [default: the number of cores]'
            cand --log 'How events, warnings and errors are written to standard error: for people, or a JSON object a line'
            cand --metrics 'Serve metrics for Prometheus at http://ADDR/metrics while the run goes on: HOST:PORT, or a port of this machine alone'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --must-resume 'Fail when there is no checkpoint to go on from'
            cand --latest-good 'When the latest checkpoint is damaged, go back to the newest that is intact: say what that loses, and move an output aside that a checkpoint has published which is left behind'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;check'= {
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;checkpoint'= {
            cand --wait 'How long to wait for the answer: `30s`, `5m`'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;list'= {
            cand -n 'Show only the newest N'
            cand --limit 'Show only the newest N'
            cand --replica 'A replica that the store does not know; may be repeated'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand -r 'Show the newest first'
            cand --reverse 'Show the newest first'
            cand --sizes 'Show what each shares, and what removing it would free'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;log'= {
            cand -n 'Show only the newest N'
            cand --limit 'Show only the newest N'
            cand --since 'Show only what happened since: `2026-11-22T14:00`, `2h ago`'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --failed 'Show only attempts that failed'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;inspect'= {
            cand --task 'Show only rows of task N'
            cand --key 'Show only the row of key K, and end with exit code 1 when there is none; no more of the state is read than its shard'
            cand -n 'Show at most N rows or tasks; 0 means all'
            cand --limit 'Show at most N rows or tasks; 0 means all'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --state 'Show rows of the state, in the order of task and key, as they are stored: a mean is its sum and its count'
            cand --tasks 'Show each task that holds keys, with its shard, keys and bytes before encoding'
            cand --positions 'Show how far each partition of the input was applied'
            cand --objects 'Show the objects and which of them the parent has too'
            cand --job 'Print the job file that wrote it'
            cand --all 'Show tasks without keys too'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;verify'= {
            cand --sample 'Read only one Nth of the objects, another each day'
            cand --for 'Begin to read no more objects after this time (`10m`); the next time goes on with what was not read for longest'
            cand --state 'Where --for keeps when each object was read: a file outside the store'
            cand --replica 'A replica that the store does not know; may be repeated'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --quick 'Look only whether every object is there with its size; read no state'
            cand --deep 'Read every row too: order, routing, counts and totals'
            cand --repair 'Heal what a good copy can heal'
            cand --dry-run 'With --repair: say what would be healed, and do nothing'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;diff'= {
            cand --task 'Compare only keys of task N'
            cand --key 'Compare only keys that begin with PREFIX'
            cand -n 'Show at most N keys, or tasks and partitions; the totals are of all. 0 means all [default: 10 tasks and partitions, all keys]'
            cand --limit 'Show at most N keys, or tasks and partitions; the totals are of all. 0 means all [default: 10 tasks and partitions, all keys]'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --keys 'List every key that changed with its old and new values, in the order of task and key'
            cand --stat 'Show how many keys changed in each task'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;restore'= {
            cand --to 'Write the state into the directory DIR, and leave the store as it is'
            cand --format 'What to write'
            cand --seek 'Go on at another position of the input PARTITION: `start`, `end`, a number of bytes, or `record:N`'
            cand --input-base 'The directory that the job''s input paths are relative to: that of the job file'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --dry-run 'Say what would be done, and do nothing'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;prune'= {
            cand --keep-last 'Keep the newest N'
            cand --keep-hourly 'Keep the newest of each of the last N hours that have any'
            cand --keep-daily 'Keep the newest of each of the last N days that have any'
            cand --keep-weekly 'Keep the newest of each of the last N weeks that have any'
            cand --keep-monthly 'Keep the newest of each of the last N months that have any'
            cand --keep-within 'Keep those that are at most so much older than the newest, as in `36h` or `7d`'
            cand --keep-bytes 'Keep the newest, as long as all that they need has at most so many bytes, as in `10GiB`'
            cand --grace 'How long what is removed can be brought back, and how old leftovers have to be'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --keep-all 'Keep every checkpoint: remove only leftovers, and what was pruned before the grace time'
            cand --undo 'Bring back what the last prune removed'
            cand --dry-run 'Show what would be done, and do nothing'
            cand -y 'Do it without asking'
            cand --yes 'Do it without asking'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;pin'= {
            cand --reason 'Why, for whoever finds the pin'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;unpin'= {
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;copy'= {
            cand --to 'The directory of the store to copy to'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --dry-run 'Say what would be copied, and copy nothing'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;latest'= {
            cand --max-age 'End with exit code 1 when the checkpoint is older than this: `1h`, `90m`'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --verified 'Read every byte, and go back to the newest checkpoint that is intact'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;stats'= {
            cand -n 'Show only the newest N checkpoints; the totals are of all'
            cand --limit 'Show only the newest N checkpoints; the totals are of all'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;completions'= {
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;help'= {
            cand run 'Run a job, or go on with it from its latest checkpoint'
            cand check 'Say what `ckpt run` would do with a job, and whether it would start'
            cand checkpoint 'Ask the running job for a checkpoint, and wait for it'
            cand list 'List the checkpoints of a store, the newest last'
            cand log 'Show what happened to a store, the newest last'
            cand inspect 'Show what a checkpoint is, or what it holds'
            cand verify 'Prove that checkpoints are what was committed'
            cand diff 'Show what changed between two checkpoints'
            cand restore 'Put the content of an old checkpoint back, or write it out'
            cand prune 'Remove checkpoints that no rule keeps, and what crashed runs left behind'
            cand pin 'Keep a checkpoint from being pruned'
            cand unpin 'Take the pin of a checkpoint away'
            cand copy 'Copy checkpoints to another store'
            cand latest 'Print the path of the newest checkpoint, for scripts'
            cand stats 'Show what a store takes, and what removing checkpoints would free'
            cand completions 'Print the completion script of a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;help;run'= {
        }
        &'ckpt;help;check'= {
        }
        &'ckpt;help;checkpoint'= {
        }
        &'ckpt;help;list'= {
        }
        &'ckpt;help;log'= {
        }
        &'ckpt;help;inspect'= {
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
        &'ckpt;help;completions'= {
        }
        &'ckpt;help;help'= {
        }
    ]
    $completions[$command]
}
