//! What the program says of itself.

use ckpt::cli::command;
use ckpt::cli::exit::Exit;

use crate::support::Env;

/// Every command by its words: the program itself, then each verb.
pub fn verbs() -> Vec<Vec<String>> {
    let verbs = command().get_subcommands().map(|verb| vec![verb.get_name().to_owned()]).collect::<Vec<_>>();
    std::iter::once(Vec::new()).chain(verbs).collect()
}

#[test]
fn every_help_goes_to_standard_output_and_ends_with_the_exit_codes() {
    let env = Env::new();
    for verb in verbs() {
        for flag in ["--help", "-h"] {
            let arguments: Vec<&str> = verb.iter().map(String::as_str).chain([flag]).collect();
            let output = env.run(&arguments).expect(0);
            assert!(output.stdout.ends_with(&format!("{}\n", Exit::help())), "{arguments:?}\n{output}");
            assert_eq!(output.stderr, "", "{arguments:?}");
        }
    }
}

#[test]
fn every_command_says_first_what_it_does_in_a_line_without_a_full_stop() {
    for verb in command().get_subcommands() {
        let about = verb.get_about().expect("a doc comment").to_string();
        assert!(about.starts_with(char::is_uppercase) && !about.ends_with('.'), "{}: {about}", verb.get_name());
        assert!(about.chars().count() <= 76 && !about.contains('\n'), "{}: {about}", verb.get_name());
    }
}

#[test]
fn every_option_has_a_help() {
    for verb in command().get_subcommands() {
        for option in verb.get_arguments() {
            assert!(option.get_help().is_some(), "{} {}", verb.get_name(), option.get_id());
        }
    }
}

#[test]
fn help_fits_a_terminal_of_80_columns() {
    for verb in verbs() {
        let arguments: Vec<&str> = verb.iter().map(String::as_str).chain(["--help"]).collect();
        for line in Env::new().run(&arguments).stdout.lines() {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
        }
    }
}

#[test]
fn the_version_is_one_line() {
    let output = Env::new().run(&["--version"]).expect(0);
    assert_eq!(output.stdout, concat!("ckpt ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn without_arguments_the_help_goes_to_standard_error() {
    let output = Env::new().run(&[]).expect(2);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("Usage: ckpt"), "{output}");
}
