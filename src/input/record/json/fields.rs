//! The requested fields of a JSON record.

use crate::input::record::bad_record::BadRecord;
use crate::input::record::field::Field;
use crate::input::record::json::layout::Layout;
use crate::input::record::json::object::Node;
use crate::input::record::json::scan::Scan;
use crate::job::field::FieldPath;

/// The requested fields, as a tree of names.
#[derive(Debug, Clone)]
pub(crate) struct JsonFields {
    /// Siblings are adjacent. The first `top_count` are names of the record itself.
    nodes: Vec<Node>,
    top_count: usize,
    /// The slot of each requested field. Duplicates share one.
    slots: Vec<usize>,
    slot_count: usize,
    /// The number of the record. It makes clearing [`Node::seen`] unnecessary.
    record: u64,
    layout: Layout,
}

impl JsonFields {
    pub(crate) fn new(fields: &[FieldPath]) -> JsonFields {
        let mut distinct: Vec<&[String]> = fields.iter().map(|field| field.names.as_slice()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let slots = fields
            .iter()
            .map(|field| distinct.binary_search(&field.names.as_slice()).expect("each field is among the distinct"))
            .collect();
        let mut tree = JsonFields {
            nodes: Vec::new(),
            top_count: 0,
            slots,
            slot_count: distinct.len(),
            record: 0,
            layout: Layout::default(),
        };
        // Breadth first, so that siblings are adjacent: (parent, depth, the paths below it).
        let mut queue = vec![(None, 0, 0..distinct.len())];
        let mut next = 0;
        while let Some((parent, depth, paths)) = queue.get(next).cloned() {
            next += 1;
            let first = tree.nodes.len();
            let mut at = paths.start;
            while at < paths.end {
                let Some(name) = distinct[at].get(depth) else {
                    at += 1;
                    continue;
                };
                let same = distinct[at..paths.end].iter().take_while(|path| path.get(depth) == Some(name)).count();
                let slot = (distinct[at].len() == depth + 1).then_some(at);
                queue.push((Some(tree.nodes.len()), depth + 1, at..at + same));
                tree.nodes.push(Node { name: name.clone(), slot, children: 0..0, seen: 0 });
                at += same;
            }
            match parent {
                None => tree.top_count = tree.nodes.len(),
                Some(parent) => {
                    let parent: usize = parent;
                    tree.nodes[parent].children = first..tree.nodes.len();
                }
            }
        }
        tree
    }

    /// Returns the number of slots that [`JsonFields::extract`] fills.
    pub(crate) fn slot_count(&self) -> usize {
        self.slot_count
    }

    /// Returns the slot of each requested field.
    pub(crate) fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Returns whether each field has the slot of its own index.
    pub(crate) fn is_direct(&self) -> bool {
        self.slots.iter().enumerate().all(|(i, slot)| i == *slot)
    }

    /// Fills `slots`, which are all [`Field::Missing`], from the record `text`.
    ///
    /// A requested field that appears twice makes the record bad, because JSON does not define which one wins.
    #[inline]
    pub(crate) fn extract<'a>(&mut self, text: &'a str, slots: &mut [Field<'a>]) -> Result<(), BadRecord> {
        self.record += 1;
        let names = (self.nodes.as_mut_slice(), 0..self.top_count);
        Scan::new(text).record(names, &mut self.layout, self.record, slots).map_err(|fault| fault.explain(text))
    }
}
