//! Where the changelogs of stores are, and how their keys and values are read.

use std::path::PathBuf;

use super::open::{BrokerArgs, explain_topic, properties};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::ops::samza::found::Found;
use crate::ops::samza::state::{Changelogs, Serdes, StateError, TaskStore, task_stores};
use crate::ops::samza::topic::TopicAddress;
use crate::samza::checkpoint::Version;
use crate::samza::serde::Serde;

/// How the state of stores is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct StateArgs {
    /// The store, as `stores.NAME` in the properties of the job
    #[arg(long, value_name = "NAME")]
    pub store: Option<String>,

    /// How keys were written, as `stores.NAME.key.serde` of the job says: string, long, integer, json or bytes
    #[arg(long, value_name = "SERDE", value_parser = parse_serde, default_value = "bytes")]
    pub key_serde: Serde,

    /// How values were written, as `stores.NAME.msg.serde` of the job says
    #[arg(long, value_name = "SERDE", value_parser = parse_serde, default_value = "bytes")]
    pub value_serde: Serde,

    /// Read changelogs from this dump, which `kcat -J` printed; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with = "brokers")]
    pub changelog: Vec<PathBuf>,

    /// Read changelogs from these brokers, HOST:PORT or several with commas [default: those of the PATH]
    #[arg(long, value_name = "BROKERS")]
    pub brokers: Option<String>,

    /// Read stores from their RocksDB directories below the PATH instead of their changelogs
    #[arg(long, conflicts_with_all = ["changelog", "brokers"])]
    pub rocksdb: bool,
}

impl StateArgs {
    /// Returns the stores that are asked for, and where their changelogs are.
    pub(super) fn stores(
        &self,
        found: &Found,
        paths: &[PathBuf],
        brokers: &BrokerArgs,
        version: Version,
    ) -> Result<(Vec<TaskStore>, Changelogs), CliError> {
        let stores = task_stores(&found.tasks, self.store.as_deref(), version).map_err(explain_state)?;
        if stores.is_empty() {
            return Err(CliError::not_found("no checkpoint names the changelog of a store"));
        }
        Ok((stores, self.changelogs(paths, brokers)?))
    }

    fn changelogs(&self, paths: &[PathBuf], brokers: &BrokerArgs) -> Result<Changelogs, CliError> {
        if !self.changelog.is_empty() {
            return Ok(Changelogs::Dumps(self.changelog.clone()));
        }
        let mut of_paths: Vec<String> = paths
            .iter()
            .filter_map(|path| path.to_str().and_then(TopicAddress::parse)?.ok())
            .map(|address| address.brokers)
            .collect();
        of_paths.dedup();
        let found = self.brokers.clone().or_else(|| if of_paths.len() == 1 { of_paths.pop() } else { None });
        let brokers_found = found.ok_or_else(|| {
            CliError::usage("it is not known where the changelogs of the stores are")
                .hint("name the brokers with `--brokers`, or dumps of the changelogs with `--changelog`")
        })?;
        Ok(Changelogs::Topics { brokers: brokers_found, properties: properties(brokers)? })
    }

    pub(super) fn serdes(&self) -> Serdes {
        Serdes { key: self.key_serde, value: self.value_serde }
    }

    /// Tells whether any of them is given.
    pub(super) fn is_given(&self) -> bool {
        *self != StateArgs::default()
    }
}

fn parse_serde(text: &str) -> Result<Serde, String> {
    let names = || Serde::ALL.map(Serde::name).join(", ");
    let found = Serde::ALL.into_iter().find(|serde| serde.name() == text);
    found.ok_or_else(|| format!("expected one of {}", names()))
}

/// Adds the exit code and hints to an error.
pub(super) fn explain_state(error: StateError) -> CliError {
    match error {
        StateError::Topic(error) => explain_topic(error, "check that the brokers are those of the job's changelogs"),
        StateError::NoStore { .. } => CliError::of(Exit::NotFound, &error)
            .hint("`ckpt samza inspect` without `--state` shows the stores of each task"),
        StateError::Dump { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            CliError::not_found(format!("`{}` does not exist", path.display()))
        }
        StateError::NotInChangelog { .. } => {
            CliError::of(Exit::Failed, &error).hint("only the state in changelogs can be read")
        }
        StateError::Unreadable { .. } => CliError::of(Exit::Failed, &error)
            .hint("the properties `stores.NAME.key.serde` and `stores.NAME.msg.serde` of the job name the serdes"),
        StateError::BadLine { .. } => CliError::of(Exit::Failed, &error)
            .hint("a dump is what `kcat -C -J -e -t TOPIC` prints; keys and values that are not text can only be read from the brokers"),
        StateError::NotAscending { .. } => {
            CliError::of(Exit::Failed, &error).hint("name only one dump of each changelog")
        }
        StateError::TooShort { .. } => CliError::of(Exit::Failed, &error)
            .hint("the changelog was cut off, made again, or is that of another job: the state of the checkpoint is not in it"),
        StateError::Deleted { .. } => CliError::of(Exit::Failed, &error)
            .hint("what was deleted may have been part of the state; Samza would restore only the rest"),
        StateError::BadOffset { .. } | StateError::Dump { .. } | StateError::NoKey { .. } => {
            CliError::of(Exit::Failed, &error)
        }
    }
}
