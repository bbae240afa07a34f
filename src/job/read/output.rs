//! `output:`

use std::path::PathBuf;

use crate::input::record::Filter;
use crate::job::model::{Emit, JobSpec, OutputFormat, OutputSpec, TopicSpec};
use crate::job::read::columns;
use crate::job::read::field::{expression, within_expression};
use crate::job::read::scalar::{choose, path_or_url};
use crate::job::read::section::{Mistakes, Result, Section, mark_of, node_of, unfit};
use crate::job::read::topic;
use crate::values::yaml::Node;

/// Reads the output of a job, whose rows a program emits if `is_program`, and whose input may be a topic.
pub(super) fn read(node: &Node, is_program: bool, input: Option<&TopicSpec>) -> Result<OutputSpec> {
    if node.scalar().is_some() {
        return Ok(OutputSpec {
            files: path_or_url(node)?,
            topic: None,
            format: OutputFormat::Json,
            emit: if is_program { Emit::Rows } else { Emit::Final },
            columns: Vec::new(),
            having: None,
        });
    }
    let section = Section::new("output", node, "a directory, or a map with `files` or `kafka`")?;
    let mut mistakes = Mistakes::default();
    let topic = section.get("kafka").map(|node| topic::read_output(node, input));
    let topic = mistakes.take(topic.transpose());
    let files = match (section.get("kafka"), section.get("files")) {
        (None, _) => section.require("files", "the directory to write to").and_then(path_or_url),
        (Some(_), None) => Ok(PathBuf::new()),
        (Some(_), Some(files)) => Err(files.unfit("`files` cannot be used with `kafka`: a job has one output")),
    };
    let files = mistakes.take(files);
    let default = match section.get("kafka") {
        _ if is_program => Emit::Rows,
        Some(_) => Emit::Changes,
        None => Emit::Final,
    };
    let names = [OutputFormat::Json, OutputFormat::Csv, OutputFormat::Parquet].map(|one| (one.name(), one));
    let formats = [&names[..1], &[("jsonl", OutputFormat::Json)], &names[1..]].concat();
    let format = section.get("format").map_or(Ok(OutputFormat::Json), |node| choose(node, "format", &formats));
    let format = mistakes.get(format);
    let emits = [Emit::Final, Emit::Changes, Emit::Rows].map(|one| (one.name(), one));
    let emit = mistakes.get(section.get("emit").map_or(Ok(default), |node| choose(node, "emit", &emits)));
    let having = mistakes.take(section.get("having").map(|node| expression(node, "spent > 100")).transpose());
    let columns = mistakes.get(section.get("columns").map_or(Ok(Vec::new()), columns::of_rows));
    mistakes.none()?;
    let (Some(format), Some(emit), Some(columns)) = (format, emit, columns) else {
        unreachable!("what could not be read is a mistake")
    };
    if let (Some(node), true) = (section.get("emit"), emit == Emit::Rows && !is_program) {
        return Err(node.unfit("`emit: rows` needs `exec`: only a program emits rows"));
    }
    if let (Some(node), true) = (section.get("columns"), emit != Emit::Rows) {
        return Err(node.unfit("`columns` of `output` are those of emitted rows, which only `emit: rows` writes"));
    }
    if let (Some(node), true) = (section.get("format"), emit == Emit::Rows && columns.is_empty()) {
        let name = format.name();
        if format != OutputFormat::Json {
            return Err(
                node.unfit(format!("`format: {name}` needs `columns`: those of the rows that the program emits"))
            );
        }
    }
    if topic.is_some() {
        check_topic(&section, format, emit)?;
    }
    Ok(OutputSpec { files, topic, format, emit, columns, having })
}

/// Rejects what a topic cannot have.
fn check_topic(section: &Section<'_>, format: OutputFormat, emit: Emit) -> Result<()> {
    if let (Some(node), true) = (section.get("format"), format != OutputFormat::Json) {
        return Err(node.unfit(format!("`format: {}` cannot be used with `kafka`: messages are JSON", format.name())));
    }
    match section.get("emit").filter(|_| emit == Emit::Final) {
        Some(node) => Err(node.unfit("`emit: final` cannot be used with `kafka`: use `emit: changes`")),
        None => Ok(()),
    }
}

/// Rejects an output that is never written, and one that would have two columns of the same name.
pub(super) fn check(job: &JobSpec, node: Option<&Node>) -> Result<()> {
    let (Some(output), Some(node)) = (&job.output, node) else { return Ok(()) };
    check_having(job, output, node)?;
    if let (Some(input), Some(topic)) = (&job.input.topic, &output.topic)
        && (&input.topic, &input.brokers) == (&topic.topic, &topic.brokers)
    {
        let mark = mark_of(node, "kafka", None).unwrap_or(node.mark);
        return Err(unfit(mark, format!("topic `{}` cannot be both the input and the output of a job", topic.topic)));
    }
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
        let reason = format!("`emit: {name}` publishes rows with each checkpoint, but `checkpoint: enabled` is false");
        return Err(unfit(mark, reason));
    }
    let is_op = |name: &str| emit == Emit::Changes && name.eq_ignore_ascii_case("op");
    let of_program = job.exec.iter().flat_map(|exec| &exec.columns).map(|column| &column.name);
    let mut columns = job.aggregates.iter().map(|one| &one.name).chain(of_program);
    let has_op = job.exec.is_none() && job.key_names().into_iter().any(is_op) || columns.any(|name| is_op(name));
    if job.window.is_none() && has_op {
        return Err(unfit(mark, "`emit: changes` adds a column `op`; rename the job's own"));
    }
    Ok(())
}

/// Rejects a `having` that is not an expression over the columns of the output.
fn check_having(job: &JobSpec, output: &OutputSpec, node: &Node) -> Result<()> {
    let (Some(having), Some(node)) = (&output.having, node_of(node, "having", None)) else { return Ok(()) };
    if job.native.is_some() {
        return Err(node.unfit("`having` cannot be used with `native`: the processor decides what it outputs"));
    }
    if output.emit == Emit::Rows {
        let reason = "`having` cannot be used with `emit: rows`: the program decides which rows it emits";
        return Err(node.unfit(reason));
    }
    if job.exec.as_ref().is_some_and(|exec| exec.columns.is_empty()) {
        let reason = "`having` needs `columns` in `process`, which say what the values of the program's state are";
        return Err(node.unfit(reason));
    }
    let checked = Filter::on_columns(having, &job.output_columns());
    checked.map(drop).map_err(|error| within_expression(node, 0, having, error))
}
