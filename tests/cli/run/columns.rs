//! Programs that declare the columns of their state and of their rows.

use std::collections::BTreeMap;
use std::fs;

use super::{checkpoints, files, kill_slow_runs};
use crate::support::Env;

/// The table of the module's documentation, and a row for each record of `b`.
const JOB: &str = "import os, time
from decimal import Decimal
from samza import SamzaJob

class Spending(SamzaJob):
    columns = {'clicks': int, 'spent': Decimal, 'last': str, 'vip': bool, 'pages': object}
    output_columns = {'user': str, 'spent': Decimal, 'page': int}

    def setup(self):
        self.configs['key'] = 'k'
        self.configs['tasks'] = 8
        self.configs['checkpoint'] = {'schedule': '100ms', 'store': 's'}
        self.configs['output'] = {'files': 'out/', 'format': 'csv', 'emit': 'rows'}

    def process(self, data):
        if os.environ.get('SLOW') and data['n'] % 50 == 0:
            time.sleep(0.01)
        empty = {'pages': [], 'clicks': 0, 'spent': Decimal(0), 'last': None, 'vip': None}
        row = self.state.setdefault(data['k'], empty)
        row['clicks'] += 1
        row['spent'] += Decimal(data['n']) / 4
        row['last'] = None if data['n'] % 3 == 0 else 'page %d' % data['n']
        row['vip'] = row['clicks'] > 5
        row['pages'] = [data['n'] / 8, list(row)]
        if data['k'] == 'k1':
            self.emit({'user': data['k'], 'spent': row['spent'], 'page': data['n']})
        if data['k'] == 'k2' and row['clicks'] % 2 == 0:
            del self.state[data['k']]
            self.emit({'user': data['k']})

if __name__ == '__main__':
    Spending().run()
";

fn job(env: &Env, output: &str) {
    let rows = "{'files': 'out/', 'format': 'csv', 'emit': 'rows'}";
    let text = JOB.replace(rows, output);
    // The columns of emitted rows belong to `emit: rows`.
    let state_only = text.replace("    output_columns =", "    other =").replace("self.emit(", "str(");
    env.write("job.py", if output == rows { text } else { state_only });
}

fn records(env: &Env, count: usize) {
    env.write("data.jsonl", (0..count).map(|n| format!("{{\"k\":\"k{}\",\"n\":{n}}}\n", n % 7)).collect::<String>());
}

/// Returns what Python computes by itself: the lines of the state without their tasks, sorted.
fn expected(count: usize) -> Vec<String> {
    let mut rows: BTreeMap<usize, (usize, usize, usize)> = BTreeMap::new();
    for n in 0..count {
        let row = rows.entry(n % 7).or_default();
        *row = (row.0 + 1, row.1 + n, n);
        if n % 7 == 2 && row.0 == 2 {
            rows.remove(&2);
        }
    }
    let quarters = |sum: usize| format!("{}{}", sum / 4, ["", ".25", ".5", ".75"][sum % 4]);
    let eighths = |n: usize| format!("{}", n as f64 / 8.0) + if n.is_multiple_of(8) { ".0" } else { "" };
    let line = |(k, (clicks, sum, n)): (usize, (usize, usize, usize))| {
        let last = if n % 3 == 0 { String::new() } else { format!("page {n}") };
        let pages = r#"[""clicks"",""spent"",""last"",""vip"",""pages""]"#;
        format!("k{k},{clicks},{},{last},{},\"[{},{pages}]\"", quarters(sum), clicks > 5, eighths(n))
    };
    rows.into_iter().map(line).collect()
}

/// Returns the lines of a CSV file without the header and the column `task`.
fn rows_of(csv: &str) -> Vec<String> {
    assert_eq!(csv.lines().next(), Some("task,key,clicks,spent,last,vip,pages"));
    csv.lines().skip(1).map(|line| line.split_once(',').expect("a task").1.to_owned()).collect()
}

#[test]
fn the_state_of_a_killed_program_is_output_with_its_columns() {
    let mut env = Env::new();
    job(&env, "{'files': 'out/', 'format': 'csv', 'emit': 'final'}");
    records(&env, 10_000);
    kill_slow_runs(&mut env, &["run", "job.py", "data.jsonl", "--threads", "2"]);
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    assert_eq!(rows_of(&env.read("out/job.csv")), expected(10_000));
    let inspected = env.run(&["inspect", "s", "--state", "--limit", "0", "--json"]).expect(0).stdout;
    assert!(inspected.contains(r#""clicks":1429,"#), "{inspected}");
    env.run(&["verify", "s", "--deep"]).expect(0);
    env.run(&["restore", "s", "--to", "export", "--format", "csv"]).expect(0);
    let mut exported = rows_of(&env.read("export/state.csv"));
    exported.sort();
    assert_eq!(exported, expected(10_000));
    // Nothing changes if the job runs again, and other columns do not fit.
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    assert_eq!(rows_of(&env.read("out/job.csv")), expected(10_000));
    env.write("job.py", env.read("job.py").replace("'vip': bool", "'vip': object"));
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(2);
    let reason =
        "the columns of the program's state were clicks int, spent number, last text, vip bool, pages json, are now";
    assert!(output.stderr.contains(reason), "{output}");
}

#[test]
fn changes_of_a_program_add_up_to_its_state() {
    let mut env = Env::new();
    job(&env, "{'files': 'out/', 'format': 'csv', 'emit': 'changes'}");
    for count in [3_000, 3_001, 10_000] {
        records(&env, count);
        kill_slow_runs(&mut env, &["run", "job.py", "data.jsonl", "--threads", "2"]);
        env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    }
    let mut state: BTreeMap<String, String> = BTreeMap::new();
    for file in files(&env.path("out")) {
        let csv = fs::read_to_string(env.path("out").join(file)).expect("readable");
        assert_eq!(csv.lines().next(), Some("op,task,key,clicks,spent,last,vip,pages"));
        for line in csv.lines().skip(1) {
            let [op, _, row] = line.splitn(3, ',').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let key = row.split(',').next().expect("a key").to_owned();
            let before = if op == "delete" { state.remove(&key) } else { state.insert(key, row.to_owned()) };
            assert_eq!(before.is_some(), op != "insert", "{line}");
        }
    }
    assert_eq!(state.into_values().collect::<Vec<_>>(), expected(10_000));
}

#[test]
fn emitted_rows_have_the_columns_of_the_output() {
    let mut env = Env::new();
    env.write("job.py", JOB);
    records(&env, 2_000);
    kill_slow_runs(&mut env, &["run", "job.py", "data.jsonl", "--threads", "2"]);
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    let mut rows = Vec::new();
    for file in files(&env.path("out")) {
        let csv = fs::read_to_string(env.path("out").join(file)).expect("readable");
        let mut lines = csv.lines();
        assert_eq!(lines.next(), Some("user,spent,page"));
        rows.extend(lines.map(str::to_owned));
    }
    let of = |user: &str| rows.iter().filter(|row| row.starts_with(user)).cloned().collect::<Vec<_>>();
    let (mut sum, mut expected) = (0, Vec::new());
    for n in (1..2_000).step_by(7) {
        sum += n;
        expected.push(format!("k1,{}{},{n}", sum / 4, ["", ".25", ".5", ".75"][sum % 4]));
    }
    assert_eq!((of("k1"), of("k2")), (expected, vec!["k2,,".to_owned(); 143]));
    assert_eq!(rows.len(), of("k1").len() + of("k2").len());
}

#[test]
fn parquet_and_sql_have_the_types_of_the_columns() {
    let env = Env::new();
    if env.shell("python3 -c 'import duckdb'").status != 0 {
        assert!(std::env::var_os("CKPT_REQUIRE_READER").is_none(), "`python3 -c 'import duckdb'` fails");
        return;
    }
    job(&env, "{'files': 'out/', 'format': 'parquet', 'emit': 'final'}");
    records(&env, 100);
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    let query = "import duckdb, glob
for table in ['out/job.parquet', *glob.glob('s/objects/**/*.parquet', recursive=True)]:
    if 'clicks' not in duckdb.sql(f\"SELECT * FROM '{table}'\").columns:
        continue
    relation = duckdb.sql(f\"SELECT key, clicks, spent, last, vip, pages FROM '{table}' ORDER BY key LIMIT 2\")
    print([str(kind) for kind in relation.types], relation.fetchall())
";
    env.write("query.py", query);
    let output = env.shell("python3 query.py").expect(0);
    let kinds = "['VARCHAR', 'BIGINT', 'DECIMAL(38,18)', 'VARCHAR', 'BOOLEAN', ";
    assert!(output.stdout.lines().count() > 1 && output.stdout.lines().all(|line| line.starts_with(kinds)), "{output}");
    assert!(output.stdout.contains("('k0', 15, Decimal('183.750000000000000000'), 'page 98', True, "), "{output}");
}

#[test]
fn what_does_not_fit_the_columns_is_refused_with_its_line() {
    let env = Env::new();
    records(&env, 10);
    for (body, expected) in [
        ("self.state['x'] = 1", "the state of key 'x' must be a dictionary with the columns n, d, found int"),
        ("self.state['x'] = {'n': 1}", "the state of key 'x' lacks the column 'd'; a value may be None"),
        (
            "self.state['x'] = {'n': 1, 'd': None, 'e': 1}",
            "the state of key 'x' has 'e', which is not one of its columns",
        ),
        ("self.emit({'m': 1, 'o': 2})", "the row has 'o', which is not one of its columns: m"),
        ("self.emit({'m': 'text'})", "it emitted a value whose column `m` is not an integer of 64 bits: `\"text\"`"),
    ] {
        write_small(&env, body);
        let output = env.run(&["run", "job.py", "data.jsonl"]).expect(4);
        assert!(output.stderr.contains(expected), "{body}\n{output}");
        let has_line = output.stderr.contains("line 10, in process");
        assert_eq!(has_line, !expected.starts_with("it emitted"), "{output}");
    }
    for (value, expected) in [
        ("{'n': '1', 'd': None}", "the column 'n' of the state of key 'x' must be int, found str: '1'"),
        ("{'n': True, 'd': None}", "the column 'n' of the state of key 'x' must be int, found bool: True"),
        (
            "{'n': 2 ** 63, 'd': None}",
            "it handed over a value whose column `n` is not an integer of 64 bits: `9223372036854775808`",
        ),
        ("{'n': 1, 'd': 1.5}", "the column 'd' of the state of key 'x' must be Decimal, found float: 1.5"),
        ("{'n': 1, 'd': Decimal('1e-19')}", "it handed over a value whose column `d` is not a number below 10^20"),
        ("{'n': 1, 'd': Decimal('nan')}", "the column 'd' of the state of key 'x' must be a number, found NaN"),
    ] {
        write_small(&env, &format!("self.state['x'] = {value}"));
        let output = env.run(&["run", "job.py", "data.jsonl"]).expect(4);
        assert!(output.stderr.contains(expected), "{value}\n{output}");
        assert_eq!(checkpoints(&env.path("checkpoints/job")), [0; 0]);
    }
    write_small(&env, "pass");
    env.write("job.py", env.read("job.py").replace("'n': int", "'n': float"));
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(2);
    assert!(output.stderr.contains("columns['n'] cannot be float, which is not exact"), "{output}");
}

fn write_small(env: &Env, body: &str) {
    env.write(
        "job.py",
        format!(
            "from decimal import Decimal\nfrom samza import SamzaJob\n\nclass Job(SamzaJob):\n    columns = {{'n': int, 'd': Decimal}}\n    \
             output_columns = {{'m': int}}\n    def setup(self):\n        self.configs['output'] = 'out/'\n    \
             def process(self, data):\n        {body}\n\nif __name__ == '__main__':\n    Job().run()\n"
        ),
    );
    let _ = fs::remove_dir_all(env.path("checkpoints"));
}
