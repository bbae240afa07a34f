
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'ckpt' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'ckpt'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'ckpt' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'With --version, also print the commit, the target, the features, and the formats')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Run a job, or resume it from its latest checkpoint')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Look at an input and write a job file for it')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Show what `ckpt run` would do with a job, and whether it would start')
            [CompletionResult]::new('checkpoint', 'checkpoint', [CompletionResultType]::ParameterValue, 'Ask the running job for a checkpoint, and wait for it')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the checkpoints of a store, newest last')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'Show what happened to a job and its store, newest last')
            [CompletionResult]::new('report', 'report', [CompletionResultType]::ParameterValue, 'Write a page about a store, to look at or to attach to a ticket')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what a checkpoint is, or what it holds')
            [CompletionResult]::new('workers', 'workers', [CompletionResultType]::ParameterValue, 'Show which worker has which tasks, and how old their checkpoints are')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Check that checkpoints are intact')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what changed between two checkpoints')
            [CompletionResult]::new('restore', 'restore', [CompletionResultType]::ParameterValue, 'Roll back to an older checkpoint, or export its state')
            [CompletionResult]::new('prune', 'prune', [CompletionResultType]::ParameterValue, 'Remove checkpoints that no rule keeps, and leftovers of crashed runs')
            [CompletionResult]::new('pin', 'pin', [CompletionResultType]::ParameterValue, 'Keep a checkpoint from being pruned')
            [CompletionResult]::new('unpin', 'unpin', [CompletionResultType]::ParameterValue, 'Remove the pin of a checkpoint')
            [CompletionResult]::new('copy', 'copy', [CompletionResultType]::ParameterValue, 'Copy checkpoints to another store')
            [CompletionResult]::new('latest', 'latest', [CompletionResultType]::ParameterValue, 'Print the path of the newest checkpoint, for scripts')
            [CompletionResult]::new('stats', 'stats', [CompletionResultType]::ParameterValue, 'Show how much space a store uses, and what removing checkpoints would free')
            [CompletionResult]::new('samza', 'samza', [CompletionResultType]::ParameterValue, 'Look at checkpoints of Apache Samza, or take them over')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Print the JSON Schema of job files, or of what a command prints with --json')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a completion script for a shell')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'ckpt;run' {
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Use VALUE instead of what the job file has for KEY, such as `checkpoint.schedule=1s`; may be repeated. Without a value, the key is left out')
            [CompletionResult]::new('--worker', '--worker', [CompletionResultType]::ParameterName, 'Be one of several workers that share the partitions of the job''s topic, under a name that no other has')
            [CompletionResult]::new('--assume-output', '--assume-output', [CompletionResultType]::ParameterName, 'If it is unknown whether the topic of the output has the messages of the latest checkpoint, assume that it has them, or send them, perhaps again')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'The number of threads that parse and apply records [default: the number of cores]')
            [CompletionResult]::new('--log', '--log', [CompletionResultType]::ParameterName, 'The format of events, warnings and errors on standard error')
            [CompletionResult]::new('--metrics', '--metrics', [CompletionResultType]::ParameterName, 'Serve metrics for Prometheus at http://ADDR/metrics, and whether the run is alive and ready at /livez and /readyz; ADDR is HOST:PORT, or a port on this machine')
            [CompletionResult]::new('--metrics-file', '--metrics-file', [CompletionResultType]::ParameterName, 'Write the metrics to this file, for the textfile collector of Prometheus''s node exporter: every 15 seconds, and at the end of the run')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--must-resume', '--must-resume', [CompletionResultType]::ParameterName, 'Fail if there is no checkpoint to resume from')
            [CompletionResult]::new('--latest-good', '--latest-good', [CompletionResultType]::ParameterName, 'If the latest checkpoint is damaged, resume from the newest intact one; report what is lost, and move away outputs that the skipped checkpoints published')
            [CompletionResult]::new('--leave', '--leave', [CompletionResultType]::ParameterName, 'Leave the group of workers at the end, so that others get the partitions at once')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;init' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'The job file to write, which must not exist; `-` means standard output [default: named after the first input]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'The job file to write, which must not exist; `-` means standard output [default: named after the first input]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'The format of the input, if the names of the files do not show it [default: from the names, or the first bytes]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;check' {
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Use VALUE instead of what the job file has for KEY, such as `checkpoint.schedule=1s`; may be repeated. Without a value, the key is left out')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;checkpoint' {
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'How long to wait for the answer, such as `30s`')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;list' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show only the newest N checkpoints; 0 means all')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show only the newest N checkpoints; 0 means all')
            [CompletionResult]::new('--replica', '--replica', [CompletionResultType]::ParameterName, 'Also use a replica that the store does not know; can be repeated')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'Show the newest first')
            [CompletionResult]::new('--reverse', '--reverse', [CompletionResultType]::ParameterName, 'Show the newest first')
            [CompletionResult]::new('--sizes', '--sizes', [CompletionResultType]::ParameterName, 'Show what each checkpoint shares, and what removing it would free')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;log' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show only the newest N entries; 0 means all')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show only the newest N entries; 0 means all')
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Show only entries since this time, such as `2026-11-22T14:00`, or since so long ago, such as `2h`')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--failed', '--failed', [CompletionResultType]::ParameterName, 'Show only attempts and runs that failed, and runs that were killed')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Keep printing what happens, until interrupted')
            [CompletionResult]::new('--follow', '--follow', [CompletionResultType]::ParameterName, 'Keep printing what happens, until interrupted')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;report' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'The file to write, which must not exist; `-` means standard output [default: JOB-report.html]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'The file to write, which must not exist; `-` means standard output [default: JOB-report.html]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Replace the file if it exists')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the file if it exists')
            [CompletionResult]::new('--quick', '--quick', [CompletionResultType]::ParameterName, 'Do not read the rows of the state: leave out the largest tasks and keys, and what changed')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Verify the store and its replicas, and show the findings')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;inspect' {
            [CompletionResult]::new('--task', '--task', [CompletionResultType]::ParameterName, 'Show only rows of task N')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Show only the row of key K, reading only its shard; exit with code 1 if there is no such key. A key of several fields is `--key path=/cart --key status=500` or `--key ''["/cart",500]''`')
            [CompletionResult]::new('--prefix', '--prefix', [CompletionResultType]::ParameterName, 'Show only rows whose key starts with PREFIX; a key of several fields is a list such as `["/cart",500]`')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show at most N rows or tasks; 0 means all')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show at most N rows or tasks; 0 means all')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Show the rows of the state by task and key, as stored: a mean is its sum and its count')
            [CompletionResult]::new('--tasks', '--tasks', [CompletionResultType]::ParameterName, 'Show each task that has keys, with its shard, keys, and bytes before encoding')
            [CompletionResult]::new('--positions', '--positions', [CompletionResultType]::ParameterName, 'Show how far each partition of the input was applied')
            [CompletionResult]::new('--objects', '--objects', [CompletionResultType]::ParameterName, 'Show the objects, and which of them the parent has too')
            [CompletionResult]::new('--job', '--job', [CompletionResultType]::ParameterName, 'Print the job file')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Show tasks without keys too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;workers' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--tasks', '--tasks', [CompletionResultType]::ParameterName, 'Show each task on a line of its own')
            [CompletionResult]::new('--lag', '--lag', [CompletionResultType]::ParameterName, 'Ask the brokers how far each task is behind')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;verify' {
            [CompletionResult]::new('--sample', '--sample', [CompletionResultType]::ParameterName, 'Read only one Nth of the objects, a different part each day')
            [CompletionResult]::new('--for', '--for', [CompletionResultType]::ParameterName, 'Stop starting new reads after this time, such as `10m`; next time, start with the objects unread for longest')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'The file where --for records when each object was read; must be outside the store')
            [CompletionResult]::new('--replica', '--replica', [CompletionResultType]::ParameterName, 'Also check a replica that the store does not know; can be repeated')
            [CompletionResult]::new('--metrics-file', '--metrics-file', [CompletionResultType]::ParameterName, 'Write what was found as metrics to this file, for the textfile collector of Prometheus''s node exporter')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'List the leftovers of runs that were cut short one by one, instead of counting them')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'List the leftovers of runs that were cut short one by one, instead of counting them')
            [CompletionResult]::new('--quick', '--quick', [CompletionResultType]::ParameterName, 'Check only that every object exists and has the right size')
            [CompletionResult]::new('--deep', '--deep', [CompletionResultType]::ParameterName, 'Also read every row: order, routing, counts and totals')
            [CompletionResult]::new('--repair', '--repair', [CompletionResultType]::ParameterName, 'Replace damaged files with good copies')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'With --repair: show what would be repaired, without repairing it')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;diff' {
            [CompletionResult]::new('--task', '--task', [CompletionResultType]::ParameterName, 'Compare only keys of task N')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Compare only key K. A key of several fields is `--key path=/cart --key status=500` or `--key ''["/cart",500]''`')
            [CompletionResult]::new('--prefix', '--prefix', [CompletionResultType]::ParameterName, 'Compare only keys that start with PREFIX; a key of several fields is a list such as `["/cart",500]`')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show at most N keys, or tasks and partitions; 0 means all, and totals always cover all [default: all keys, 10 tasks and partitions]')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show at most N keys, or tasks and partitions; 0 means all, and totals always cover all [default: all keys, 10 tasks and partitions]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--keys', '--keys', [CompletionResultType]::ParameterName, 'List every changed key with its old and new values, by task and key')
            [CompletionResult]::new('--stat', '--stat', [CompletionResultType]::ParameterName, 'Show how many keys changed in each task')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;restore' {
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'Write the state into the directory or URL DIR, and leave the store unchanged')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'The format of the files')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'What to write instead of the state')
            [CompletionResult]::new('--seek', '--seek', [CompletionResultType]::ParameterName, 'Resume the input PARTITION at another position: `start`, `end`, a number of bytes, or `record:N`')
            [CompletionResult]::new('--forget', '--forget', [CompletionResultType]::ParameterName, 'Let the input PARTITION go: the new checkpoint has no position in it')
            [CompletionResult]::new('--input-base', '--input-base', [CompletionResultType]::ParameterName, 'With --seek: the directory of the job file, which input paths are relative to')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would be done, without doing it')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;prune' {
            [CompletionResult]::new('--keep-last', '--keep-last', [CompletionResultType]::ParameterName, 'Keep the newest N')
            [CompletionResult]::new('--keep-hourly', '--keep-hourly', [CompletionResultType]::ParameterName, 'Keep the newest one of each of the last N hours that have any')
            [CompletionResult]::new('--keep-daily', '--keep-daily', [CompletionResultType]::ParameterName, 'Keep the newest one of each of the last N days that have any')
            [CompletionResult]::new('--keep-weekly', '--keep-weekly', [CompletionResultType]::ParameterName, 'Keep the newest one of each of the last N weeks that have any')
            [CompletionResult]::new('--keep-monthly', '--keep-monthly', [CompletionResultType]::ParameterName, 'Keep the newest one of each of the last N months that have any')
            [CompletionResult]::new('--keep-within', '--keep-within', [CompletionResultType]::ParameterName, 'Keep those made at most DURATION before the newest, such as `36h` or `7d`')
            [CompletionResult]::new('--keep-bytes', '--keep-bytes', [CompletionResultType]::ParameterName, 'Keep the newest ones that together need at most SIZE bytes, such as `10GiB`')
            [CompletionResult]::new('--grace', '--grace', [CompletionResultType]::ParameterName, 'How long removed checkpoints can be brought back, and how old leftovers must be')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--keep-all', '--keep-all', [CompletionResultType]::ParameterName, 'Keep all checkpoints; remove only leftovers, and pruned checkpoints whose grace period is over')
            [CompletionResult]::new('--undo', '--undo', [CompletionResultType]::ParameterName, 'Bring back the checkpoints that the last prune removed')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show the plan without carrying it out')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask for confirmation')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask for confirmation')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;pin' {
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why the checkpoint is pinned')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;unpin' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;copy' {
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'The store to copy to')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would be copied, without copying')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;latest' {
            [CompletionResult]::new('--max-age', '--max-age', [CompletionResultType]::ParameterName, 'Exit with code 1 if the checkpoint is older than this, such as `1h`, or as far in the future')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--verified', '--verified', [CompletionResultType]::ParameterName, 'Read every byte, and print the newest intact checkpoint')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;stats' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show only the newest N checkpoints; 0 means all, and totals always cover all')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show only the newest N checkpoints; 0 means all, and totals always cover all')
            [CompletionResult]::new('--metrics-file', '--metrics-file', [CompletionResultType]::ParameterName, 'Write the totals as metrics to this file, for the textfile collector of Prometheus''s node exporter')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--totals', '--totals', [CompletionResultType]::ParameterName, 'Show only the totals')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;samza' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what is in checkpoints of Samza')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Check that checkpoints of Samza are whole')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what differs between checkpoints of Samza')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Make the first checkpoint of a job from a checkpoint of Samza')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'ckpt;samza;inspect' {
            [CompletionResult]::new('--task', '--task', [CompletionResultType]::ParameterName, 'Show only this task')
            [CompletionResult]::new('--read-version', '--read-version', [CompletionResultType]::ParameterName, 'With --properties and --state: the version to use where a task has both, as `task.checkpoint.read.versions` of the job says [default: 1]')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'With --state: show at most N rows of each store of a task; 0 means all [default: 20]')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'With --state: show at most N rows of each store of a task; 0 means all [default: 20]')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'The store, as `stores.NAME` in the properties of the job')
            [CompletionResult]::new('--key-serde', '--key-serde', [CompletionResultType]::ParameterName, 'How keys were written, as `stores.NAME.key.serde` of the job says: string, long, integer, json or bytes')
            [CompletionResult]::new('--value-serde', '--value-serde', [CompletionResultType]::ParameterName, 'How values were written, as `stores.NAME.msg.serde` of the job says')
            [CompletionResult]::new('--changelog', '--changelog', [CompletionResultType]::ParameterName, 'Read changelogs from this dump, which `kcat -J` printed; may be repeated')
            [CompletionResult]::new('--brokers', '--brokers', [CompletionResultType]::ParameterName, 'Read changelogs from these brokers, HOST:PORT or several with commas [default: those of the PATH]')
            [CompletionResult]::new('--kafka-settings', '--kafka-settings', [CompletionResultType]::ParameterName, 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--properties', '--properties', [CompletionResultType]::ParameterName, 'Print the offsets as a Java properties file')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Show the keys and values of stores')
            [CompletionResult]::new('--rocksdb', '--rocksdb', [CompletionResultType]::ParameterName, 'Read stores from their RocksDB directories below the PATH instead of their changelogs')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;samza;verify' {
            [CompletionResult]::new('--blobs', '--blobs', [CompletionResultType]::ParameterName, 'A JSON file with the file of each blob id; relative paths start at its directory')
            [CompletionResult]::new('--kafka-settings', '--kafka-settings', [CompletionResultType]::ParameterName, 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--quick', '--quick', [CompletionResultType]::ParameterName, 'Check only that every blob exists and has the right size')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;samza;diff' {
            [CompletionResult]::new('--read-version', '--read-version', [CompletionResultType]::ParameterName, 'The version to use where a task has both, as `task.checkpoint.read.versions` of the job says')
            [CompletionResult]::new('--kafka-settings', '--kafka-settings', [CompletionResultType]::ParameterName, 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;samza;import' {
            [CompletionResult]::new('--job', '--job', [CompletionResultType]::ParameterName, 'The job file')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Use VALUE instead of what the job file has for KEY; may be repeated')
            [CompletionResult]::new('--column', '--column', [CompletionResultType]::ParameterName, 'Fill a column of the state from `value` or from a field such as `value.total`; may be repeated. The only column of a job gets a value that is a number without it')
            [CompletionResult]::new('--read-version', '--read-version', [CompletionResultType]::ParameterName, 'The version of checkpoints to use, as `task.checkpoint.read.versions` of the job says; needed if the versions of a task differ')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'The store, as `stores.NAME` in the properties of the job')
            [CompletionResult]::new('--key-serde', '--key-serde', [CompletionResultType]::ParameterName, 'How keys were written, as `stores.NAME.key.serde` of the job says: string, long, integer, json or bytes')
            [CompletionResult]::new('--value-serde', '--value-serde', [CompletionResultType]::ParameterName, 'How values were written, as `stores.NAME.msg.serde` of the job says')
            [CompletionResult]::new('--changelog', '--changelog', [CompletionResultType]::ParameterName, 'Read changelogs from this dump, which `kcat -J` printed; may be repeated')
            [CompletionResult]::new('--brokers', '--brokers', [CompletionResultType]::ParameterName, 'Read changelogs from these brokers, HOST:PORT or several with commas [default: those of the PATH]')
            [CompletionResult]::new('--kafka-settings', '--kafka-settings', [CompletionResultType]::ParameterName, 'A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--rocksdb', '--rocksdb', [CompletionResultType]::ParameterName, 'Read stores from their RocksDB directories below the PATH instead of their changelogs')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;samza;help' {
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what is in checkpoints of Samza')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Check that checkpoints of Samza are whole')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what differs between checkpoints of Samza')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Make the first checkpoint of a job from a checkpoint of Samza')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'ckpt;samza;help;inspect' {
            break
        }
        'ckpt;samza;help;verify' {
            break
        }
        'ckpt;samza;help;diff' {
            break
        }
        'ckpt;samza;help;import' {
            break
        }
        'ckpt;samza;help;help' {
            break
        }
        'ckpt;schema' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;completions' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` means on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]')
            [CompletionResult]::new('--cache-size', '--cache-size', [CompletionResultType]::ParameterName, 'The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors are still printed')
            [CompletionResult]::new('--utc', '--utc', [CompletionResultType]::ParameterName, 'Show and read times in UTC instead of the local time zone')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;help' {
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Run a job, or resume it from its latest checkpoint')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Look at an input and write a job file for it')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Show what `ckpt run` would do with a job, and whether it would start')
            [CompletionResult]::new('checkpoint', 'checkpoint', [CompletionResultType]::ParameterValue, 'Ask the running job for a checkpoint, and wait for it')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the checkpoints of a store, newest last')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'Show what happened to a job and its store, newest last')
            [CompletionResult]::new('report', 'report', [CompletionResultType]::ParameterValue, 'Write a page about a store, to look at or to attach to a ticket')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what a checkpoint is, or what it holds')
            [CompletionResult]::new('workers', 'workers', [CompletionResultType]::ParameterValue, 'Show which worker has which tasks, and how old their checkpoints are')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Check that checkpoints are intact')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what changed between two checkpoints')
            [CompletionResult]::new('restore', 'restore', [CompletionResultType]::ParameterValue, 'Roll back to an older checkpoint, or export its state')
            [CompletionResult]::new('prune', 'prune', [CompletionResultType]::ParameterValue, 'Remove checkpoints that no rule keeps, and leftovers of crashed runs')
            [CompletionResult]::new('pin', 'pin', [CompletionResultType]::ParameterValue, 'Keep a checkpoint from being pruned')
            [CompletionResult]::new('unpin', 'unpin', [CompletionResultType]::ParameterValue, 'Remove the pin of a checkpoint')
            [CompletionResult]::new('copy', 'copy', [CompletionResultType]::ParameterValue, 'Copy checkpoints to another store')
            [CompletionResult]::new('latest', 'latest', [CompletionResultType]::ParameterValue, 'Print the path of the newest checkpoint, for scripts')
            [CompletionResult]::new('stats', 'stats', [CompletionResultType]::ParameterValue, 'Show how much space a store uses, and what removing checkpoints would free')
            [CompletionResult]::new('samza', 'samza', [CompletionResultType]::ParameterValue, 'Look at checkpoints of Apache Samza, or take them over')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Print the JSON Schema of job files, or of what a command prints with --json')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a completion script for a shell')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'ckpt;help;run' {
            break
        }
        'ckpt;help;init' {
            break
        }
        'ckpt;help;check' {
            break
        }
        'ckpt;help;checkpoint' {
            break
        }
        'ckpt;help;list' {
            break
        }
        'ckpt;help;log' {
            break
        }
        'ckpt;help;report' {
            break
        }
        'ckpt;help;inspect' {
            break
        }
        'ckpt;help;workers' {
            break
        }
        'ckpt;help;verify' {
            break
        }
        'ckpt;help;diff' {
            break
        }
        'ckpt;help;restore' {
            break
        }
        'ckpt;help;prune' {
            break
        }
        'ckpt;help;pin' {
            break
        }
        'ckpt;help;unpin' {
            break
        }
        'ckpt;help;copy' {
            break
        }
        'ckpt;help;latest' {
            break
        }
        'ckpt;help;stats' {
            break
        }
        'ckpt;help;samza' {
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what is in checkpoints of Samza')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Check that checkpoints of Samza are whole')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what differs between checkpoints of Samza')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Make the first checkpoint of a job from a checkpoint of Samza')
            break
        }
        'ckpt;help;samza;inspect' {
            break
        }
        'ckpt;help;samza;verify' {
            break
        }
        'ckpt;help;samza;diff' {
            break
        }
        'ckpt;help;samza;import' {
            break
        }
        'ckpt;help;schema' {
            break
        }
        'ckpt;help;completions' {
            break
        }
        'ckpt;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
