# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ckpt_global_optspecs
    string join \n json q/quiet color= h/help V/version
end

function __fish_ckpt_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ckpt_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ckpt_using_subcommand
    set -l cmd (__fish_ckpt_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ckpt -n "__fish_ckpt_needs_command" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_needs_command" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_needs_command" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_needs_command" -s V -l version -d 'Print version'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "run" -d 'Run a job, or go on with it from its latest checkpoint'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "check" -d 'Say what `ckpt run` would do with a job, and whether it would start'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "checkpoint" -d 'Ask the running job for a checkpoint, and wait for it'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "list" -d 'List the checkpoints of a store, the newest last'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "log" -d 'Show what happened to a store, the newest last'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "inspect" -d 'Show what a checkpoint is, or what it holds'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "verify" -d 'Prove that checkpoints are what was committed'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "diff" -d 'Show what changed between two checkpoints'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "restore" -d 'Put the content of an old checkpoint back, or write it out'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "prune" -d 'Remove checkpoints that no rule keeps, and what crashed runs left behind'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "pin" -d 'Keep a checkpoint from being pruned'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "unpin" -d 'Take the pin of a checkpoint away'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "copy" -d 'Copy checkpoints to another store'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "latest" -d 'Print the path of the newest checkpoint, for scripts'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "stats" -d 'Show what a store takes, and what removing checkpoints would free'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l threads -d 'Threads that parse and apply records [default: the number of cores]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l log -d 'How events, warnings and errors are written to standard error: for people, or a JSON object a line' -r -f -a "text\t'For people'
json\t'A JSON object a line'"
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l metrics -d 'Serve metrics for Prometheus at http://ADDR/metrics while the run goes on: HOST:PORT, or a port of this machine alone' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l must-resume -d 'Fail when there is no checkpoint to go on from'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l latest-good -d 'When the latest checkpoint is damaged, go back to the newest that is intact: say what that loses, and move an output aside that a checkpoint has published which is left behind'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -l wait -d 'How long to wait for the answer: `30s`, `5m`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -s n -l limit -d 'Show only the newest N' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l replica -d 'A replica that the store does not know; may be repeated' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -s r -l reverse -d 'Show the newest first'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l sizes -d 'Show what each shares, and what removing it would free'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -s n -l limit -d 'Show only the newest N' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l since -d 'Show only what happened since: `2026-11-22T14:00`, `2h ago`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l failed -d 'Show only attempts that failed'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l task -d 'Show only rows of task N' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l key -d 'Show only the row of key K, and end with exit code 1 when there is none; no more of the state is read than its shard' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -s n -l limit -d 'Show at most N rows or tasks; 0 means all' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l state -d 'Show rows of the state, in the order of task and key, as they are stored: a mean is its sum and its count'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l tasks -d 'Show each task that holds keys, with its shard, keys and bytes before encoding'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l positions -d 'Show how far each partition of the input was applied'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l objects -d 'Show the objects and which of them the parent has too'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l job -d 'Print the job file that wrote it'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l all -d 'Show tasks without keys too'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l sample -d 'Read only one Nth of the objects, another each day' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l for -d 'Begin to read no more objects after this time (`10m`); the next time goes on with what was not read for longest' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l state -d 'Where --for keeps when each object was read: a file outside the store' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l replica -d 'A replica that the store does not know; may be repeated' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l quick -d 'Look only whether every object is there with its size; read no state'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l deep -d 'Read every row too: order, routing, counts and totals'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l repair -d 'Heal what a good copy can heal'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l dry-run -d 'With --repair: say what would be healed, and do nothing'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l task -d 'Compare only keys of task N' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l key -d 'Compare only keys that begin with PREFIX' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -s n -l limit -d 'Show at most N keys, or tasks and partitions; the totals are of all. 0 means all [default: 10 tasks and partitions, all keys]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l keys -d 'List every key that changed with its old and new values, in the order of task and key'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l stat -d 'Show how many keys changed in each task'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l to -d 'Write the state into the directory DIR, and leave the store as it is' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l format -d 'What to write' -r -f -a "parquet\t'A Parquet file a shard'
jsonl\t'A JSON object a line'
csv\t'With a header line'"
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l seek -d 'Go on at another position of the input PARTITION: `start`, `end`, a number of bytes, or `record:N`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l input-base -d 'The directory that the job\'s input paths are relative to: that of the job file' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l dry-run -d 'Say what would be done, and do nothing'
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-last -d 'Keep the newest N' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-hourly -d 'Keep the newest of each of the last N hours that have any' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-daily -d 'Keep the newest of each of the last N days that have any' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-weekly -d 'Keep the newest of each of the last N weeks that have any' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-monthly -d 'Keep the newest of each of the last N months that have any' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-within -d 'Keep those that are at most so much older than the newest, as in `36h` or `7d`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-bytes -d 'Keep the newest, as long as all that they need has at most so many bytes, as in `10GiB`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l grace -d 'How long what is removed can be brought back, and how old leftovers have to be' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-all -d 'Keep every checkpoint: remove only leftovers, and what was pruned before the grace time'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l undo -d 'Bring back what the last prune removed'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l dry-run -d 'Show what would be done, and do nothing'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -s y -l yes -d 'Do it without asking'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -l reason -d 'Why, for whoever finds the pin' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l to -d 'The directory of the store to copy to' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l dry-run -d 'Say what would be copied, and copy nothing'
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l max-age -d 'End with exit code 1 when the checkpoint is older than this: `1h`, `90m`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l verified -d 'Read every byte, and go back to the newest checkpoint that is intact'
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -s n -l limit -d 'Show only the newest N checkpoints; the totals are of all' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -l color -d 'When to use color; `auto` is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -l json -d 'Print the answer as JSON, for programs'
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -s q -l quiet -d 'Print no notes and no progress; warnings and errors stay'
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "run" -d 'Run a job, or go on with it from its latest checkpoint'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "check" -d 'Say what `ckpt run` would do with a job, and whether it would start'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "checkpoint" -d 'Ask the running job for a checkpoint, and wait for it'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "list" -d 'List the checkpoints of a store, the newest last'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "log" -d 'Show what happened to a store, the newest last'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "inspect" -d 'Show what a checkpoint is, or what it holds'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "verify" -d 'Prove that checkpoints are what was committed'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "diff" -d 'Show what changed between two checkpoints'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "restore" -d 'Put the content of an old checkpoint back, or write it out'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "prune" -d 'Remove checkpoints that no rule keeps, and what crashed runs left behind'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "pin" -d 'Keep a checkpoint from being pruned'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "unpin" -d 'Take the pin of a checkpoint away'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "copy" -d 'Copy checkpoints to another store'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "latest" -d 'Print the path of the newest checkpoint, for scripts'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "stats" -d 'Show what a store takes, and what removing checkpoints would free'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run check checkpoint list log inspect verify diff restore prune pin unpin copy latest stats completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
