//! Files in the repository that the program generates. `UPDATE=1 cargo test` rewrites them.

use std::fs;

use ckpt::cli::commands::completions::script;
use ckpt::cli::{command, exit::Exit};
use clap_complete::Shell;
use clap_complete::aot::Generator as _;
use clap_mangen::Man;

use crate::support::repository;

#[test]
fn the_completions_are_those_that_the_program_prints() {
    let shells = [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh];
    assert_eq!(shells.len(), <Shell as clap::ValueEnum>::value_variants().len());
    let names = shells.map(|shell| {
        let name = format!("completions/{}", shell.file_name("ckpt"));
        repository::assert_generated(&name, &script(shell, command()));
        name
    });
    assert_nothing_else("completions", &names);
}

#[test]
fn the_manual_has_a_page_for_the_program_and_for_each_verb() {
    let mut program = command().disable_help_subcommand(true);
    program.build();
    let below = |command: &clap::Command| command.get_subcommands().cloned().collect::<Vec<_>>();
    let verbs: Vec<clap::Command> =
        below(&program).into_iter().flat_map(|verb| [vec![verb.clone()], below(&verb)].concat()).collect();
    let page_name = |verb: &clap::Command| verb.get_bin_name().expect("built").replace(' ', "-");
    let names: Vec<String> = std::iter::once("ckpt".to_owned()).chain(verbs.iter().map(page_name)).collect();
    let pages: Vec<String> = names.iter().map(|name| format!("man/{name}.1")).collect();
    for ((page, name), path) in std::iter::once(program).chain(verbs).zip(&names).zip(&pages) {
        let others: Vec<&str> = names.iter().filter(|other| *other != name).map(String::as_str).collect();
        repository::assert_generated(path, &manual_page(page, name, &others));
    }
    assert_nothing_else("man", &pages);
}

/// Returns a manual page: what clap knows about the command, then the exit codes and the other pages.
fn manual_page(command: clap::Command, name: &str, others: &[&str]) -> Vec<u8> {
    let is_program = command.has_subcommands();
    let synopsis = synopsis(&command);
    let man = Man::new(command.name(name.to_owned()).version(env!("CARGO_PKG_VERSION")))
        .title(name.to_uppercase())
        .source(concat!("ckpt ", env!("CARGO_PKG_VERSION")))
        .manual("ckpt manual");
    let mut page = Vec::new();
    man.render_title(&mut page).expect("written");
    man.render_name_section(&mut page).expect("written");
    page.extend(synopsis.as_bytes());
    man.render_description_section(&mut page).expect("written");
    man.render_options_section(&mut page).expect("written");
    if is_program {
        man.render_subcommands_section(&mut page).expect("written");
    }
    // Every section defines the apostrophe again.
    let page = String::from_utf8(page).expect("pages are UTF-8");
    let body = with_examples_as_typed(&page.replace(APOSTROPHE, ""));
    let body = body.replacen(" 1  \"", &format!(" 1 \"{DATE}\" \""), 1);
    let mut end = String::from(".SH \"EXIT STATUS\"\n");
    for exit in Exit::ALL {
        end += &format!(".TP 5\n{}\n{}\n", exit.code(), exit.meaning().replace('-', "\\-"));
    }
    let others: Vec<String> = others.iter().map(|other| format!("\\fB{}\\fR(1)", other.replace('-', "\\-"))).collect();
    end += &format!(".SH \"SEE ALSO\"\n{}\n", others.join(", "));
    [APOSTROPHE, &body, &end].concat().into_bytes()
}

/// Returns the section with all arguments, each option with the name of its value.
fn synopsis(command: &clap::Command) -> String {
    let plain = |text: &str| text.replace('-', "\\-");
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let mut words = vec![format!("\\fB{}\\fR", plain(name))];
    let (positional, options): (Vec<_>, Vec<_>) =
        command.get_arguments().filter(|arg| !arg.is_hide_set()).partition(|arg| arg.is_positional());
    for arg in options.into_iter().chain(positional) {
        let short = arg.get_short().map(|short| format!("\\fB\\-{short}\\fR"));
        let long = arg.get_long().map(|long| format!("\\fB\\-\\-{}\\fR", plain(long)));
        let mut word = short.into_iter().chain(long).collect::<Vec<_>>().join("|");
        if arg.get_action().takes_values() {
            let id = arg.get_id().as_str().to_uppercase();
            let value = arg.get_value_names().and_then(|names| names.first()).map_or(id, ToString::to_string);
            let gap = if word.is_empty() { "" } else { " " };
            word += &format!("{gap}\\fI{}\\fR", plain(&value));
        }
        let word = if arg.is_required_set() { word } else { format!("[{word}]") };
        let is_list = arg.is_positional() && matches!(arg.get_action(), clap::ArgAction::Append);
        words.push(if is_list { format!("{word}...") } else { word });
    }
    if command.has_subcommands() {
        words.push("\\fICOMMAND\\fR".to_owned());
    }
    format!(".SH SYNOPSIS\n{}\n", words.join(" "))
}

/// Marks indented lines, which are commands, so that they are not filled.
fn with_examples_as_typed(page: &str) -> String {
    let mut marked = String::new();
    let mut is_typed = false;
    for line in page.lines() {
        if line.starts_with("  ") != is_typed {
            is_typed = !is_typed;
            marked += if is_typed { ".nf\n" } else { ".fi\n" };
        }
        marked += line;
        marked.push('\n');
    }
    marked
}

/// The date of the manual, as in the title of each page. A release sets it.
const DATE: &str = "2026-11-27";

const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

#[test]
fn the_pages_have_a_date_the_values_of_options_and_examples_as_they_are_typed() {
    for path in repository::files("man") {
        let page = fs::read_to_string(repository::path(&path)).expect("readable");
        let title = page.lines().find(|line| line.starts_with(".TH ")).expect("a title");
        assert!(title.contains(&format!(" 1 \"{DATE}\" \"ckpt ")), "{path}: {title}");
        let synopsis = page.split(".SH ").find(|section| section.starts_with("SYNOPSIS")).expect("a synopsis");
        for (option, value) in [("to", "DIR"), ("format", "FORMAT"), ("color", "WHEN")] {
            let named = synopsis.contains(&format!("\\-\\-{option}\\fR \\fI"));
            assert!(named || !synopsis.contains(&format!("\\-\\-{option}\\fR")), "{path}: --{option} {value}");
        }
        let is_typed = |line: &str| line.starts_with("  ");
        let lines: Vec<&str> = page.lines().collect();
        for pair in lines.windows(2) {
            assert_eq!(is_typed(pair[1]) && !is_typed(pair[0]), pair[0] == ".nf", "{path}: {pair:?}");
            assert_eq!(is_typed(pair[0]) && !is_typed(pair[1]), pair[1] == ".fi", "{path}: {pair:?}");
        }
    }
}

#[test]
fn the_exit_codes_in_the_document_are_those_of_the_program() {
    let name = "docs/scripting.md";
    let text = fs::read_to_string(repository::path(name)).expect("readable");
    let (begin, end) = ("<!-- exit codes -->\n", "<!-- end -->");
    let start = text.find(begin).expect("the mark before the table") + begin.len();
    let stop = start + text[start..].find(end).expect("the mark after the table");
    let generated = format!("{}{}{}", &text[..start], Exit::markdown(), &text[stop..]);
    repository::assert_generated(name, generated.as_bytes());
}

/// The page of a removed verb would be installed forever.
#[track_caller]
fn assert_nothing_else(dir: &str, names: &[String]) {
    for found in repository::files(dir) {
        if !names.contains(&found) {
            assert!(repository::updates(), "{found} belongs to no command: run `UPDATE=1 cargo test`");
            fs::remove_file(repository::path(&found)).expect("removed");
        }
    }
}
