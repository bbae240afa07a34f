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

/// Returns what bash offers for the last of `words`, which are split as bash splits them.
fn bash_offers(env: &Env, words: &str) -> Vec<String> {
    let line = format!(
        "bash --norc -c '. ./script; set -- {words}; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
         _ckpt ckpt \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\" 2>/dev/null; \
         printf \"%s\\n\" \"${{COMPREPLY[@]}}\"'"
    );
    let output = env.shell(&line).expect(0);
    output.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_keeps_names_with_spaces_together_and_completes_joined_values() {
    let env = Env::new();
    if env.shell("command -v bash").status != 0 {
        return;
    }
    env.shell("ckpt completions bash >script && mkdir 'dir with space' cp1").expect(0);
    for (words, offered) in [
        ("ckpt restore st --to di", &["dir with space"][..]),
        ("ckpt copy st --to di", &["dir with space"]),
        ("ckpt restore st --to = di", &["dir with space"]),
        ("ckpt restore st --format = c", &["csv"]),
        ("ckpt restore st --format c", &["csv"]),
        ("ckpt restore st --format =", &["parquet", "json", "csv"]),
        ("ckpt run job.yaml --log = j", &["json"]),
        ("ckpt completions f", &["fish"]),
    ] {
        assert_eq!(bash_offers(&env, words), offered, "{words}");
    }
}

#[test]
fn zsh_and_fish_offer_paths_where_paths_are_wanted_and_values_where_values_are() {
    let script = |shell: &str| Env::new().run(&["completions", shell]).expect(0).stdout;
    let zsh = script("zsh");
    let positional: Vec<&str> = zsh.lines().filter(|line| line.starts_with("':") || line.starts_with("'*::")).collect();
    assert!(positional.len() > 15, "{positional:?}");
    assert_eq!(positional.iter().find(|line| line.contains(":_default'")), None);
    assert!(zsh.contains(
        "'--to=[Write the state into the directory or URL DIR, and leave the store unchanged]:DIR:_files -/'"
    ));
    let fish = script("fish");
    let values =
        "complete -c ckpt -n \"__fish_ckpt_using_subcommand completions\" -f -a \"bash elvish fish powershell zsh\"";
    assert!(fish.lines().any(|line| line == values));
}
