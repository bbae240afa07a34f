//! Expressions in job files: `where`, the names of fields, aggregates.

use std::borrow::Cow;
use std::slice;

use ckpt::input::record::{Computation, Field, Filter};
use ckpt::job::{ComputedField, FieldPath, InputFormat, KnownFields};

/// A filter gives the same answer each time; a field name prints as text that parses to the same name.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(path) = FieldPath::parse(text) {
        assert_eq!(FieldPath::parse(&path.to_string()), Ok(path));
    }
    computed(text);
    let Ok(filter) = Filter::new(text) else { return };
    let samples = samples();
    for first in 0..samples.len() {
        let fields: Vec<Field<'_>> =
            (0..filter.fields().len()).map(|at| samples[(first + at) % samples.len()].clone()).collect();
        assert_eq!(filter.keeps(&fields), filter.clone().keeps(&fields));
        let _ = filter.clone().with_numbers_in_text().keeps(&fields);
    }
}

/// A computed field has the same value each time.
fn computed(text: &str) {
    let earlier = ComputedField { name: "earlier".to_owned(), expression: "1".to_owned(), fields: Vec::new() };
    for format in [InputFormat::Json, InputFormat::Csv { delimiter: b',' }] {
        let known = KnownFields::OfRecords { format: &format, computed: slice::from_ref(&earlier) };
        let Ok(computation) = Computation::new("x", text, known) else { return };
        let samples = samples();
        for first in 0..samples.len() {
            let count = computation.fields().len();
            let fields: Vec<Field<'_>> = (0..count).map(|at| samples[(first + at) % samples.len()].clone()).collect();
            assert_eq!(computation.compute(&fields), computation.clone().compute(&fields));
        }
    }
}

fn samples() -> [Field<'static>; 5] {
    [
        Field::Missing,
        Field::Text(Cow::Borrowed("a\u{e9}1")),
        Field::Number("-12.50e1"),
        Field::Bool(true),
        Field::Json("{\"a\":[1,2,{\"b\":null}]}"),
    ]
}
