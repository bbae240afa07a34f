//! `ckpt completions`.

use crate::support::Env;

#[test]
fn every_shell_gets_a_script_that_names_the_verbs() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = Env::new().run(&["completions", shell]).expect(0);
        assert!(output.stdout.contains("completions") && output.stdout.contains("ckpt"), "{shell}");
        assert_eq!(output.stderr, "");
    }
}

#[test]
fn the_script_is_the_same_with_json_and_quiet() {
    let env = Env::new();
    assert_eq!(env.run(&["completions", "bash", "--json", "-q"]), env.run(&["completions", "bash"]));
}

#[test]
fn bash_takes_its_script() {
    let env = Env::new();
    if env.shell("command -v bash").status != 0 {
        return;
    }
    let output = env.shell("ckpt completions bash >script && bash -n script && bash -c '. ./script; complete -p ckpt'");
    assert!(output.expect(0).stdout.contains("_ckpt"));
}
