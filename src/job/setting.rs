//! `--set KEY=VALUE`: values that the command line gives instead of the job file.

use crate::job::read::section::{Result, unfit};
use crate::values::yaml;
use crate::values::yaml::{Entry, Kind, Mark, Node};

/// Puts `KEY=VALUE` into the job file. The key is dotted; an empty value removes it. A value that begins with `[` or `{`
/// is YAML, any other is taken as it is written.
///
/// What is put there is in line 0, at the column `number`.
pub(super) fn put(root: &mut Node, setting: &str, number: usize) -> Result<()> {
    let mark = Mark { line: 0, column: number };
    let form = || unfit(mark, "expected KEY=VALUE, such as `checkpoint.schedule=1s`");
    let (key, value) = setting.split_once('=').ok_or_else(form)?;
    let names: Vec<&str> = key.split('.').collect();
    let (last, outer) =
        names.split_last().filter(|_| !names.contains(&"") && names.len() <= yaml::MAX_DEPTH).ok_or_else(form)?;
    let mut section = root;
    for (depth, name) in outer.iter().enumerate() {
        let entries = entries(section, &names[..depth], mark)?;
        let at = entries.iter().position(|entry| entry.key == *name).unwrap_or_else(|| {
            entries.push(Entry {
                key: (*name).to_owned(),
                key_mark: mark,
                value: Node { mark, kind: Kind::Map(vec![]) },
            });
            entries.len() - 1
        });
        section = &mut entries[at].value;
    }
    let entries = entries(section, outer, mark)?;
    if value.is_empty() {
        entries.retain(|entry| entry.key != *last);
        return Ok(());
    }
    let mut value = match value.starts_with(['[', '{']) {
        true => yaml::parse(value).map_err(|error| unfit(mark, error.problem.to_string()))?,
        false => Node::plain(value, mark),
    };
    value.move_to(mark);
    match entries.iter_mut().find(|entry| entry.key == *last) {
        Some(entry) => (entry.key_mark, entry.value) = (mark, value),
        None => entries.push(Entry { key: (*last).to_owned(), key_mark: mark, value }),
    }
    Ok(())
}

/// Returns the keys of the section with these `names`. The short form of `input` and `output` becomes the long one.
fn entries<'a>(section: &'a mut Node, names: &[&str], mark: Mark) -> Result<&'a mut Vec<Entry>> {
    if matches!(names, ["input" | "output"]) && !matches!(section.kind, Kind::Map(_)) && !section.is_null() {
        let files = Node { mark: section.mark, kind: std::mem::replace(&mut section.kind, Kind::Map(Vec::new())) };
        section.kind = Kind::Map(vec![Entry { key: "files".to_owned(), key_mark: section.mark, value: files }]);
    }
    if section.is_null() {
        section.kind = Kind::Map(Vec::new());
    }
    let found = section.to_string();
    match &mut section.kind {
        Kind::Map(entries) => Ok(entries),
        _ => Err(unfit(mark, format!("`{}` is {found}, which has no keys", names.join(".")))),
    }
}
