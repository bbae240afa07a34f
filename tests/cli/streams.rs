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
