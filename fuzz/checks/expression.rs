//! Expressions in job files: `where`, the names of fields, aggregates.

use std::borrow::Cow;

use ckpt::input::record::{Field, Filter};
use ckpt::job::FieldPath;

/// A filter gives the same answer each time; a field name prints as text that parses to the same name.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(path) = FieldPath::parse(text) {
        assert_eq!(FieldPath::parse(&path.to_string()), Ok(path));
    }
    let Ok(filter) = Filter::new(text) else { return };
    let samples = [
        Field::Missing,
        Field::Text(Cow::Borrowed("a\u{e9}1")),
        Field::Number("-12.50e1"),
        Field::Bool(true),
        Field::Json("{\"a\":[1,2,{\"b\":null}]}"),
    ];
    for first in 0..samples.len() {
        let fields: Vec<Field<'_>> =
            (0..filter.fields().len()).map(|at| samples[(first + at) % samples.len()].clone()).collect();
        assert_eq!(filter.keeps(&fields), filter.clone().keeps(&fields));
        let _ = filter.clone().with_numbers_in_text().keeps(&fields);
    }
}
