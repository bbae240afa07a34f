//! The output of the program: the answer goes to standard output, everything else to standard error.

use std::env;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::{Arc, Mutex};

use clap::builder::StyledStr;
use jiff::{Timestamp, Zoned};
use serde::Serialize;
use serde_json::Map;

use crate::cli::cache::CacheChoice;
use crate::cli::clock::{Clock, NOW_VARIABLE};
use crate::cli::color::{BOLD, Paint, RED, Stream, YELLOW, is_dumb, paint, paint_prefix};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::ErrorView;
use crate::cli::log::{Journal, Level};
use crate::cli::options::GlobalOptions;
use crate::cli::progress::{Bar, LiveLine, Screen, Unit};
use crate::cli::table::{Look, Table, terminal_width};
use crate::cli::text::{escape, escape_json, escape_lines};
use crate::cli::times::Times;
use crate::storage::cache::Cache;
use crate::store::Store;
use crate::values::lock::lock;

/// Prints everything that the program says.
pub struct Ui {
    out: Box<dyn Write + Send>,
    /// Whether the reader of standard output is gone, or a write to it failed.
    closed: bool,
    out_terminal: bool,
    look: Look,
    err_color: bool,
    err_live: bool,
    json: bool,
    quiet: bool,
    screen: Screen,
    clock: Clock,
    /// Where notes, warnings and errors go with `--log json`.
    journal: Option<Journal>,
    cache: CacheChoice,
    /// The stores that were opened. They may have notes to print at the end.
    stores: Mutex<Vec<Store>>,
}

impl Ui {
    /// Sets up the output from the options, the environment, and the kinds of standard output and standard error.
    pub fn new(options: &GlobalOptions) -> Result<Ui, CliError> {
        let out = Stream::new(io::stdout().is_terminal());
        let err = Stream::new(io::stderr().is_terminal());
        let fixed = env::var(NOW_VARIABLE).ok();
        let clock = Clock::new(fixed.as_deref(), options.utc)?;
        let width = if out.terminal { Some(terminal_width(io::stdout())) } else { None };
        let writer = Box::new(BufWriter::with_capacity(64 * 1024, io::stdout()));
        Ok(Ui { cache: CacheChoice::new(options)?, ..Ui::on(options, out, err, width, clock, writer) })
    }

    fn on(
        options: &GlobalOptions,
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
            look: Look { color: out.is_colored(options.color), width },
            err_color: err.is_colored(options.color),
            err_live: err.terminal && !is_dumb(),
            json: options.json,
            quiet: options.quiet,
            screen: Screen::default(),
            clock,
            journal: None,
            cache: CacheChoice::default(),
            stores: Mutex::default(),
        }
    }

    /// Tells whether the answer is JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether the reader of the answer is gone. A command that only prints may then stop early, with the exit
    /// code that it would have had.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the current time, in the user's time zone.
    pub fn now(&self) -> Zoned {
        self.clock.now()
    }

    /// Returns a time in full, in the user's time zone.
    pub fn time(&self, time: Timestamp) -> String {
        Times::exact(self.clock.zone().clone()).show(time)
    }

    /// Returns how the times of a column are shown.
    pub fn times(&self, column: impl IntoIterator<Item = Timestamp>) -> Times {
        Times::column(self.clock.zone().clone(), column)
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
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

    /// Prints text of several lines. Control characters other than tabs are shown as escapes.
    pub fn out_text(&mut self, text: &str) -> Result<(), CliError> {
        self.put(&[escape_lines(text).as_bytes()])
    }

    /// Prints bytes unchanged: data for programs.
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

    /// Prints the rows of a table without its header.
    pub fn table_rows(&mut self, table: &Table) -> Result<(), CliError> {
        table.render(self.look).iter().skip(1).try_for_each(|line| self.put(&[line.as_bytes(), b"\n"]))
    }

    /// Prints one JSON document on its own line. `view` is a struct with a field `version`.
    pub fn json(&mut self, view: &impl Serialize) -> Result<(), CliError> {
        let document = serde_json::to_string(view)
            .map_err(|error| CliError::new(Exit::Failed, "cannot write the answer as JSON").caused_by(&error))?;
        self.put(&[escape_json(&document).as_bytes(), b"\n"])
    }

    /// Writes notes, warnings and errors as JSON lines from now on, with the name of `job` if given, and turns progress
    /// off.
    pub fn log_as_json(&mut self, job: Option<&str>) -> Journal {
        let journal = Journal::new(&self.screen, self.clock.clone(), self.quiet);
        let journal = job.map_or(journal.clone(), |job| journal.of_job(job));
        let journal = self.journal.insert(journal).clone();
        self.report_waiting();
        journal
    }

    /// Says on standard error what is waited for, while it is.
    pub(super) fn report_waiting(&self) {
        #[cfg(feature = "s3")]
        crate::cli::waiting::report(&self.screen, self.journal.as_ref(), self.quiet);
    }

    /// Returns the cache for commands that only show or export what a bucket has, if the user wants one. Warns if it
    /// cannot be used.
    pub(super) fn cache(&self) -> Option<Arc<Cache>> {
        let (cache, reason) = self.cache.open();
        if let Some(reason) = reason {
            self.warn(reason);
        }
        cache
    }

    /// Returns the journal, if notes, warnings and errors are written as JSON lines.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Prints a note on standard error; silent with `--quiet`.
    pub fn note(&self, text: impl AsRef<str>) {
        if let Some(journal) = &self.journal {
            return journal.write(Level::Info, "note", text.as_ref(), &Map::new());
        }
        if !self.quiet {
            self.screen.print(&escape(text.as_ref()));
        }
    }

    /// Remembers a store, whose notes (such as a read from another replica) are printed at the end.
    pub(super) fn opened(&self, store: &Store) {
        lock(&self.stores).push(store.clone());
    }

    /// Prints the notes of all opened stores as warnings.
    pub(super) fn warn_of_stores(&self) {
        let stores = lock(&self.stores);
        stores.iter().flat_map(Store::take_notes).for_each(|note| self.warn(note.to_string()));
    }

    /// Warns of places of the store that could not be written to, and says what they keep.
    pub fn warn_of_away(&self, store: &Store, keeps: &str) {
        for (place, reason) in store.take_away() {
            self.warn(format!("replica `{place}` cannot be used and {keeps}: {reason}"));
        }
    }

    /// Prints a warning on standard error.
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
        self.error_as_json(error);
    }

    /// Prints an error as one line of JSON, with `--json`.
    fn error_as_json(&self, error: &CliError) {
        if self.json
            && let Ok(line) = serde_json::to_string(&ErrorView::from(error))
        {
            self.screen.print(&escape_json(&line));
        }
    }

    /// Prints clap's message about the arguments, which may have several lines, on standard error.
    pub(super) fn usage(&self, text: &str) {
        for line in escape_lines(text).lines() {
            let prefix = self.err_color && line.starts_with("error:");
            self.screen.print(&paint_prefix(prefix, RED, line));
        }
        let first = text.lines().next().unwrap_or_default();
        self.error_as_json(&CliError::usage(first.strip_prefix("error: ").unwrap_or(first)));
    }

    /// Prints a help text, with clap's colors if color is on.
    pub(super) fn help(&mut self, text: &StyledStr) -> Result<(), CliError> {
        let text = if self.look.color { text.ansi().to_string() } else { text.to_string() };
        self.put(&[text.as_bytes()])
    }

    /// Asks the user to confirm something; `None` if standard input or standard error is not a terminal. Only `y` and
    /// `yes` confirm.
    pub fn ask(&mut self, question: &str) -> Result<Option<bool>, CliError> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        // The question is about what was just printed.
        self.finish()?;
        self.screen
            .around(|| {
                let mut err = io::stderr().lock();
                write!(err, "{} [y/N] ", escape(question)).and_then(|()| err.flush())
            })
            .map_err(|error| CliError::new(Exit::Failed, "cannot ask for confirmation").caused_by(&error))?;
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| CliError::new(Exit::Failed, "cannot read the reply").caused_by(&error))?;
        Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
    }

    /// Makes a progress bar for long work, shown only on a terminal and without `--quiet` and `--json`.
    pub fn progress(&self, what: &str, unit: Unit) -> Bar {
        Bar::new(&self.screen, self.shows_progress() && self.err_live, what, unit)
    }

    /// Makes the line that shows the status of a run; silent with `--quiet` and `--json`.
    pub fn live_line(&self) -> LiveLine {
        let shown = self.shows_progress();
        LiveLine::new(&self.screen, shown && self.err_live, shown && !self.err_live, !self.quiet)
    }

    /// Flushes the answer to standard output.
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

    /// Handles the result of a write. A closed pipe is not an error: the reader has seen enough.
    fn written(&mut self, outcome: io::Result<()>) -> Result<(), CliError> {
        let Err(error) = outcome else { return Ok(()) };
        self.closed = true;
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Ok(());
        }
        Err(CliError::new(Exit::Failed, "cannot write to standard output").caused_by(&error))
    }
}

#[cfg(test)]
mod tests;
