//! The leftovers that a prune finds, for people.

use std::collections::BTreeSet;

use crate::cli::error::CliError;
use crate::cli::ui::Ui;
use crate::store::prune::{Fate, LeftoverKind, Plan};
use crate::values::units::{Age, Bytes, Count};

/// The most leftovers of a kind that are listed one by one.
const MAX_LISTED: usize = 20;

/// What happens to a kind of leftover: the verb, and the noun for one and for many.
type Group = (LeftoverKind, Fate, &'static str, &'static str, &'static str);

const GROUPS: [Group; 6] = [
    (LeftoverKind::Object, Fate::Remove, "remove", "unneeded object", "unneeded objects"),
    (
        LeftoverKind::Object,
        Fate::Wait,
        "keep",
        "new object that no checkpoint needs yet",
        "new objects that no checkpoint needs yet",
    ),
    (LeftoverKind::Temporary, Fate::Remove, "remove", "temporary file", "temporary files"),
    (LeftoverKind::Temporary, Fate::Wait, "keep", "new temporary file", "new temporary files"),
    (
        LeftoverKind::SetAside,
        Fate::Leave,
        "keep",
        "damaged object that was replaced",
        "damaged objects that were replaced",
    ),
    (
        LeftoverKind::Foreign,
        Fate::Leave,
        "keep",
        "file that is not part of the store",
        "files that are not part of the store",
    ),
];

/// Prints the leftovers by kind, and what happens to them.
pub(super) fn show(plan: &Plan, ui: &mut Ui) -> Result<(), CliError> {
    let places: BTreeSet<&str> = plan.leftovers.iter().map(|leftover| leftover.place.as_str()).collect();
    for (kind, fate, verb, one, many) in GROUPS {
        let some: Vec<_> = plan.leftovers.iter().filter(|found| (found.kind, found.fate) == (kind, fate)).collect();
        if some.is_empty() {
            continue;
        }
        let bytes = some.iter().fold(0u64, |sum, leftover| sum.saturating_add(leftover.bytes));
        let noun = if some.len() == 1 { one } else { many };
        ui.out(format!("{verb} {} {noun}, {}", Count(some.len() as u64), Bytes(bytes)))?;
        for leftover in some.iter().take(MAX_LISTED) {
            let place = if places.len() > 1 { format!("{}/", leftover.place) } else { String::new() };
            let age = leftover.age_seconds.map_or_else(String::new, |seconds| format!(", {}", Age { seconds }));
            ui.out(format!("  {place}{} ({}{age})", leftover.path, Bytes(leftover.bytes)))?;
        }
        if some.len() > MAX_LISTED {
            ui.out(format!("  and {} more", Count((some.len() - MAX_LISTED) as u64)))?;
        }
    }
    Ok(())
}
