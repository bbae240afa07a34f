//! Arguments that several commands share: STORE, TARGET, and the number of a task.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::cli::error::CliError;
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::format::manifest::Manifest;
use crate::store::Store;
use crate::values::id::Sequence;

/// The help of an argument that names one checkpoint, or a store as its latest.
pub const TARGET_HELP: &str = "The checkpoint: STORE@REF or its directory, where REF is a number, `latest`, \
    `latest~2`, or a time such as `2h ago`; a store alone means its latest checkpoint; a job file means its store";

/// The help of an argument that names one checkpoint and never a store.
pub const CHECKPOINT_HELP: &str = "The checkpoint: STORE@REF or its directory, where REF is a number, `latest`, \
    `latest~2`, or a time such as `2h ago`";

/// The help of an argument that names stores or checkpoints.
pub const TARGETS_HELP: &str = "Stores or checkpoints: STORE, STORE@REF, or the directory of a checkpoint, where REF \
    is a number, `latest`, `latest~2`, or a time such as `2h ago`";

/// An argument that names a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreArg(OsString);

impl From<OsString> for StoreArg {
    fn from(text: OsString) -> StoreArg {
        StoreArg(text)
    }
}

impl StoreArg {
    /// Opens the store with its known replicas; fails if the argument names a checkpoint.
    pub fn open(&self, ui: &Ui) -> Result<Store, CliError> {
        self.target()?.open(ui)
    }

    /// Opens the store to change it, see [`Target::open_to_change`].
    pub fn open_to_change(&self, ui: &Ui) -> Result<Store, CliError> {
        self.target()?.open_to_change(ui)
    }

    /// Opens the store to show what is in it, see [`Target::open_to_show`].
    pub fn open_to_show(&self, ui: &Ui) -> Result<Store, CliError> {
        self.target()?.open_to_show(ui)
    }

    /// Does the same for all branches, see [`Target::open_all_to_show`].
    pub fn open_all_to_show(&self, replicas: &[PathBuf], ui: &Ui) -> Result<Store, CliError> {
        self.target()?.open_all_to_show(replicas, ui)
    }

    fn target(&self) -> Result<Target, CliError> {
        let target = Target::parse(&self.0)?;
        if target.reference.is_some() {
            let (checkpoint, store) = (Path::new(&self.0).display(), target.store.display());
            return Err(CliError::usage(format!("expected a store, found the checkpoint `{checkpoint}`"))
                .hint(format!("name only the store: `{store}`")));
        }
        Ok(target)
    }

    /// Returns the path of the store.
    pub fn path(&self) -> Result<PathBuf, CliError> {
        Ok(self.target()?.store)
    }
}

/// An argument that names a store or one of its checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetArg(OsString);

impl From<OsString> for TargetArg {
    fn from(text: OsString) -> TargetArg {
        TargetArg(text)
    }
}

impl AsRef<OsStr> for TargetArg {
    fn as_ref(&self) -> &OsStr {
        &self.0
    }
}

impl TargetArg {
    /// Splits the argument into its store and its checkpoint.
    pub fn parse(&self) -> Result<Target, CliError> {
        Target::parse(&self.0)
    }

    /// Opens the store to change it, and finds the checkpoint; fails if the argument names only a store.
    pub fn named_checkpoint(&self, ui: &Ui) -> Result<(Store, Sequence), CliError> {
        self.refuse_store()?;
        let target = self.parse()?;
        let store = target.open_to_change(ui)?;
        let sequence = target.sequence(&store, &ui.now())?;
        Ok((store, sequence))
    }

    /// Fails if the argument names only a store.
    pub fn refuse_store(&self) -> Result<(), CliError> {
        if self.parse()?.reference.is_some() {
            return Ok(());
        }
        let store = Path::new(&self.0).display();
        Err(CliError::usage(format!("expected a checkpoint, found the store `{store}`")).hint(format!(
            "`ckpt list {store}` lists its checkpoints; name one as `{store}@NUMBER` or `{store}@latest`"
        )))
    }
}

/// Returns the most items that `--limit N` shows; `None` without the option and for 0, which means all.
pub fn most(limit: Option<usize>) -> Option<usize> {
    limit.filter(|limit| *limit > 0)
}

/// Checks that the checkpoint has the task, if one is named.
pub fn check_task(task: Option<u32>, manifest: &Manifest) -> Result<(), CliError> {
    match task {
        Some(task) if task >= manifest.tasks => {
            let last = manifest.tasks.saturating_sub(1);
            Err(CliError::usage(format!("there is no task {task}: tasks are 0 to {last}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::cli::options::GlobalOptions;

    #[test]
    fn a_store_argument_refuses_a_checkpoint() {
        let ui = Ui::new(&GlobalOptions::default()).expect("no terminal is needed");
        let error = StoreArg::from(OsString::from("s@7")).open(&ui).expect_err("a checkpoint");
        assert_eq!(error.exit, Exit::Usage);
        assert_eq!(
            error.lines(),
            ["error: expected a store, found the checkpoint `s@7`", "hint: name only the store: `s`"]
        );
    }

    #[test]
    fn a_target_refuses_a_store_on_request() {
        let refuse = |text: &str| TargetArg::from(OsString::from(text)).refuse_store();
        assert_eq!(refuse("s@7"), Ok(()));
        let error = refuse("s").expect_err("a store");
        assert_eq!((error.exit, error.message.as_str()), (Exit::Usage, "expected a checkpoint, found the store `s`"));
    }
}
