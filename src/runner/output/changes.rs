//! The rows that changed since they were last published, on their way into the next file.

use crate::format::row_batch::RowBatch;
use crate::format::rows::{Change, Row};
use crate::job::Emit;
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::{OutputPlan, Staged};
use crate::runner::output::shown::ShownRows;
use crate::runner::output::staged::StagedFile;
use crate::runner::rejected::LateRecord;
use crate::runner::state::emitted::Emitted;
use crate::runner::state::frozen::merge_changes;
use crate::shape::RowShape;
use crate::values::id::Sequence;
use crate::values::value::Value;

/// What a shard has to publish in the next file.
#[derive(Debug, Clone, Default)]
pub struct ShardChanges {
    /// The changed rows, sorted by task and key, each key once.
    rows: RowBatch,
    emitted: Emitted,
}

impl ShardChanges {
    /// Adds the changes in `rows`, the sorted rows of a later cut.
    pub fn add_rows(&mut self, rows: &RowBatch) {
        self.rows = merge_changes(&self.rows, rows, |_, change| change != Change::None);
    }

    /// Adds what the shard has emitted up to a later cut.
    pub fn add_emitted(&mut self, emitted: Emitted) {
        self.emitted.append(emitted);
    }

    pub fn late_count(&self) -> u64 {
        self.emitted.late_count()
    }

    /// Takes the late records that were kept.
    pub fn take_late(&mut self) -> Vec<LateRecord> {
        self.emitted.take_late()
    }

    /// Adds what came after this.
    pub fn append(&mut self, later: ShardChanges) {
        self.add_rows(&later.rows);
        self.add_emitted(later.emitted);
    }
}

/// Stages the file of checkpoint `sequence` with the changes of `shards`, in the order of `visit_changes`, and flushes it.
/// Returns `None` if there are no changes.
pub fn stage_changes(
    plan: &OutputPlan,
    shape: &RowShape,
    sequence: Sequence,
    shards: &[&ShardChanges],
    shown: Option<&mut ShownRows>,
) -> Result<Option<Staged>, OutputError> {
    let mut file = LazyFile { plan, shape, sequence, file: None };
    visit_changes(shape, shards, shown, &mut file)?;
    file.file.map(StagedFile::finish).transpose()
}

/// Takes the rows and objects that a checkpoint publishes, in their order.
pub(crate) trait RowSink {
    /// Takes a row, one value per column.
    fn row(&mut self, values: &[Value], is_deleted: bool) -> Result<(), OutputError>;

    /// Takes objects that a program has emitted, one per line.
    fn objects(&mut self, lines: &[u8]) -> Result<(), OutputError>;
}

/// Passes the changes of `shards` to `sink`, the rows sorted by key, then the objects. With `shown`, a row that readers have
/// and for which `having` is no longer true is deleted.
pub(crate) fn visit_changes(
    shape: &RowShape,
    shards: &[&ShardChanges],
    mut shown: Option<&mut ShownRows>,
    sink: &mut dyn RowSink,
) -> Result<(), OutputError> {
    shown.iter_mut().for_each(|shown| shown.begin());
    let batches: Vec<&RowBatch> = shards.iter().flat_map(|shard| [&shard.rows, shard.emitted.rows()]).collect();
    let mut order: Vec<(u32, u32)> = Vec::new();
    for (place, batch) in batches.iter().enumerate() {
        order.extend((0..batch.len()).map(|row| (place as u32, row as u32)));
    }
    let row = |&(place, row): &(u32, u32)| batches[place as usize].row(row as usize);
    // The rows of a batch are sorted by task and key, and a stable sort merges what is sorted already.
    if shape.has_task {
        order.sort_by(|a, b| (row(a).key, row(a).task).cmp(&(row(b).key, row(b).task)));
    } else {
        order.sort_by(|a, b| shape.order_of(row(a).key).cmp(&shape.order_of(row(b).key)));
    }
    for place in &order {
        let change = batches[place.0 as usize].change(place.1 as usize);
        let row = row(place);
        let key = shape.row_key(row.task, row.key);
        let row = Row { key: &key, ..row };
        if let Some((values, is_deleted)) = output_of(shape, change, row, shown.as_deref_mut())? {
            sink.row(&values, is_deleted)?;
        }
    }
    let objects = shards.iter().map(|shard| shard.emitted.objects());
    objects.filter(|objects| !objects.is_empty()).try_for_each(|objects| sink.objects(objects))
}

/// Returns the values of a changed row, and whether it is deleted, if it is output.
fn output_of(
    shape: &RowShape,
    change: Change,
    row: Row<'_>,
    shown: Option<&mut ShownRows>,
) -> Result<Option<(Vec<Value>, bool)>, OutputError> {
    let mut values = shape.values(change, row.key, row.value);
    let keeps = row.value.is_some() && shape.keeps(row.key, &values)?;
    let Some(shown) = shown else {
        return Ok((keeps || row.value.is_none()).then_some((values, row.value.is_none())));
    };
    Ok(match shown.stage(row.key, keeps) {
        Change::None => None,
        Change::Delete => Some((shape.values(Change::Delete, row.key, None), true)),
        change => {
            values[0] = Value::Text(change.name().to_owned());
            Some((values, false))
        }
    })
}

/// A file that is created when it gets its first row.
struct LazyFile<'a> {
    plan: &'a OutputPlan,
    shape: &'a RowShape,
    sequence: Sequence,
    file: Option<StagedFile<'a>>,
}

impl<'a> LazyFile<'a> {
    fn get(&mut self) -> Result<&mut StagedFile<'a>, OutputError> {
        let file = match self.file.take() {
            Some(file) => file,
            None if self.plan.emit == Emit::Rows => StagedFile::create(self.plan, self.sequence, &self.plan.columns)?,
            None => StagedFile::create(self.plan, self.sequence, &self.shape.columns())?,
        };
        Ok(self.file.insert(file))
    }
}

impl RowSink for LazyFile<'_> {
    fn row(&mut self, values: &[Value], _: bool) -> Result<(), OutputError> {
        self.get()?.push(values)
    }

    fn objects(&mut self, lines: &[u8]) -> Result<(), OutputError> {
        self.get()?.push_objects(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type ChangedRow = (Change, &'static str, Option<&'static str>);

    fn batch(rows: &[ChangedRow]) -> RowBatch {
        let mut batch = RowBatch::new();
        for (change, key, value) in rows {
            let write = |bytes: &mut Vec<u8>| bytes.extend_from_slice(value.unwrap_or_default().as_bytes());
            batch.push_changed(1, key.as_bytes(), *change, value.is_some(), write);
        }
        batch.sort();
        batch
    }

    #[test]
    fn rows_of_two_cuts_are_published_as_one_change_each() {
        use Change::{Delete, Insert, None as Nothing, Update};
        let mut changes = ShardChanges::default();
        changes.add_rows(&batch(&[
            (Insert, "a", Some("1")),
            (Insert, "b", Some("1")),
            (Update, "c", Some("1")),
            (Delete, "d", None),
            (Nothing, "e", Some("1")),
            (Insert, "z", Some("1")),
        ]));
        changes.add_rows(&batch(&[
            (Update, "a", Some("2")),
            (Delete, "b", None),
            (Delete, "c", None),
            (Insert, "d", Some("2")),
            (Update, "e", Some("2")),
            (Nothing, "z", Some("1")),
        ]));
        let rows: Vec<_> = (0..changes.rows.len())
            .map(|index| {
                let row = changes.rows.row(index);
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (changes.rows.change(index), text(row.key), row.value.map(text))
            })
            .collect();
        let expected: [ChangedRow; 5] = [
            (Insert, "a", Some("2")),
            (Delete, "c", None),
            (Update, "d", Some("2")),
            (Update, "e", Some("2")),
            (Insert, "z", Some("1")),
        ];
        assert_eq!(rows, expected.map(|(change, key, value)| (change, key.to_owned(), value.map(str::to_owned))));
    }
}
