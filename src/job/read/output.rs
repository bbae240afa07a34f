//! `output:`

use crate::input::record::Filter;
use crate::job::model::{Emit, JobSpec, OutputFormat, OutputSpec};
use crate::job::read::field::{expression, within_expression};
use crate::job::read::scalar::{choose, path_or_url};
use crate::job::read::section::{Mistakes, Result, Section, mark_of, node_of, unfit};
use crate::values::yaml::Node;

/// Reads the output of a job, whose rows a program emits if `is_program`.
pub(super) fn read(node: &Node, is_program: bool) -> Result<OutputSpec> {
    let default = if is_program { Emit::Rows } else { Emit::Final };
    if node.scalar().is_some() {
        return Ok(OutputSpec { files: path_or_url(node)?, format: OutputFormat::Json, emit: default, having: None });
    }
    let section = Section::new("output", node, "a directory, or a map with `files`")?;
    let mut mistakes = Mistakes::default();
    let files = mistakes.take(section.require("files", "the directory to write to").and_then(path_or_url));
    let formats = [OutputFormat::Json, OutputFormat::Csv, OutputFormat::Parquet].map(|one| (one.name(), one));
    let format = section.get("format").map_or(Ok(OutputFormat::Json), |node| choose(node, "format", &formats));
    let format = mistakes.get(format);
    let emits = [Emit::Final, Emit::Changes, Emit::Rows].map(|one| (one.name(), one));
    let emit = mistakes.get(section.get("emit").map_or(Ok(default), |node| choose(node, "emit", &emits)));
    let having = mistakes.take(section.get("having").map(|node| expression(node, "spent > 100")).transpose());
    mistakes.none()?;
    let (Some(format), Some(emit)) = (format, emit) else { unreachable!("what could not be read is a mistake") };
    if let (Some(node), true) = (section.get("emit"), (emit == Emit::Rows) != is_program) {
        return Err(node.unfit(if is_program {
            "the output of a program is the rows that it emits: use `emit: rows`"
        } else {
            "`emit: rows` needs `exec`: only a program emits rows"
        }));
    }
    if let (Some(node), true) = (section.get("format"), is_program && format != OutputFormat::Json) {
        return Err(node.unfit("the rows of a program have no fixed columns: its output needs `format: json`"));
    }
    Ok(OutputSpec { files, format, emit, having })
}

/// Rejects an output that is never written, and one that would have two columns of the same name.
pub(super) fn check(job: &JobSpec, node: Option<&Node>) -> Result<()> {
    let (Some(output), Some(node)) = (&job.output, node) else { return Ok(()) };
    check_having(job, output, node)?;
    let emit = output.emit;
    let mark = mark_of(node, "emit", None).unwrap_or(node.mark);
    if emit == Emit::Final {
        if job.input.follow {
            let reason =
                "with `follow` the input never ends, so `emit: final` never writes anything: use `emit: changes`";
            return Err(unfit(mark, reason));
        }
        return Ok(());
    }
    if !job.checkpoint.enabled {
        let name = emit.name();
        let reason =
            format!("`emit: {name}` publishes a file with each checkpoint, but `checkpoint: enabled` is false");
        return Err(unfit(mark, reason));
    }
    let is_op = |name: &str| emit == Emit::Changes && name.eq_ignore_ascii_case("op");
    if job.window.is_none()
        && (job.key_names().into_iter().any(is_op) || job.aggregates.iter().any(|one| is_op(&one.name)))
    {
        return Err(unfit(mark, "`emit: changes` adds a column `op`; rename the job's own"));
    }
    Ok(())
}

/// Rejects a `having` that is not an expression over the columns of the output.
fn check_having(job: &JobSpec, output: &OutputSpec, node: &Node) -> Result<()> {
    let (Some(having), Some(node)) = (&output.having, node_of(node, "having", None)) else { return Ok(()) };
    if job.aggregates.is_empty() {
        return Err(node.unfit("`having` needs `aggregate`: other jobs decide themselves what they output"));
    }
    let columns = job.output_columns().map(str::to_owned).collect();
    let checked = Filter::on_columns(having, columns);
    checked.map(drop).map_err(|error| within_expression(node, 0, having, error))
}
