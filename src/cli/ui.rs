//! What is said, to whom and how loud: standard output is the answer, standard error the conversation.

use std::env;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use clap::builder::StyledStr;
use jiff::Zoned;
use serde::Serialize;
use serde_json::Map;

use crate::cli::clock::{Clock, NOW_VARIABLE};
use crate::cli::error::CliError;
use crate::cli::escape::{escape, escape_lines};
use crate::cli::exit::Exit;
use crate::cli::log::{Journal, Level};
use crate::cli::progress::{Bar, LiveLine, Screen, Unit};
use crate::cli::table::{Look, Table};
use crate::store::Store;

/// The options that every command has.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// Print the answer as JSON, for programs
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,

    /// Print no notes and no progress; warnings and errors stay
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,

    /// When to use color; `auto` is on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    pub color: ColorChoice,
}

/// When to use color.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

impl ColorChoice {
    /// Decides for one stream. An option that was given is stronger than the environment.
    fn decide(self, stream: Stream) -> bool {
        match self {
            ColorChoice::Auto => stream.terminal && !stream.plain,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        }
    }
}

/// What a line of a comparison is colored for. Its first character says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// What was, in red.
    Old,
    /// What is, in green.
    New,
    /// What was and is, in yellow.
    Changed,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Old => "31",
            Paint::New => "32",
            Paint::Changed => "33",
        }
    }
}

/// What is known of standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Stream {
    terminal: bool,
    /// Whether the environment asks for no color: NO_COLOR, or a terminal that has none.
    plain: bool,
}

impl Stream {
    fn new(terminal: bool) -> Stream {
        let plain = is_set("NO_COLOR") || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Stream { terminal, plain }
    }
}

/// The way out of the program for every word.
pub struct Ui {
    out: Box<dyn Write + Send>,
    /// Whether nobody reads standard output any more, or it failed.
    closed: bool,
    out_terminal: bool,
    look: Look,
    err_color: bool,
    err_live: bool,
    json: bool,
    quiet: bool,
    screen: Screen,
    clock: Clock,
    /// Where the conversation goes when it is for programs.
    journal: Option<Journal>,
    /// What was opened: at the end there may be something to tell about it.
    stores: Mutex<Vec<Store>>,
}

impl Ui {
    /// Decides by the options, the environment and what standard output and standard error are.
    pub fn new(options: &Options) -> Result<Ui, CliError> {
        let out = Stream::new(io::stdout().is_terminal());
        let err = Stream::new(io::stderr().is_terminal());
        let fixed = env::var(NOW_VARIABLE).ok();
        let clock = Clock::new(fixed.as_deref())?;
        let width = if out.terminal { Some(terminal_width()) } else { None };
        Ok(Ui::on(options, out, err, width, clock, Box::new(BufWriter::with_capacity(64 * 1024, io::stdout()))))
    }

    fn on(
        options: &Options,
        out: Stream,
        err: Stream,
        width: Option<u16>,
        clock: Clock,
        writer: Box<dyn Write + Send>,
    ) -> Ui {
        Ui {
            out: writer,
            closed: false,
            out_terminal: out.terminal,
            look: Look { color: options.color.decide(out), width },
            err_color: options.color.decide(err),
            err_live: err.terminal && env::var_os("TERM").is_none_or(|term| term != "dumb"),
            json: options.json,
            quiet: options.quiet,
            screen: Screen::default(),
            clock,
            journal: None,
            stores: Mutex::default(),
        }
    }

    /// Tells whether the answer is to be JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether nobody reads the answer any more. A command that only prints may stop then, with the code it would have had.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the time, in the person's zone.
    pub fn now(&self) -> Zoned {
        self.clock.now()
    }

    /// Prints a line of the answer. Control characters in it are shown as escapes.
    pub fn out(&mut self, line: impl AsRef<str>) -> Result<(), CliError> {
        let line = escape(line.as_ref());
        self.put(&[line.as_bytes(), b"\n"])
    }

    /// Prints a bold line of the answer.
    pub fn heading(&mut self, line: impl AsRef<str>) -> Result<(), CliError> {
        let line = paint(self.look.color, BOLD, &escape(line.as_ref()));
        self.put(&[line.as_bytes(), b"\n"])
    }

    /// Prints a line of the answer in a color.
    pub fn painted(&mut self, color: Paint, line: impl AsRef<str>) -> Result<(), CliError> {
        let line = paint(self.look.color, color.code(), &escape(line.as_ref()));
        self.put(&[line.as_bytes(), b"\n"])
    }

    /// Prints text of several lines as it is, except for control characters other than tabs.
    pub fn out_text(&mut self, text: &str) -> Result<(), CliError> {
        self.put(&[escape_lines(text).as_bytes()])
    }

    /// Prints bytes as they are: data for programs.
    pub fn out_bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.put(&[bytes])
    }

    /// Prints a table.
    pub fn table(&mut self, table: &Table) -> Result<(), CliError> {
        for line in table.render(self.look) {
            self.put(&[line.as_bytes(), b"\n"])?;
        }
        Ok(())
    }

    /// Prints one JSON document on a line of its own. `view` is a struct with a field `version`.
    pub fn json(&mut self, view: &impl Serialize) -> Result<(), CliError> {
        let mut document = serde_json::to_vec(view)
            .map_err(|error| CliError::new(Exit::Failed, "cannot write the answer as JSON").caused_by(&error))?;
        document.push(b'\n');
        self.put(&[&document])
    }

    /// Writes the conversation as JSON lines from here on, those of `job` if there is one. There is no progress then.
    pub fn log_as_json(&mut self, job: Option<&str>) -> Journal {
        let journal = Journal::new(&self.screen, self.clock.clone(), self.quiet);
        let journal = job.map_or(journal.clone(), |job| journal.of_job(job));
        self.journal.insert(journal).clone()
    }

    /// Returns the journal, when the conversation is written as JSON lines.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Tells the person something on standard error; silent with `--quiet`.
    pub fn note(&self, text: impl AsRef<str>) {
        if let Some(journal) = &self.journal {
            return journal.write(Level::Info, "note", text.as_ref(), &Map::new());
        }
        if !self.quiet {
            self.screen.print(&escape(text.as_ref()));
        }
    }

    /// Remembers a store whose notes the person has to hear at the end: what was read from another replica.
    pub(super) fn opened(&self, store: &Store) {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).push(store.clone());
    }

    /// Warns of everything that there is to tell about the stores that were opened.
    pub(super) fn warn_of_stores(&self) {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.iter().flat_map(Store::take_notes).for_each(|note| self.warn(note.to_string()));
    }

    /// Warns the person on standard error.
    pub fn warn(&self, text: impl AsRef<str>) {
        if let Some(journal) = &self.journal {
            return journal.write(Level::Warning, "warning", text.as_ref(), &Map::new());
        }
        let line = format!("warning: {}", escape(text.as_ref()));
        self.screen.print(&paint_prefix(self.err_color, YELLOW, &line));
    }

    /// Prints an error on standard error.
    pub fn error(&self, error: &CliError) {
        if let Some(journal) = &self.journal {
            return journal.error(error);
        }
        for line in error.lines() {
            let code = if line.starts_with("error") { RED } else { BOLD };
            self.screen.print(&paint_prefix(self.err_color && !line.starts_with(' '), code, &line));
        }
    }

    /// Prints what clap has to say of the arguments, which may be several lines, on standard error.
    pub(super) fn usage(&self, text: &str) {
        for line in escape_lines(text).lines() {
            let prefix = self.err_color && line.starts_with("error:");
            self.screen.print(&paint_prefix(prefix, RED, line));
        }
    }

    /// Prints a help text, with clap's colors where color is wanted.
    pub(super) fn help(&mut self, text: &StyledStr) -> Result<(), CliError> {
        let text = if self.look.color { text.ansi().to_string() } else { text.to_string() };
        self.put(&[text.as_bytes()])
    }

    /// Asks the person to agree to something; nothing when there is nobody to ask, because standard input or standard
    /// error is no terminal. Only `y` and `yes` agree.
    pub fn ask(&mut self, question: &str) -> Result<Option<bool>, CliError> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        // The question is about what was printed.
        self.finish()?;
        self.screen
            .around(|| {
                let mut err = io::stderr().lock();
                write!(err, "{} [y/N] ", escape(question)).and_then(|()| err.flush())
            })
            .map_err(|error| CliError::new(Exit::Failed, "cannot ask").caused_by(&error))?;
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| CliError::new(Exit::Failed, "cannot read the answer").caused_by(&error))?;
        Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
    }

    /// Makes a progress bar for long work. It shows itself on a terminal, unless `--quiet` or `--json` is given.
    pub fn progress(&self, what: &str, unit: Unit) -> Bar {
        Bar::new(&self.screen, self.shows_progress() && self.err_live, what, unit)
    }

    /// Makes the line that tells how a run is doing. It stays silent with `--quiet` and `--json`.
    pub fn live_line(&self) -> LiveLine {
        let shown = self.shows_progress();
        LiveLine::new(&self.screen, shown && self.err_live, shown && !self.err_live, !self.quiet)
    }

    /// Hands what is left of the answer to whoever reads it.
    pub fn finish(&mut self) -> Result<(), CliError> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.written(flushed)
    }

    fn shows_progress(&self) -> bool {
        !self.quiet && !self.json && self.journal.is_none()
    }

    fn put(&mut self, parts: &[&[u8]]) -> Result<(), CliError> {
        if self.closed {
            return Ok(());
        }
        let out = &mut self.out;
        let mut write = || parts.iter().try_for_each(|part| out.write_all(part));
        let written = if self.out_terminal { self.screen.around(write) } else { write() };
        self.written(written)
    }

    /// Takes the outcome of a write: a reader that went away has had enough, and is no error.
    fn written(&mut self, outcome: io::Result<()>) -> Result<(), CliError> {
        let Err(error) = outcome else { return Ok(()) };
        self.closed = true;
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Ok(());
        }
        Err(CliError::new(Exit::Failed, "cannot write to standard output").caused_by(&error))
    }
}

const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";

fn paint(color: bool, code: &str, text: &str) -> String {
    if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Colors what stands before the first colon, and the colon.
fn paint_prefix(color: bool, code: &str, line: &str) -> String {
    match line.split_once(':') {
        Some((prefix, rest)) => format!("{}{rest}", paint(color, code, &format!("{prefix}:"))),
        None => line.to_owned(),
    }
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The width of the terminal that standard output is, or what terminals have had for fifty years.
fn terminal_width() -> u16 {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        _ => 80,
    }
}

#[cfg(test)]
mod tests;
