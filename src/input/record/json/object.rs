//! Objects whose fields are requested.

use std::ops::Range;

use crate::input::record::field::Field;
use crate::input::record::json::fault::{Fault, FaultKind, Scanned};
use crate::input::record::json::layout::Layout;
use crate::input::record::json::scan::{DEPTH_LIMIT, Quoted, Scan};

/// A name that a requested path contains.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    /// The slot for its value, if a path ends here.
    pub(super) slot: Option<usize>,
    /// The names that may follow it.
    pub(super) children: Range<usize>,
    /// The number of the last record that had this name.
    pub(super) seen: u64,
}

/// All requested names, and which of them an object may have.
pub(super) type Names<'n> = (&'n mut [Node], Range<usize>);

impl<'a> Scan<'a> {
    /// Scans the whole record and fills `slots`. `record` is its number.
    #[inline]
    pub(super) fn record(
        &mut self,
        names: Names<'_>,
        layout: &mut Layout,
        record: u64,
        slots: &mut [Field<'a>],
    ) -> Scanned<()> {
        if self.after_space() != Some(b'{') {
            return Err(self.fault(FaultKind::NotAnObject));
        }
        self.at += 1;
        self.object(names, Some(layout), record, slots, 1)?;
        match self.after_space() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the record")),
        }
    }

    /// Scans an object after its `{`. With a `layout`, names are first expected as it has them.
    #[inline(always)]
    fn object(
        &mut self,
        (nodes, siblings): Names<'_>,
        mut layout: Option<&mut Layout>,
        record: u64,
        slots: &mut [Field<'a>],
        depth: u32,
    ) -> Scanned<()> {
        match self.after_space() {
            Some(b'}') => {
                self.at += 1;
                return Ok(());
            }
            Some(b'"') => {}
            _ => return Err(self.expected("a name or `}`")),
        }
        let mut place = 0;
        loop {
            let name_at = self.at;
            let found = match layout.as_deref().and_then(|layout| layout.known(place, self.bytes, self.at)) {
                Some(known) => {
                    self.at += known.length;
                    known.node
                }
                None => {
                    let found = self.searched_name(nodes, siblings.clone())?;
                    if let Some(layout) = &mut layout {
                        layout.learn(place, &self.bytes[name_at..self.at], found);
                    }
                    found
                }
            };
            place += 1;
            match found {
                None => {
                    self.value(depth)?;
                }
                Some(found) => {
                    let node = &mut nodes[found];
                    if node.seen == record {
                        return Err(Fault { at: name_at, kind: FaultKind::Duplicate(node.name.clone()) });
                    }
                    node.seen = record;
                    if node.children.is_empty() || self.after_space() != Some(b'{') {
                        let slot = node.slot;
                        let value = self.value(depth)?;
                        if let Some(slot) = slot {
                            slots[slot] = value.field(self);
                        }
                    } else {
                        self.object_below(nodes, found, record, slots, depth)?;
                    }
                }
            }
            match self.after_space() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `}`")),
            }
            if self.after_space() != Some(b'"') {
                return Err(self.expected("a name"));
            }
        }
    }

    /// Scans the object that is the value of `nodes[found]`. Kept out of line because requests for nested fields are
    /// rare.
    #[inline(never)]
    fn object_below(
        &mut self,
        nodes: &mut [Node],
        found: usize,
        record: u64,
        slots: &mut [Field<'a>],
        depth: u32,
    ) -> Scanned<()> {
        let start = self.at;
        if depth >= DEPTH_LIMIT {
            return Err(self.too_deep());
        }
        self.at += 1;
        let Node { slot, children, .. } = nodes[found].clone();
        self.object((nodes, children), None, record, slots, depth + 1)?;
        if let Some(slot) = slot {
            slots[slot] = Field::Json(&self.text[start..self.at]);
        }
        Ok(())
    }

    /// Scans a name and its colon, and returns which of `siblings` it is.
    #[inline]
    fn searched_name(&mut self, nodes: &[Node], siblings: Range<usize>) -> Scanned<Option<usize>> {
        self.at += 1;
        let name = self.string()?;
        if self.after_space() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(self.find(&name, nodes, siblings))
    }

    #[inline]
    fn find(&self, name: &Quoted, nodes: &[Node], siblings: Range<usize>) -> Option<usize> {
        if name.escaped {
            let name = self.unescaped(name);
            return nodes[siblings.clone()].iter().position(|node| node.name == name).map(|i| siblings.start + i);
        }
        let name = &self.bytes[name.inside.clone()];
        nodes[siblings.clone()].iter().position(|node| node.name.as_bytes() == name).map(|i| siblings.start + i)
    }
}
