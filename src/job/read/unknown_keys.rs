//! Unknown keys, all at once.

use crate::job::keys;
use crate::job::keys::KEYS;
use crate::job::read::section::unfit;
use crate::values::yaml::{Kind, Node, YamlError};

/// Returns the errors about unknown keys in all sections. So that the rest of the file can be checked, each is replaced
/// by the key that was probably meant, or else removed.
pub(in crate::job) fn repair(root: &mut Node) -> Vec<YamlError> {
    let mut errors = Vec::new();
    for (section, known) in KEYS {
        let names: Vec<&str> = section.split('.').filter(|name| !name.is_empty()).collect();
        repair_below(root, &names, section, known, &mut errors);
    }
    errors
}

fn repair_below(node: &mut Node, names: &[&str], section: &str, known: &[&str], errors: &mut Vec<YamlError>) {
    match (&mut node.kind, names.split_first()) {
        (Kind::List(items), None) => items.iter_mut().for_each(|item| repair_below(item, &[], section, known, errors)),
        (Kind::Map(entries), Some((name, inner))) => {
            let entry = entries.iter_mut().find(|entry| entry.key == *name);
            entry.into_iter().for_each(|entry| repair_below(&mut entry.value, inner, section, known, errors));
        }
        (Kind::Map(entries), None) => {
            let mut at = 0;
            while at < entries.len() {
                let key = entries[at].key.clone();
                let Some(reason) = keys::check(section, &key) else {
                    at += 1;
                    continue;
                };
                errors.push(unfit(entries[at].key_mark, reason));
                match keys::nearest(&key, known).filter(|near| entries.iter().all(|entry| entry.key != *near)) {
                    Some(near) => entries[at].key = near.to_owned(),
                    None => drop(entries.remove(at)),
                }
            }
        }
        _ => {}
    }
}
