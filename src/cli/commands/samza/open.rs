//! Opens what Samza wrote, for all subcommands.

use std::io;
use std::path::PathBuf;

use crate::cli::error::CliError;
use crate::cli::ui::Ui;
use crate::ops::finding::Severity;
use crate::ops::samza::finding::SamzaFinding;
use crate::ops::samza::found::Found;
use crate::ops::samza::read;
use crate::samza::checkpoint::Version;

/// The help of an argument that names what Samza wrote.
pub(super) const PATH_HELP: &str = "A directory of checkpoint files, of local stores or of a blob store, a dump of a \
    checkpoint topic, or a directory with any of them";

/// Reads `paths`. Fails if nothing there is of Samza.
pub(super) fn open(paths: &[PathBuf]) -> Result<Found, CliError> {
    let found = read::read(paths).map_err(|(path, error)| match error.kind() {
        io::ErrorKind::NotFound => CliError::not_found(format!("`{}` does not exist", path.display())),
        _ => CliError::io("read", path, &error),
    })?;
    if found.is_empty() && found.refused.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
        return Err(CliError::not_found(format!("found nothing that Samza wrote in {}", paths.join(", ")))
            .hint("docs/samza.md says which files and dumps can be read"));
    }
    Ok(found)
}

/// Prints a warning for each file that could not be read. Returns whether there is one.
pub(super) fn warn_of_unreadable(found: &Found, ui: &Ui) -> bool {
    for SamzaFinding { path, expected, found, .. } in unreadable(found) {
        ui.warn(format!("`{path}` is not {expected}: {found}"));
    }
    for (path, reason) in &found.refused {
        ui.warn(format!("cannot read `{path}`: {reason}"));
    }
    unreadable(found).next().is_some() || !found.refused.is_empty()
}

/// Returns what was read and is not what it should be.
pub(super) fn unreadable(found: &Found) -> impl Iterator<Item = &SamzaFinding> {
    found.findings.iter().filter(|finding| finding.code.severity() == Severity::Damage)
}

/// Parses the version of checkpoints that is preferred.
pub(super) fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "1" => Ok(Version::V1),
        "2" => Ok(Version::V2),
        _ => Err("expected 1 or 2".to_owned()),
    }
}
