//! Notes, warnings and errors as JSON lines on standard error, for programs that collect logs.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::clock::Clock;
use crate::cli::error::CliError;
use crate::cli::progress::Screen;
use crate::cli::text::escape_json;

/// The severity of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Normal operation.
    Info,
    /// Something to look at.
    Warning,
    /// The error that ends the command.
    Error,
}

/// Writes the log.
#[derive(Debug, Clone)]
pub struct Journal {
    screen: Screen,
    clock: Clock,
    job: Option<String>,
    quiet: bool,
}

/// A line, as `docs/scripting.md` documents it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: Timestamp,
    level: Level,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    message: &'a str,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
}

impl Journal {
    /// Makes a journal; `quiet` leaves out [`Level::Info`].
    pub(super) fn new(screen: &Screen, clock: Clock, quiet: bool) -> Journal {
        Journal { screen: screen.clone(), clock, job: None, quiet }
    }

    /// Returns a journal whose lines name the job.
    pub(super) fn of_job(&self, job: &str) -> Journal {
        Journal { job: Some(job.to_owned()), ..self.clone() }
    }

    /// Writes a line. Control characters are escaped as in JSON.
    pub fn write(&self, level: Level, event: &str, message: &str, fields: &Map<String, Value>) {
        if self.quiet && level == Level::Info {
            return;
        }
        let time = self.clock.now_in_millis();
        let line = Line { time, level, event, job: self.job.as_deref(), message, fields };
        let line = serde_json::to_string(&line).expect("a line consists of texts and numbers");
        self.screen.print(&escape_json(&line));
    }

    /// Writes the error that ends the command.
    pub(super) fn error(&self, error: &CliError) {
        let mut fields = Map::new();
        fields.insert("causes".to_owned(), error.causes.clone().into());
        if !error.others.is_empty() {
            fields.insert("others".to_owned(), error.others.clone().into());
        }
        fields.insert("hints".to_owned(), error.hints.clone().into());
        fields.insert("exit_code".to_owned(), error.exit.code().into());
        self.write(Level::Error, "failed", &error.message, &fields);
    }
}
