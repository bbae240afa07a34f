
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
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Run a job, or go on with it from its latest checkpoint')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Say what `ckpt run` would do with a job, and whether it would start')
            [CompletionResult]::new('checkpoint', 'checkpoint', [CompletionResultType]::ParameterValue, 'Ask the running job for a checkpoint, and wait for it')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the checkpoints of a store, the newest last')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'Show what happened to a store, the newest last')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what a checkpoint is, or what it holds')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Prove that checkpoints are what was committed')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what changed between two checkpoints')
            [CompletionResult]::new('restore', 'restore', [CompletionResultType]::ParameterValue, 'Put the content of an old checkpoint back, or write it out')
            [CompletionResult]::new('prune', 'prune', [CompletionResultType]::ParameterValue, 'Remove checkpoints that no rule keeps, and what crashed runs left behind')
            [CompletionResult]::new('pin', 'pin', [CompletionResultType]::ParameterValue, 'Keep a checkpoint from being pruned')
            [CompletionResult]::new('unpin', 'unpin', [CompletionResultType]::ParameterValue, 'Take the pin of a checkpoint away')
            [CompletionResult]::new('copy', 'copy', [CompletionResultType]::ParameterValue, 'Copy checkpoints to another store')
            [CompletionResult]::new('latest', 'latest', [CompletionResultType]::ParameterValue, 'Print the path of the newest checkpoint, for scripts')
            [CompletionResult]::new('stats', 'stats', [CompletionResultType]::ParameterValue, 'Show what a store takes, and what removing checkpoints would free')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'ckpt;run' {
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads that parse and apply records [default: the number of cores]')
            [CompletionResult]::new('--log', '--log', [CompletionResultType]::ParameterName, 'How events, warnings and errors are written to standard error: for people, or a JSON object a line')
            [CompletionResult]::new('--metrics', '--metrics', [CompletionResultType]::ParameterName, 'Serve metrics for Prometheus at http://ADDR/metrics while the run goes on: HOST:PORT, or a port of this machine alone')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--must-resume', '--must-resume', [CompletionResultType]::ParameterName, 'Fail when there is no checkpoint to go on from')
            [CompletionResult]::new('--latest-good', '--latest-good', [CompletionResultType]::ParameterName, 'When the latest checkpoint is damaged, go back to the newest that is intact: say what that loses, and move an output aside that a checkpoint has published which is left behind')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;check' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;checkpoint' {
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'How long to wait for the answer: `30s`, `5m`')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;list' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show only the newest N')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show only the newest N')
            [CompletionResult]::new('--replica', '--replica', [CompletionResultType]::ParameterName, 'A replica that the store does not know; may be repeated')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'Show the newest first')
            [CompletionResult]::new('--reverse', '--reverse', [CompletionResultType]::ParameterName, 'Show the newest first')
            [CompletionResult]::new('--sizes', '--sizes', [CompletionResultType]::ParameterName, 'Show what each shares, and what removing it would free')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;log' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show only the newest N')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show only the newest N')
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Show only what happened since: `2026-11-22T14:00`, `2h ago`')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--failed', '--failed', [CompletionResultType]::ParameterName, 'Show only attempts that failed')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;inspect' {
            [CompletionResult]::new('--task', '--task', [CompletionResultType]::ParameterName, 'Show only rows of task N')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Show only the row of key K, and end with exit code 1 when there is none; no more of the state is read than its shard')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show at most N rows or tasks; 0 means all')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show at most N rows or tasks; 0 means all')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Show rows of the state, in the order of task and key, as they are stored: a mean is its sum and its count')
            [CompletionResult]::new('--tasks', '--tasks', [CompletionResultType]::ParameterName, 'Show each task that holds keys, with its shard, keys and bytes before encoding')
            [CompletionResult]::new('--positions', '--positions', [CompletionResultType]::ParameterName, 'Show how far each partition of the input was applied')
            [CompletionResult]::new('--objects', '--objects', [CompletionResultType]::ParameterName, 'Show the objects and which of them the parent has too')
            [CompletionResult]::new('--job', '--job', [CompletionResultType]::ParameterName, 'Print the job file that wrote it')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Show tasks without keys too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;verify' {
            [CompletionResult]::new('--sample', '--sample', [CompletionResultType]::ParameterName, 'Read only one Nth of the objects, another each day')
            [CompletionResult]::new('--for', '--for', [CompletionResultType]::ParameterName, 'Begin to read no more objects after this time (`10m`); the next time goes on with what was not read for longest')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Where --for keeps when each object was read: a file outside the store')
            [CompletionResult]::new('--replica', '--replica', [CompletionResultType]::ParameterName, 'A replica that the store does not know; may be repeated')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--quick', '--quick', [CompletionResultType]::ParameterName, 'Look only whether every object is there with its size; read no state')
            [CompletionResult]::new('--deep', '--deep', [CompletionResultType]::ParameterName, 'Read every row too: order, routing, counts and totals')
            [CompletionResult]::new('--repair', '--repair', [CompletionResultType]::ParameterName, 'Heal what a good copy can heal')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'With --repair: say what would be healed, and do nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;diff' {
            [CompletionResult]::new('--task', '--task', [CompletionResultType]::ParameterName, 'Compare only keys of task N')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Compare only keys that begin with PREFIX')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show at most N keys, or tasks and partitions; the totals are of all. 0 means all [default: 10 tasks and partitions, all keys]')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show at most N keys, or tasks and partitions; the totals are of all. 0 means all [default: 10 tasks and partitions, all keys]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--keys', '--keys', [CompletionResultType]::ParameterName, 'List every key that changed with its old and new values, in the order of task and key')
            [CompletionResult]::new('--stat', '--stat', [CompletionResultType]::ParameterName, 'Show how many keys changed in each task')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;restore' {
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'Write the state into the directory DIR, and leave the store as it is')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What to write')
            [CompletionResult]::new('--seek', '--seek', [CompletionResultType]::ParameterName, 'Go on at another position of the input PARTITION: `start`, `end`, a number of bytes, or `record:N`')
            [CompletionResult]::new('--input-base', '--input-base', [CompletionResultType]::ParameterName, 'The directory that the job''s input paths are relative to: that of the job file')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and do nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;prune' {
            [CompletionResult]::new('--keep-last', '--keep-last', [CompletionResultType]::ParameterName, 'Keep the newest N')
            [CompletionResult]::new('--keep-hourly', '--keep-hourly', [CompletionResultType]::ParameterName, 'Keep the newest of each of the last N hours that have any')
            [CompletionResult]::new('--keep-daily', '--keep-daily', [CompletionResultType]::ParameterName, 'Keep the newest of each of the last N days that have any')
            [CompletionResult]::new('--keep-weekly', '--keep-weekly', [CompletionResultType]::ParameterName, 'Keep the newest of each of the last N weeks that have any')
            [CompletionResult]::new('--keep-monthly', '--keep-monthly', [CompletionResultType]::ParameterName, 'Keep the newest of each of the last N months that have any')
            [CompletionResult]::new('--keep-within', '--keep-within', [CompletionResultType]::ParameterName, 'Keep those that are at most so much older than the newest, as in `36h` or `7d`')
            [CompletionResult]::new('--keep-bytes', '--keep-bytes', [CompletionResultType]::ParameterName, 'Keep the newest, as long as all that they need has at most so many bytes, as in `10GiB`')
            [CompletionResult]::new('--grace', '--grace', [CompletionResultType]::ParameterName, 'How long what is removed can be brought back, and how old leftovers have to be')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--keep-all', '--keep-all', [CompletionResultType]::ParameterName, 'Keep every checkpoint: remove only leftovers, and what was pruned before the grace time')
            [CompletionResult]::new('--undo', '--undo', [CompletionResultType]::ParameterName, 'Bring back what the last prune removed')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would be done, and do nothing')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do it without asking')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do it without asking')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;pin' {
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why, for whoever finds the pin')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;unpin' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;copy' {
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'The directory of the store to copy to')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be copied, and copy nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;latest' {
            [CompletionResult]::new('--max-age', '--max-age', [CompletionResultType]::ParameterName, 'End with exit code 1 when the checkpoint is older than this: `1h`, `90m`')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--verified', '--verified', [CompletionResultType]::ParameterName, 'Read every byte, and go back to the newest checkpoint that is intact')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;stats' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show only the newest N checkpoints; the totals are of all')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show only the newest N checkpoints; the totals are of all')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;completions' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; `auto` is on a terminal, unless NO_COLOR is set')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the answer as JSON, for programs')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no notes and no progress; warnings and errors stay')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ckpt;help' {
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Run a job, or go on with it from its latest checkpoint')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Say what `ckpt run` would do with a job, and whether it would start')
            [CompletionResult]::new('checkpoint', 'checkpoint', [CompletionResultType]::ParameterValue, 'Ask the running job for a checkpoint, and wait for it')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the checkpoints of a store, the newest last')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'Show what happened to a store, the newest last')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what a checkpoint is, or what it holds')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Prove that checkpoints are what was committed')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what changed between two checkpoints')
            [CompletionResult]::new('restore', 'restore', [CompletionResultType]::ParameterValue, 'Put the content of an old checkpoint back, or write it out')
            [CompletionResult]::new('prune', 'prune', [CompletionResultType]::ParameterValue, 'Remove checkpoints that no rule keeps, and what crashed runs left behind')
            [CompletionResult]::new('pin', 'pin', [CompletionResultType]::ParameterValue, 'Keep a checkpoint from being pruned')
            [CompletionResult]::new('unpin', 'unpin', [CompletionResultType]::ParameterValue, 'Take the pin of a checkpoint away')
            [CompletionResult]::new('copy', 'copy', [CompletionResultType]::ParameterValue, 'Copy checkpoints to another store')
            [CompletionResult]::new('latest', 'latest', [CompletionResultType]::ParameterValue, 'Print the path of the newest checkpoint, for scripts')
            [CompletionResult]::new('stats', 'stats', [CompletionResultType]::ParameterValue, 'Show what a store takes, and what removing checkpoints would free')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'ckpt;help;run' {
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
        'ckpt;help;inspect' {
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
