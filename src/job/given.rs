//! Input that the command line names instead of the job file.

use crate::job::fill::Variables;
use crate::job::read::input::format_by_name;
use crate::job::read::section::unfit;
use crate::values::yaml;
use crate::values::yaml::{Entry, Kind, Node, YamlError, quote};

/// What to read, whatever the job file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenInput<'a> {
    /// The input of the job file.
    None,
    /// These files instead, at least one: paths relative to the job file's directory, or `-` for standard input.
    Files(&'a [String]),
    /// Standard input, unless the job file has an input.
    StandardInput,
}

/// What the command line and the environment put into a job file.
#[derive(Clone, Copy)]
pub struct Overrides<'a> {
    pub input: GivenInput<'a>,
    /// `KEY=VALUE`, in the order in which they apply.
    pub settings: &'a [String],
    /// The environment; without it, `${VAR}` and `~` stay as they are.
    pub variables: Option<Variables<'a>>,
}

impl Overrides<'_> {
    /// Nothing but the job file counts.
    pub const NONE: Overrides<'static> = Overrides { input: GivenInput::None, settings: &[], variables: None };
}

/// Replaces `input:` of a job file, or its `files:`, by `given`.
pub(super) fn put(root: &mut Node, given: GivenInput<'_>) -> Result<(), YamlError> {
    let standard_input = ["-".to_owned()];
    let Kind::Map(entries) = &mut root.kind else { return Ok(()) };
    let place = entries.iter().position(|entry| entry.key == "input");
    let files = match given {
        GivenInput::None => return Ok(()),
        GivenInput::Files(files) => files,
        GivenInput::StandardInput if place.is_some() => return Ok(()),
        GivenInput::StandardInput => &standard_input,
    };
    let mark = root.mark;
    let node = |text: &str| -> Result<Node, YamlError> {
        let mut node =
            yaml::parse(text).map_err(|error| unfit(mark, format!("cannot use this name: {}", error.problem)))?;
        node.mark = mark;
        Ok(node)
    };
    let entry = |key: &str, value: Node| Entry { key: key.to_owned(), key_mark: mark, value };
    let names: Vec<String> = files.iter().map(|file| quote(file)).collect();
    let names = node(&format!("[{}]", names.join(", ")))?;
    let place = place.unwrap_or_else(|| {
        entries.push(entry("input", Node { mark, kind: Kind::Map(Vec::new()) }));
        entries.len() - 1
    });
    let input = &mut entries[place].value;
    if !matches!(input.kind, Kind::Map(_)) {
        input.kind = Kind::Map(Vec::new());
    }
    let Kind::Map(keys) = &mut input.kind else { return Ok(()) };
    keys.retain(|entry| !matches!(entry.key.as_str(), "files" | "kafka"));
    keys.push(entry("files", names));
    let has_format = keys.iter().any(|entry| entry.key == "format")
        || files.first().is_some_and(|first| format_by_name(first).is_some());
    if !has_format {
        keys.push(entry("format", node("json")?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::job::{InputFormat, JobSpec};

    fn files(input: &str, given: GivenInput<'_>) -> Result<(Vec<String>, InputFormat), String> {
        let text = format!("job: j\n{input}process: {{aggregate: {{n: count}}}}\n");
        let job = JobSpec::parse_with(&text, Path::new("job.yaml"), &Overrides { input: given, ..Overrides::NONE })
            .map_err(|error| error.to_string())?;
        Ok((job.input.files, job.input.format))
    }

    #[test]
    fn given_input_replaces_the_files_and_keeps_the_rest() {
        let two = ["b: #.csv".to_owned(), "c.csv".to_owned()];
        let csv = InputFormat::Csv { delimiter: b';' };
        let full = "input: {files: a.csv, delimiter: ';'}\n";
        assert_eq!(files(full, GivenInput::None), Ok((vec!["a.csv".to_owned()], csv.clone())));
        assert_eq!(files(full, GivenInput::Files(&two)), Ok((two.to_vec(), csv)));
        assert_eq!(
            files("input: a.txt\n", GivenInput::Files(&two[1..])),
            Ok((two[1..].to_vec(), InputFormat::Csv { delimiter: b',' }))
        );
        assert_eq!(files("", GivenInput::StandardInput), Ok((vec!["-".to_owned()], InputFormat::Json)));
        assert_eq!(
            files("input: a.txt\n", GivenInput::StandardInput),
            Ok((vec!["a.txt".to_owned()], InputFormat::Text))
        );
        assert_eq!(files("", GivenInput::None), Err("job.yaml:1:1: missing key `input`: the files to read".to_owned()));
        let both = ["-".to_owned(), "a.csv".to_owned()];
        assert!(
            files("", GivenInput::Files(&both)).unwrap_err().contains("standard input, `-`, cannot be read together")
        );
    }
}
