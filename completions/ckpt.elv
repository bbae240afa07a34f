
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
            cand list 'List the checkpoints of a store, the newest last'
            cand inspect 'Show what a checkpoint is, or what it holds'
            cand verify 'Prove that checkpoints are what was committed'
            cand restore 'Put the content of an old checkpoint back, or write it out'
            cand completions 'Print the completion script of a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;run'= {
            cand --threads 'Threads that parse and apply records [default: the number of cores]'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --must-resume 'Fail when there is no checkpoint to go on from'
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
        &'ckpt;restore'= {
            cand --to 'Write the state into the directory DIR, and leave the store as it is'
            cand --format 'What to write'
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --dry-run 'Say what would be done, and do nothing'
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
            cand list 'List the checkpoints of a store, the newest last'
            cand inspect 'Show what a checkpoint is, or what it holds'
            cand verify 'Prove that checkpoints are what was committed'
            cand restore 'Put the content of an old checkpoint back, or write it out'
            cand completions 'Print the completion script of a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;help;run'= {
        }
        &'ckpt;help;list'= {
        }
        &'ckpt;help;inspect'= {
        }
        &'ckpt;help;verify'= {
        }
        &'ckpt;help;restore'= {
        }
        &'ckpt;help;completions'= {
        }
        &'ckpt;help;help'= {
        }
    ]
    $completions[$command]
}
