//! `ckpt log --follow`: prints what happens, as it happens.

use std::thread;
use std::time::Duration;

use super::rows::table;
use super::views::EntryLine;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::ops::log::{Follower, Happening, Selection};
use crate::store::Store;

/// How often the store is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// The same in object storage, where each look is a request.
const REMOTE_INTERVAL: Duration = Duration::from_secs(5);

/// Prints the log of `store`, and what is added to it, until the reader of the answer is gone.
pub(super) fn follow(store: &Store, selection: &Selection, ui: &mut Ui) -> Result<Exit, CliError> {
    let interval = if store.is_remote() { REMOTE_INTERVAL } else { INTERVAL };
    let mut follower = Follower::new(*selection);
    let mut is_first = true;
    while !ui.is_closed() {
        let happenings = follower.next(store)?;
        if ui.is_json() {
            happenings.iter().try_for_each(|happening| ui.json(&EntryLine::new(store, happening)))?;
        } else {
            show(&happenings, is_first, ui)?;
        }
        is_first = false;
        ui.finish()?;
        thread::sleep(interval);
    }
    Ok(Exit::Clean)
}

/// Prints rows, the first ones with the header of the table.
fn show(happenings: &[Happening], is_first: bool, ui: &mut Ui) -> Result<(), CliError> {
    let table = table(happenings, true, ui);
    if is_first { ui.table(&table) } else { ui.table_rows(&table) }
}
