//! Page headers, read without allocating anything that they claim.

/// What a page claims about itself.
#[derive(Debug, Default)]
pub(super) struct PageHeader {
    pub(super) page_type: i32,
    pub(super) page_bytes: i32,
    pub(super) compressed_bytes: i32,
    pub(super) values: i32,
    pub(super) nulls: i32,
    pub(super) rows: i32,
    pub(super) encoding: i32,
    pub(super) definition_bytes: i32,
    pub(super) repetition_bytes: i32,
    pub(super) is_compressed: bool,
}

impl PageHeader {
    /// Takes a header in Thrift's compact protocol off the front of `bytes`.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<PageHeader> {
        let mut header = PageHeader { is_compressed: true, encoding: -1, ..PageHeader::default() };
        let mut id = 0;
        while let Some(kind) = read_field(bytes, &mut id)? {
            match (id, kind) {
                (1, INT32) => header.page_type = read_int(bytes)?,
                (2, INT32) => header.page_bytes = read_int(bytes)?,
                (3, INT32) => header.compressed_bytes = read_int(bytes)?,
                (8, STRUCT) => header.read_data_header(bytes)?,
                _ => skip(bytes, kind, 0)?,
            }
        }
        Some(header)
    }

    fn read_data_header(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let mut id = 0;
        while let Some(kind) = read_field(bytes, &mut id)? {
            match (id, kind) {
                (1, INT32) => self.values = read_int(bytes)?,
                (2, INT32) => self.nulls = read_int(bytes)?,
                (3, INT32) => self.rows = read_int(bytes)?,
                (4, INT32) => self.encoding = read_int(bytes)?,
                (5, INT32) => self.definition_bytes = read_int(bytes)?,
                (6, INT32) => self.repetition_bytes = read_int(bytes)?,
                (7, TRUE | FALSE) => self.is_compressed = kind == TRUE,
                _ => skip(bytes, kind, 0)?,
            }
        }
        Some(())
    }
}

// The types of Thrift's compact protocol that a page header may have.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const INT16: u8 = 4;
const INT32: u8 = 5;
const INT64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const STRUCT: u8 = 12;

/// Reads the start of a field: its type, or `Some(None)` at the end of the struct. Advances `id` to this field.
fn read_field(bytes: &mut &[u8], id: &mut i32) -> Option<Option<u8>> {
    let first = read_byte(bytes)?;
    if first == 0 {
        return Some(None);
    }
    *id = match first >> 4 {
        0 => read_int(bytes)?,
        step => id.checked_add(i32::from(step))?,
    };
    Some(Some(first & 15))
}

/// Skips a field's value. Page headers have no lists, sets or maps.
fn skip(bytes: &mut &[u8], kind: u8, depth: u32) -> Option<()> {
    match kind {
        TRUE | FALSE => {}
        BYTE => *bytes = bytes.get(1..)?,
        INT16 | INT32 | INT64 => {
            read_varint(bytes)?;
        }
        DOUBLE => *bytes = bytes.get(8..)?,
        BINARY => {
            let length = usize::try_from(read_varint(bytes)?).ok()?;
            *bytes = bytes.get(length..)?;
        }
        STRUCT if depth < 4 => {
            let mut id = 0;
            while let Some(kind) = read_field(bytes, &mut id)? {
                skip(bytes, kind, depth + 1)?;
            }
        }
        _ => return None,
    }
    Some(())
}

fn read_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn read_int(bytes: &mut &[u8]) -> Option<i32> {
    let zigzag = read_varint(bytes)?;
    i32::try_from((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)).ok()
}

/// Reads a number of at most ten bytes with seven bits each, the lowest first.
pub(super) fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = read_byte(bytes)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
