//! The exit codes that every command shares.

use crate::support::Env;

#[test]
fn wrong_usage_is_2_and_says_so_on_standard_error_only() {
    let env = Env::new();
    for arguments in
        [&["no-such-verb"][..], &["--no-such-option"], &["completions"], &["completions", "tcsh"], &["--color", "x"]]
    {
        let output = env.run(arguments).expect(2);
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert!(output.stderr.starts_with("error: "), "{output}");
    }
}

#[test]
fn an_argument_cannot_write_to_the_terminal() {
    let output = Env::new().run(&["\u{1b}[2Jx\u{7}\u{9b}"]).expect(2);
    assert!(!output.stderr.contains(|c: char| c.is_control() && c != '\n'), "{output:?}");
}

#[test]
fn a_clock_setting_that_is_not_a_time_is_wrong_usage() {
    let output = Env::new().at("noon").run(&["completions", "bash"]).expect(2);
    assert!(output.stderr.starts_with("error: CKPT_NOW is `noon`"), "{output}");
}

#[test]
fn json_does_not_change_where_errors_go() {
    let output = Env::new().run(&["--json", "no-such-verb"]).expect(2);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.starts_with("error: "), "{output}");
}
