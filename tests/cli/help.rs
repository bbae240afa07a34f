//! What the program says about itself.

use ckpt::cli::command;
use ckpt::cli::exit::Exit;

use crate::support::Env;

/// Every command: the program itself, then each verb, as lists of words.
pub fn verbs() -> Vec<Vec<String>> {
    let words = |name: String| name.split(' ').skip(1).map(str::to_owned).collect();
    commands().into_iter().map(|verb| words(verb.get_bin_name().unwrap_or("ckpt").to_owned())).collect()
}

/// Returns the program and every command, those below another one too.
fn commands() -> Vec<clap::Command> {
    let mut program = command().disable_help_subcommand(true);
    program.build();
    let mut commands = vec![program];
    let mut at = 0;
    while at < commands.len() {
        commands.extend(commands[at].get_subcommands().cloned().collect::<Vec<_>>());
        at += 1;
    }
    commands
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
    for verb in commands().into_iter().skip(1) {
        let about = verb.get_about().expect("a doc comment").to_string();
        assert!(about.starts_with(char::is_uppercase) && !about.ends_with('.'), "{}: {about}", verb.get_name());
        assert!(about.chars().count() <= 76 && !about.contains('\n'), "{}: {about}", verb.get_name());
    }
}

#[test]
fn every_option_has_a_help() {
    for verb in commands() {
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

/// The examples in the help of a verb: the lines that begin with `  ckpt`.
fn examples(verb: &[String]) -> Vec<String> {
    let arguments: Vec<&str> = verb.iter().map(String::as_str).chain(["--help"]).collect();
    let help = Env::new().run(&arguments).expect(0).stdout;
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines.map_while(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

#[test]
fn the_examples_in_help_texts_run() {
    let env = Env::new();
    let setup = "cp -r '$REPOSITORY/examples' . && mkdir w && cd w && cp -r ../examples/data ../examples/clicks.yaml ../examples/words.yaml ../examples/visits.py . && mv clicks.yaml job.yaml \
        && mkdir examples && cp job.yaml examples/clicks.yaml && cp -r data examples/data && ckpt run -q job.yaml \
        && tail -n 1 data/clicks-0.jsonl > line && cat line >> data/clicks-0.jsonl && ckpt run -q job.yaml \
        && mkdir samza && cp -r '$REPOSITORY/tests/samza/golden/files' samza/checkpoints \
        && cp -r '$REPOSITORY/tests/samza/golden/blobs/blobs' '$REPOSITORY/tests/samza/golden/topic/topic.jsonl' samza \
        && cp '$REPOSITORY/tests/samza/golden/totals/topic.jsonl' . && cp '$REPOSITORY/tests/samza/golden/totals/totals-log.jsonl' log.jsonl \
        && ckpt samza inspect topic.jsonl --properties > offsets.properties && cp -r samza yesterday";
    let root = env!("CARGO_MANIFEST_DIR");
    env.shell(&setup.replace("$REPOSITORY", root)).expect(0);
    for number in 3..=44 {
        let back = format!("cd w && ckpt restore checkpoints/clicks@{} -q", if number % 2 == 1 { 1 } else { 2 });
        env.shell(&back).expect(0);
    }
    let mut count = 0;
    for verb in verbs().into_iter().filter(|verb| !verb.is_empty()) {
        for example in examples(&verb) {
            // Commands that not every machine has are replaced by stand-ins; paths are below the test's own directory.
            let places = [
                ("/mnt/backup", "backup"),
                ("/var/lib/", ""),
                ("/var/log/nginx/", "data/"),
                ("a/store b/store", "a b"),
            ];
            let mut line = places.iter().fold(example.clone(), |line, (place, here)| line.replace(place, here));
            for (program, stand_in) in [("| jq", "| true"), ("mail -s", "true")] {
                if let Some(at) = line.find(program) {
                    line.truncate(at);
                    line.push_str(stand_in);
                }
            }
            if line.contains("--undo") {
                line = format!("ckpt prune checkpoints/clicks --keep-last 10 --yes -q && {line}");
            }
            let run = format!("rm -rf t && cp -r w t && cd t && cp -r checkpoints/clicks a && cp -r a b && {line}");
            let output = env.shell(&run);
            let wanted = if verb == ["checkpoint"] {
                &[4][..]
            } else if example.contains("2h ago") {
                &[0, 1, 10][..]
            } else {
                &[0, 1][..]
            };
            assert!(wanted.contains(&output.status), "{verb:?}: {example}\n{output}");
            assert!(!output.stderr.contains("Usage:"), "{verb:?}: {example}\n{output}");
            count += 1;
        }
    }
    assert!(count >= 40, "{count} examples");
}
