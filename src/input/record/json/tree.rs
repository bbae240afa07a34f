//! A JSON object or array as a tree of values.

use std::borrow::Cow;

use crate::input::record::bad_record::BadRecord;
use crate::input::record::json::fault::{Fault, FaultKind, Scanned};
use crate::input::record::json::scan::{Scan, Span};
use crate::values::number_text::canonical_number;

/// A JSON value with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree<'a> {
    Null,
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Tree<'a>>),
    /// Members with different names, sorted by name.
    Object(Vec<(Cow<'a, str>, Tree<'a>)>),
}

impl<'a> Tree<'a> {
    /// Parses a value of a record that was checked, so it is not nested too deep.
    ///
    /// An object that has a name twice makes the record bad, because JSON does not define which one wins.
    pub(crate) fn parse(text: &'a str) -> Result<Tree<'a>, BadRecord> {
        Tree::take(&mut Scan::new(text)).map_err(|fault| fault.explain(text))
    }

    /// Parses any text. Nothing if it is not one JSON value, or is nested deeper than a record may be.
    pub(crate) fn of_any(text: &'a str) -> Option<Tree<'a>> {
        let mut scan = Scan::new(text);
        scan.value(0).ok()?;
        match scan.after_space() {
            None => Tree::parse(text).ok(),
            Some(_) => None,
        }
    }

    fn take(scan: &mut Scan<'a>) -> Scanned<Tree<'a>> {
        match scan.after_space() {
            Some(b'{') => Tree::take_object(scan),
            Some(b'[') => Tree::take_list(scan),
            _ => Ok(match scan.value(0)? {
                Span::Text(quoted) => Tree::Text(scan.unescaped(&quoted)),
                Span::Number(range) | Span::Json(range) => Tree::Number(&scan.text[range]),
                Span::Bool(yes) => Tree::Bool(yes),
                Span::Null => Tree::Null,
            }),
        }
    }

    fn take_list(scan: &mut Scan<'a>) -> Scanned<Tree<'a>> {
        let mut values = Vec::new();
        scan.at += 1;
        if scan.after_space() == Some(b']') {
            scan.at += 1;
            return Ok(Tree::List(values));
        }
        loop {
            values.push(Tree::take(scan)?);
            let next = scan.after_space();
            scan.at += 1;
            match next {
                Some(b',') => {}
                Some(b']') => return Ok(Tree::List(values)),
                _ => return Err(scan.expected("`,` or `]`")),
            }
        }
    }

    fn take_object(scan: &mut Scan<'a>) -> Scanned<Tree<'a>> {
        let start = scan.at;
        let mut members = Vec::new();
        scan.at += 1;
        if scan.after_space() == Some(b'}') {
            scan.at += 1;
            return Ok(Tree::Object(members));
        }
        loop {
            scan.after_space();
            scan.at += 1;
            let name = scan.string()?;
            let name = scan.unescaped(&name);
            scan.after_space();
            scan.at += 1;
            members.push((name, Tree::take(scan)?));
            let next = scan.after_space();
            scan.at += 1;
            match next {
                Some(b',') => {}
                Some(b'}') => break,
                _ => return Err(scan.expected("`,` or `}`")),
            }
        }
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        match members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(Fault { at: start, kind: FaultKind::Duplicate(pair[0].0.to_string()) }),
            None => Ok(Tree::Object(members)),
        }
    }

    /// Returns the text that all spellings of the value have in common: names sorted, no white space, and one way to
    /// write each number and text.
    pub(crate) fn canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, to: &mut String) {
        let quoted = |text: &str| serde_json::to_string(text).expect("text is always JSON");
        match self {
            Tree::Null => to.push_str("null"),
            Tree::Bool(yes) => to.push_str(if *yes { "true" } else { "false" }),
            Tree::Number(text) => to.push_str(&canonical_number(text)),
            Tree::Text(text) => to.push_str(&quoted(text)),
            Tree::List(values) => {
                to.push('[');
                for (index, value) in values.iter().enumerate() {
                    to.push_str(if index > 0 { "," } else { "" });
                    value.write(to);
                }
                to.push(']');
            }
            Tree::Object(members) => {
                to.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    to.push_str(if index > 0 { "," } else { "" });
                    to.push_str(&quoted(name));
                    to.push(':');
                    value.write(to);
                }
                to.push('}');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_value_have_one_canonical_text() {
        for (spellings, canonical) in [
            (&["[1]", "[ 1 ]", "[1.0]", "[10e-1]"][..], "[1]"),
            (&[r#"["é"]"#, r#"["\u00e9"]"#, "[\"\\u00E9\" ]"], r#"["é"]"#),
            (&[r#"{"x":1,"y":[]}"#, "{ \"y\" : [ ] , \"\\u0078\" : 1 }"], r#"{"x":1,"y":[]}"#),
            (&[r#"[{},[[]],null,true,false,"a\"\/b"]"#], r#"[{},[[]],null,true,false,"a\"/b"]"#),
        ] {
            for spelling in spellings {
                assert_eq!(Tree::parse(spelling).unwrap().canonical(), canonical, "{spelling}");
            }
        }
        for different in ["[1,2]", "[2,1]", r#"["1"]"#, r#"{"a":null}"#, "{}", "[true]", r#"["true"]"#, "[null]"] {
            assert_eq!(Tree::parse(different).unwrap().canonical(), different);
        }
    }

    #[test]
    fn a_name_that_an_object_has_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"c":2,"\u0061":1}}]"#] {
            assert_eq!(Tree::parse(text).unwrap_err().reason, "field `a` appears twice", "{text}");
        }
        assert!(Tree::parse(r#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }
}
