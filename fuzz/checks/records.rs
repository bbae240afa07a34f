//! Records: JSON, CSV and text. The first byte selects the format.

use std::collections::BTreeMap;
use std::sync::Arc;

use ckpt::input::Block;
use ckpt::input::record::{Extractor, Field, Header};
use ckpt::job::{FieldPath, InputFormat};
use serde_json::Value;

/// Records are where the reader says they are, and an independent reader finds the same contents in them.
pub fn check(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    let fields = ["a", "b", "line", "word"].map(FieldPath::of);
    let nested = FieldPath { names: vec!["a".to_owned(), "b".to_owned()] };
    let fields: Vec<FieldPath> = fields.into_iter().chain([nested]).collect();
    let (format, header) = match kind % 4 {
        0 => (InputFormat::Json, None),
        1 => {
            let names = ["a", "b", "c"].map(str::to_owned).to_vec();
            (InputFormat::Csv { delimiter: b',' }, Some(Arc::new(Header { names })))
        }
        2 => (InputFormat::Text, None),
        _ => (InputFormat::Words, None),
    };
    let block = Block {
        number: 0,
        partition: 0,
        stream: 0,
        offset: 0,
        bytes: bytes.to_vec(),
        end_offset: bytes.len() as u64,
        continues_line: false,
        header,
        messages: None,
        released: Vec::new(),
    };
    let mut last = None;
    Extractor::new(&format, &fields, 1 << 20).each(&block, |place, record| {
        assert_eq!(&bytes[place.at..][..place.bytes.len()], place.bytes);
        assert!(last.is_none_or(|last| last < place.index || (format == InputFormat::Words && last == place.index)));
        last = Some(place.index);
        match (&format, record) {
            (InputFormat::Json, record) => json(place.bytes, record.ok()),
            (InputFormat::Csv { .. }, Ok(fields)) => csv(place.bytes, fields),
            (_, Ok(fields)) => assert!(std::str::from_utf8(place.bytes).is_ok() && fields.len() == 5),
            _ => {}
        }
        true
    });
}

fn json(bytes: &[u8], fields: Option<&[Field<'_>]>) {
    let theirs = serde_json::from_slice::<BTreeMap<String, &serde_json::value::RawValue>>(bytes);
    let Some(fields) = fields else { return };
    // This reader accepts more in two ways only: any depth, and numbers of any size.
    let theirs = match theirs {
        Ok(theirs) => theirs,
        Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(bytes)),
    };
    for (name, field) in ["a", "b"].iter().zip(fields) {
        let Some(raw) = theirs.get(*name) else {
            assert_eq!(*field, Field::Missing);
            continue;
        };
        let raw = raw.get();
        match field {
            Field::Missing => assert_eq!(raw, "null"),
            Field::Text(text) => {
                if let Ok(Value::String(same)) = serde_json::from_str(raw) {
                    assert_eq!(*text, same);
                }
            }
            Field::Number(text) | Field::Json(text) => assert_eq!(*text, raw),
            Field::Bool(yes) => assert_eq!(raw, yes.to_string()),
        }
    }
}

fn csv(bytes: &[u8], fields: &[Field<'_>]) {
    // The independent reader removes the byte order mark from any text that begins with one.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return;
    }
    let mut reader = csv_core::ReaderBuilder::new().terminator(csv_core::Terminator::Any(b'\n')).build();
    let (mut output, mut ends) = (vec![0; bytes.len() + 16], [0; 8]);
    let (_, _, written, count) = reader.read_record(bytes, &mut output, &mut ends);
    let (_, _, more, last) = reader.read_record(&[], &mut output[written..], &mut ends[count..]);
    let (_, end) = (written + more, count + last);
    assert_eq!(end, 3, "{:?}", String::from_utf8_lossy(bytes));
    let mut start = 0;
    for (at, field) in fields.iter().take(2).enumerate() {
        let theirs = &output[start..ends[at]];
        start = ends[at];
        match field {
            Field::Missing => assert!(theirs.is_empty()),
            Field::Text(text) => assert_eq!(text.as_bytes(), theirs),
            other => panic!("{other:?} in CSV"),
        }
    }
}
