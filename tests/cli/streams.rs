//! Standard output and standard error: closed, full, a terminal or not.

use crate::support::Env;

#[test]
fn a_closed_pipe_ends_the_program_quietly_with_the_code_it_would_have_had() {
    // `sleep` gives the reader time to close before the first word.
    for line in ["completions bash", "--help", "completions zsh --json"] {
        let output = Env::new().shell(&format!("{{ sleep 0.2; ckpt {line}; echo $? >status; }} | true; cat status"));
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("0\n", ""), "{line}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    for line in ["completions bash", "--version"] {
        let output = Env::new().shell(&format!("ckpt {line} >/dev/full")).expect(4);
        assert!(output.stderr.starts_with("error: cannot write to standard output\n  caused by: "), "{output}");
    }
}

#[test]
fn closed_streams_cause_no_failure_or_panic() {
    let env = Env::new();
    env.shell("ckpt completions bash >&-").expect(0);
    env.shell("ckpt no-such-verb 2>&-").expect(2);
    env.shell("ckpt completions bash <&- >/dev/null 2>&-").expect(0);
}

#[test]
fn color_is_for_terminals_and_on_request() {
    let mut env = Env::new();
    let red = "\u{1b}[1;31merror:\u{1b}[0m ";
    assert!(env.run_on_terminal(&["x"]).text.starts_with(red));
    assert!(env.run(&["x"]).stderr.starts_with("error: "));
    assert!(env.run(&["--color=always", "x"]).stderr.starts_with(red));
    assert!(env.run_on_terminal(&["--color", "never", "x"]).text.starts_with("error: "));
    assert!(env.run_on_terminal(&["--help"]).text.contains('\u{1b}'));
    assert!(!env.run(&["--help"]).stdout.contains('\u{1b}'));
    env.set("NO_COLOR", "1");
    assert!(env.run_on_terminal(&["x"]).text.starts_with("error: "));
    assert!(!env.run_on_terminal(&["--help"]).text.contains('\u{1b}'));
    assert!(env.run_on_terminal(&["--color=always", "x"]).text.starts_with(red));
}

#[test]
fn with_json_an_error_is_also_a_document_the_last_line_of_standard_error() {
    let env = Env::new();
    env.write("wrong.yaml", "job: j\nunknown: 1\ninput: x\nother: 2\nprocess: {aggregate: {n: count}}\nkey: k\n");
    let cases: [(&[&str], i32); 5] = [
        (&["list", "nothing"], 10),
        (&["list", "nothing", "--limit", "many"], 2),
        (&["inspect"], 2),
        (&["run", "wrong.yaml"], 2),
        (&["run", "none.yaml", "--quiet"], 2),
    ];
    for (arguments, code) in cases {
        let plain = env.run(arguments).expect(code);
        let output = env.run(&[arguments, &["--json"]].concat()).expect(code);
        assert_eq!(output.stdout, "", "{arguments:?}");
        let (text, line) = output.stderr.trim_end().rsplit_once('\n').expect("text and a document");
        // A usage names the options that were given.
        assert_eq!(text.replace(" --json", ""), plain.stderr.trim_end(), "the text stays");
        let document: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((&document["version"], &document["exit_code"]), (&1.into(), &code.into()), "{line}");
        let first = text.lines().next().expect("a line");
        assert_eq!(first, format!("error: {}", document["error"].as_str().expect("a message")), "{arguments:?}");
        for (field, prefix) in [("causes", "  caused by: "), ("hints", "hint: ")] {
            let shown = text.lines().filter_map(|line| line.strip_prefix(prefix)).count();
            assert_eq!(document[field].as_array().map(Vec::len), Some(shown), "{arguments:?}: {field}");
        }
    }
    let line = env.run(&["run", "wrong.yaml", "--json"]).expect(2).stderr;
    let document: serde_json::Value = serde_json::from_str(line.lines().last().expect("a line")).expect("JSON");
    assert_eq!(document["others"].as_array().map(Vec::len), Some(2), "{line}");
    // A log in JSON has its own form.
    let logged = env.run(&["run", "none.yaml", "--json", "--log", "json"]).expect(2).stderr;
    assert_eq!(logged.lines().count(), 1, "{logged}");
}
