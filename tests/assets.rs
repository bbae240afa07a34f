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
    let verbs: Vec<clap::Command> = program.get_subcommands().cloned().collect();
    let names: Vec<String> = std::iter::once("ckpt".to_owned())
        .chain(verbs.iter().map(|verb| format!("ckpt-{}", verb.get_name())))
        .collect();
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
    let man = Man::new(command.name(name.to_owned()).version(env!("CARGO_PKG_VERSION")))
        .title(name.to_uppercase())
        .source(concat!("ckpt ", env!("CARGO_PKG_VERSION")))
        .manual("ckpt manual");
    let mut page = Vec::new();
    man.render_title(&mut page).expect("written");
    man.render_name_section(&mut page).expect("written");
    man.render_synopsis_section(&mut page).expect("written");
    man.render_description_section(&mut page).expect("written");
    man.render_options_section(&mut page).expect("written");
    if is_program {
        man.render_subcommands_section(&mut page).expect("written");
    }
    // Every section defines the apostrophe again.
    let page = String::from_utf8(page).expect("pages are UTF-8");
    let body = page.replace(APOSTROPHE, "");
    let mut end = String::from(".SH \"EXIT STATUS\"\n");
    for exit in Exit::ALL {
        end += &format!(".TP 5\n{}\n{}\n", exit.code(), exit.meaning().replace('-', "\\-"));
    }
    let others: Vec<String> = others.iter().map(|other| format!("\\fB{}\\fR(1)", other.replace('-', "\\-"))).collect();
    end += &format!(".SH \"SEE ALSO\"\n{}\n", others.join(", "));
    [APOSTROPHE, &body, &end].concat().into_bytes()
}

const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

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
