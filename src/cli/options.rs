//! The options that every command has.

use std::path::PathBuf;

use crate::values::units;

/// The options that every command has.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct GlobalOptions {
    /// Print the answer as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,

    /// Print no notes and no progress; warnings and errors are still printed
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,

    /// When to use color; `auto` means on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    pub color: ColorChoice,

    /// Show and read times in UTC instead of the local time zone
    #[arg(long, global = true, help_heading = "Global options")]
    pub utc: bool,

    /// Keep copies of what commands read from buckets in this directory, for inspect, list, log, diff, stats and
    /// restore --to; every copy is proven before it is used [default: none, or CKPT_CACHE]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub cache: Option<PathBuf>,

    /// The most that the cache takes [default: 5 GiB, or CKPT_CACHE_SIZE]
    #[arg(long, global = true, value_name = "SIZE", help_heading = "Global options", value_parser = units::parse_bytes)]
    pub cache_size: Option<u64>,
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
