# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ckpt_global_optspecs
    string join \n V/version verbose json q/quiet color= utc cache= cache-size= h/help
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

complete -c ckpt -n "__fish_ckpt_needs_command" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_needs_command" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_needs_command" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_needs_command" -s V -l version -d 'Print the version'
complete -c ckpt -n "__fish_ckpt_needs_command" -l verbose -d 'With --version, also print the commit, the target, the features, and the formats'
complete -c ckpt -n "__fish_ckpt_needs_command" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_needs_command" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_needs_command" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "run" -d 'Run a job, or resume it from its latest checkpoint'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "init" -d 'Look at an input and write a job file for it'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "check" -d 'Show what `ckpt run` would do with a job, and whether it would start'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "checkpoint" -d 'Ask the running job for a checkpoint, and wait for it'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "list" -d 'List the checkpoints of a store, newest last'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "log" -d 'Show what happened to a job and its store, newest last'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "report" -d 'Write a page about a store, to look at or to attach to a ticket'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "inspect" -d 'Show what a checkpoint is, or what it holds'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "workers" -d 'Show which worker has which tasks, and how old their checkpoints are'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "verify" -d 'Check that checkpoints are intact'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "diff" -d 'Show what changed between two checkpoints'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "restore" -d 'Roll back to an older checkpoint, or export its state'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "prune" -d 'Remove checkpoints that no rule keeps, and leftovers of crashed runs'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "pin" -d 'Keep a checkpoint from being pruned'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "unpin" -d 'Remove the pin of a checkpoint'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "copy" -d 'Copy checkpoints to another store'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "latest" -d 'Print the path of the newest checkpoint, for scripts'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "stats" -d 'Show how much space a store uses, and what removing checkpoints would free'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "samza" -d 'Look at checkpoints of Apache Samza, or take them over'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "schema" -d 'Print the JSON Schema of job files, or of what a command prints with --json'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c ckpt -n "__fish_ckpt_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l set -d 'Use VALUE instead of what the job file has for KEY, such as `checkpoint.schedule=1s`; may be repeated. Without a value, the key is left out' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l worker -d 'Be one of several workers that share the partitions of the job\'s topic, under a name that no other has' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l assume-output -d 'If it is unknown whether the topic of the output has the messages of the latest checkpoint, assume that it has them, or send them, perhaps again' -r -f -a "sent\t'The topic has them'
missing\t'The topic lacks them'"
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l threads -d 'The number of threads that parse and apply records [default: the number of cores]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l log -d 'The format of events, warnings and errors on standard error' -r -f -a "text\t'Text for people'
json\t'One JSON object per line'"
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l metrics -d 'Serve metrics for Prometheus at http://ADDR/metrics, and whether the run is alive and ready at /livez and /readyz; ADDR is HOST:PORT, or a port on this machine' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l metrics-file -d 'Write the metrics to this file, for the textfile collector of Prometheus\'s node exporter: every 15 seconds, and at the end of the run' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l must-resume -d 'Fail if there is no checkpoint to resume from'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l latest-good -d 'If the latest checkpoint is damaged, resume from the newest intact one; report what is lost, and move away outputs that the skipped checkpoints published'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l leave -d 'Leave the group of workers at the end, so that others get the partitions at once'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand init" -s o -l output -d 'The job file to write, which must not exist; `-` means standard output [default: named after the first input]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand init" -l format -d 'The format of the input, if the names of the files do not show it [default: from the names, or the first bytes]' -r -f -a "json\t'One JSON object per line; `jsonl` means the same'
csv\t'CSV with a header line'
text\t'Lines of text'"
complete -c ckpt -n "__fish_ckpt_using_subcommand init" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand init" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand init" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand init" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand init" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand init" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -l set -d 'Use VALUE instead of what the job file has for KEY, such as `checkpoint.schedule=1s`; may be repeated. Without a value, the key is left out' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -l wait -d 'How long to wait for the answer, such as `30s`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand checkpoint" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -s n -l limit -d 'Show only the newest N checkpoints; 0 means all' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l replica -d 'Also use a replica that the store does not know; can be repeated' -r -f -a "(__fish_complete_directories)"
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -s r -l reverse -d 'Show the newest first'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l sizes -d 'Show what each checkpoint shares, and what removing it would free'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -s n -l limit -d 'Show only the newest N entries; 0 means all' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l since -d 'Show only entries since this time, such as `2026-11-22T14:00`, or since so long ago, such as `2h`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l failed -d 'Show only attempts and runs that failed, and runs that were killed'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -s f -l follow -d 'Keep printing what happens, until interrupted'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -s o -l output -d 'The file to write, which must not exist; `-` means standard output [default: JOB-report.html]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -s f -l force -d 'Replace the file if it exists'
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -l quick -d 'Do not read the rows of the state: leave out the largest tasks and keys, and what changed'
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -l verify -d 'Verify the store and its replicas, and show the findings'
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l task -d 'Show only rows of task N' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l key -d 'Show only the row of key K, reading only its shard; exit with code 1 if there is no such key. A key of several fields is `--key path=/cart --key status=500` or `--key \'["/cart",500]\'`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l prefix -d 'Show only rows whose key starts with PREFIX; a key of several fields is a list such as `["/cart",500]`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -s n -l limit -d 'Show at most N rows or tasks; 0 means all' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l state -d 'Show the rows of the state by task and key, as stored: a mean is its sum and its count'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l tasks -d 'Show each task that has keys, with its shard, keys, and bytes before encoding'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l positions -d 'Show how far each partition of the input was applied'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l objects -d 'Show the objects, and which of them the parent has too'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l job -d 'Print the job file'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l all -d 'Show tasks without keys too'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand workers" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand workers" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand workers" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand workers" -l tasks -d 'Show each task on a line of its own'
complete -c ckpt -n "__fish_ckpt_using_subcommand workers" -l lag -d 'Ask the brokers how far each task is behind'
complete -c ckpt -n "__fish_ckpt_using_subcommand workers" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand workers" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand workers" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand workers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l sample -d 'Read only one Nth of the objects, a different part each day' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l for -d 'Stop starting new reads after this time, such as `10m`; next time, start with the objects unread for longest' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l state -d 'The file where --for records when each object was read; must be outside the store' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l replica -d 'Also check a replica that the store does not know; can be repeated' -r -f -a "(__fish_complete_directories)"
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l metrics-file -d 'Write what was found as metrics to this file, for the textfile collector of Prometheus\'s node exporter' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -s v -l verbose -d 'List the leftovers of runs that were cut short one by one, instead of counting them'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l quick -d 'Check only that every object exists and has the right size'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l deep -d 'Also read every row: order, routing, counts and totals'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l repair -d 'Replace damaged files with good copies'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l dry-run -d 'With --repair: show what would be repaired, without repairing it'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l task -d 'Compare only keys of task N' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l key -d 'Compare only key K. A key of several fields is `--key path=/cart --key status=500` or `--key \'["/cart",500]\'`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l prefix -d 'Compare only keys that start with PREFIX; a key of several fields is a list such as `["/cart",500]`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -s n -l limit -d 'Show at most N keys, or tasks and partitions; 0 means all, and totals always cover all [default: all keys, 10 tasks and partitions]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l keys -d 'List every changed key with its old and new values, by task and key'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l stat -d 'Show how many keys changed in each task'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l to -d 'Write the state into the directory or URL DIR, and leave the store unchanged' -r -f -a "(__fish_complete_directories)"
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l format -d 'The format of the files' -r -f -a "parquet\t'One Parquet file per shard'
json\t'One JSON object per line; `jsonl` means the same'
csv\t'CSV with a header line'"
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l as -d 'What to write instead of the state' -r -f -a "output\t'The file that the job\'s output would be'"
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l seek -d 'Resume the input PARTITION at another position: `start`, `end`, a number of bytes, or `record:N`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l forget -d 'Let the input PARTITION go: the new checkpoint has no position in it' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l input-base -d 'With --seek: the directory of the job file, which input paths are relative to' -r -f -a "(__fish_complete_directories)"
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l dry-run -d 'Show what would be done, without doing it'
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-last -d 'Keep the newest N' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-hourly -d 'Keep the newest one of each of the last N hours that have any' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-daily -d 'Keep the newest one of each of the last N days that have any' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-weekly -d 'Keep the newest one of each of the last N weeks that have any' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-monthly -d 'Keep the newest one of each of the last N months that have any' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-within -d 'Keep those made at most DURATION before the newest, such as `36h` or `7d`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-bytes -d 'Keep the newest ones that together need at most SIZE bytes, such as `10GiB`' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l grace -d 'How long removed checkpoints can be brought back, and how old leftovers must be' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l keep-all -d 'Keep all checkpoints; remove only leftovers, and pruned checkpoints whose grace period is over'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l undo -d 'Bring back the checkpoints that the last prune removed'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l dry-run -d 'Show the plan without carrying it out'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -s y -l yes -d 'Do not ask for confirmation'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -l reason -d 'Why the checkpoint is pinned' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand pin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand unpin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l to -d 'The store to copy to' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l dry-run -d 'Show what would be copied, without copying'
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand copy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l max-age -d 'Exit with code 1 if the checkpoint is older than this, such as `1h`, or as far in the future' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l verified -d 'Read every byte, and print the newest intact checkpoint'
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand latest" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -s n -l limit -d 'Show only the newest N checkpoints; 0 means all, and totals always cover all' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -l metrics-file -d 'Write the totals as metrics to this file, for the textfile collector of Prometheus\'s node exporter' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -l totals -d 'Show only the totals'
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -f -a "inspect" -d 'Show what is in checkpoints of Samza'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -f -a "verify" -d 'Check that checkpoints of Samza are whole'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -f -a "diff" -d 'Show what differs between checkpoints of Samza'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -f -a "import" -d 'Make the first checkpoint of a job from a checkpoint of Samza'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and not __fish_seen_subcommand_from inspect verify diff import help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l task -d 'Show only this task' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l read-version -d 'With --properties and --state: the version to use where a task has both, as `task.checkpoint.read.versions` of the job says [default: 1]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -s n -l limit -d 'With --state: show at most N rows of each store of a task; 0 means all [default: 20]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l store -d 'The store, as `stores.NAME` in the properties of the job' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l key-serde -d 'How keys were written, as `stores.NAME.key.serde` of the job says: string, long, integer, json or bytes' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l value-serde -d 'How values were written, as `stores.NAME.msg.serde` of the job says' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l changelog -d 'Read changelogs from this dump, which `kcat -J` printed; may be repeated' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l brokers -d 'Read changelogs from these brokers, HOST:PORT or several with commas [default: those of the PATH]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l kafka-settings -d 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l properties -d 'Print the offsets as a Java properties file'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l state -d 'Show the keys and values of stores'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l rocksdb -d 'Read stores from their RocksDB directories below the PATH instead of their changelogs'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -l blobs -d 'A JSON file with the file of each blob id; relative paths start at its directory' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -l kafka-settings -d 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -l quick -d 'Check only that every blob exists and has the right size'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from diff" -l read-version -d 'The version to use where a task has both, as `task.checkpoint.read.versions` of the job says' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from diff" -l kafka-settings -d 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from diff" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from diff" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from diff" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from diff" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from diff" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from diff" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l job -d 'The job file' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l set -d 'Use VALUE instead of what the job file has for KEY; may be repeated' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l column -d 'Fill a column of the state from `value` or from a field such as `value.total`; may be repeated. The only column of a job gets a value that is a number without it' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l read-version -d 'The version of checkpoints to use, as `task.checkpoint.read.versions` of the job says; needed if the versions of a task differ' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l store -d 'The store, as `stores.NAME` in the properties of the job' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l key-serde -d 'How keys were written, as `stores.NAME.key.serde` of the job says: string, long, integer, json or bytes' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l value-serde -d 'How values were written, as `stores.NAME.msg.serde` of the job says' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l changelog -d 'Read changelogs from this dump, which `kcat -J` printed; may be repeated' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l brokers -d 'Read changelogs from these brokers, HOST:PORT or several with commas [default: those of the PATH]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l kafka-settings -d 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l rocksdb -d 'Read stores from their RocksDB directories below the PATH instead of their changelogs'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show what is in checkpoints of Samza'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Check that checkpoints of Samza are whole'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Show what differs between checkpoints of Samza'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from help" -f -a "import" -d 'Make the first checkpoint of a job from a checkpoint of Samza'
complete -c ckpt -n "__fish_ckpt_using_subcommand samza; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ckpt -n "__fish_ckpt_using_subcommand schema" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand schema" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand schema" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand schema" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand schema" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand schema" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -l color -d 'When to use color; `auto` means on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal'
always\t'Everywhere'
never\t'Nowhere'"
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -l cache -d 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]' -r -F
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -l cache-size -d 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]' -r
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -l json -d 'Print the answer as JSON'
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -s q -l quiet -d 'Print no notes and no progress; warnings and errors are still printed'
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -l utc -d 'Show and read times in UTC instead of the local time zone'
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "run" -d 'Run a job, or resume it from its latest checkpoint'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "init" -d 'Look at an input and write a job file for it'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "check" -d 'Show what `ckpt run` would do with a job, and whether it would start'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "checkpoint" -d 'Ask the running job for a checkpoint, and wait for it'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "list" -d 'List the checkpoints of a store, newest last'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "log" -d 'Show what happened to a job and its store, newest last'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "report" -d 'Write a page about a store, to look at or to attach to a ticket'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "inspect" -d 'Show what a checkpoint is, or what it holds'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "workers" -d 'Show which worker has which tasks, and how old their checkpoints are'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "verify" -d 'Check that checkpoints are intact'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "diff" -d 'Show what changed between two checkpoints'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "restore" -d 'Roll back to an older checkpoint, or export its state'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "prune" -d 'Remove checkpoints that no rule keeps, and leftovers of crashed runs'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "pin" -d 'Keep a checkpoint from being pruned'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "unpin" -d 'Remove the pin of a checkpoint'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "copy" -d 'Copy checkpoints to another store'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "latest" -d 'Print the path of the newest checkpoint, for scripts'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "stats" -d 'Show how much space a store uses, and what removing checkpoints would free'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "samza" -d 'Look at checkpoints of Apache Samza, or take them over'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "schema" -d 'Print the JSON Schema of job files, or of what a command prints with --json'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "completions" -d 'Print a completion script for a shell'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and not __fish_seen_subcommand_from run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza schema completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and __fish_seen_subcommand_from samza" -f -a "inspect" -d 'Show what is in checkpoints of Samza'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and __fish_seen_subcommand_from samza" -f -a "verify" -d 'Check that checkpoints of Samza are whole'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and __fish_seen_subcommand_from samza" -f -a "diff" -d 'Show what differs between checkpoints of Samza'
complete -c ckpt -n "__fish_ckpt_using_subcommand help; and __fish_seen_subcommand_from samza" -f -a "import" -d 'Make the first checkpoint of a job from a checkpoint of Samza'
complete -c ckpt -n "__fish_ckpt_using_subcommand schema" -f -a "job error version run init check checkpoint list log report inspect workers verify diff restore prune pin unpin copy latest stats samza"
complete -c ckpt -n "__fish_ckpt_using_subcommand completions" -f -a "bash elvish fish powershell zsh"
