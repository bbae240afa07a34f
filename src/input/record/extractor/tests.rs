use super::*;
use proptest::prelude::*;

fn paths(names: &[&str]) -> Vec<FieldPath> {
    names.iter().map(|path| FieldPath { names: path.split('.').map(str::to_owned).collect() }).collect()
}

fn block(bytes: &[u8], header: Option<&[&str]>) -> Block {
    let header = header.map(|names| Arc::new(Header { names: names.iter().map(|name| (*name).to_owned()).collect() }));
    Block {
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
    }
}

fn show(field: &Field<'_>) -> String {
    match field {
        Field::Missing => "-".to_owned(),
        Field::Text(text) => format!("'{text}'"),
        Field::Number(text) | Field::Json(text) => (*text).to_owned(),
        Field::Bool(yes) => yes.to_string(),
    }
}

/// What `visit` was given: each record's place, index, and fields or reason.
fn visited(format: &InputFormat, fields: &[&str], block: &Block, max_record_bytes: u64) -> Vec<String> {
    let mut seen = Vec::new();
    let count = Extractor::new(format, &paths(fields), max_record_bytes).each(block, |place, record| {
        assert_eq!(&block.bytes[place.at..][..place.bytes.len()], place.bytes);
        let what = match record {
            Ok(fields) => fields.iter().map(show).collect::<Vec<_>>().join(" "),
            Err(bad) => format!("bad: {bad}"),
        };
        seen.push(format!("{}@{} {what}", place.index, place.at));
        true
    });
    let indexes: std::collections::BTreeSet<&str> = seen.iter().filter_map(|one| one.split('@').next()).collect();
    if *format != InputFormat::Words {
        assert_eq!(count, indexes.len() as u64);
    }
    seen
}

fn json(fields: &[&str], record: &str) -> String {
    let seen = visited(&InputFormat::Json, fields, &block(record.as_bytes(), None), 1 << 24);
    assert_eq!(seen.len(), 1, "{record}");
    seen[0].strip_prefix("0@0 ").expect("one record at the beginning").to_owned()
}

#[test]
fn json_fields_come_as_they_are_written_in_the_order_of_the_request() {
    let record = r#" {"a" : 1.50e+3,"b":"x\n\u00e5\ud83d\ude00\/","c":{"d":{"e":true,"f":[1 , {}]}},"g":null,"h":-0} "#
        .trim_start();
    assert_eq!(json(&["b", "a", "h"], record), "'x\nå😀/' 1.50e+3 -0");
    assert_eq!(json(&["c.d.e", "c.d.f", "c.x", "c.d.e.z", "a.b"], record), "true [1 , {}] - - -");
    assert_eq!(
        json(&["c", "c.d", "c.d", "g", "nothing"], record),
        r#"{"d":{"e":true,"f":[1 , {}]}} {"e":true,"f":[1 , {}]} {"e":true,"f":[1 , {}]} - -"#
    );
    assert_eq!(json(&[], record), "");
    assert_eq!(json(&["å\n"], r#"{"\u00e5\n":1}"#), "1");
    assert_eq!(json(&["a"], "{}"), "-");
}

#[test]
fn malformed_json_is_bad_wherever_it_is() {
    for (record, reason) in [
        ("[1]", "is a JSON array, expected an object"),
        ("\"x\"", "is a JSON string, expected an object"),
        ("12", "is a JSON number, expected an object"),
        ("null", "is JSON `null`, expected an object"),
        ("nul", "malformed JSON at byte 0: expected `{`, found `n`"),
        ("{\"a\":1", "malformed JSON at byte 6: expected `,` or `}`, found the end of the record"),
        ("{\"a\":1}}", "malformed JSON at byte 7: expected the end of the record, found `}`"),
        ("{\"a\":1} x", "malformed JSON at byte 8: expected the end of the record, found `x`"),
        ("{\"a\":1,}", "malformed JSON at byte 7: expected a name, found `}`"),
        ("{,}", "malformed JSON at byte 1: expected a name or `}`, found `,`"),
        ("{\"a\" 1}", "malformed JSON at byte 5: expected `:`, found `1`"),
        ("{\"a\":01}", "malformed JSON at byte 6: a number must not begin with a zero"),
        ("{\"a\":1.}", "malformed JSON at byte 7: expected a digit, found `}`"),
        ("{\"a\":.5}", "malformed JSON at byte 5: expected a value, found `.`"),
        ("{\"a\":-}", "malformed JSON at byte 6: expected a digit, found `}`"),
        ("{\"a\":1e}", "malformed JSON at byte 7: expected a digit, found `}`"),
        ("{\"a\":+1}", "malformed JSON at byte 5: expected a value, found `+`"),
        ("{\"a\":NaN}", "malformed JSON at byte 5: expected a value, found `N`"),
        ("{\"a\":truE}", "malformed JSON at byte 5: expected a value, found `t`"),
        ("{\"a\":\"\t\"}", "malformed JSON at byte 6: a control character in a string must be escaped"),
        ("{\"a\":\"x", "malformed JSON at byte 7: expected the closing `\"` of a string, found the end of the record"),
        ("{\"a\":\"\\", "malformed JSON at byte 6: invalid JSON escape"),
        ("{\"a\":\"\\x\"}", "malformed JSON at byte 6: invalid JSON escape"),
        ("{\"a\":\"\\u12g4\"}", "malformed JSON at byte 6: `\\u` needs four hexadecimal digits"),
        ("{\"a\":\"\\u+123\"}", "malformed JSON at byte 6: `\\u` needs four hexadecimal digits"),
        ("{\"a\":\"\\ud800\"}", "malformed JSON at byte 6: half of a surrogate pair"),
        ("{\"a\":\"\\ud800\\u0041\"}", "malformed JSON at byte 6: half of a surrogate pair"),
        ("{\"a\":\"\\udc00\"}", "malformed JSON at byte 6: half of a surrogate pair"),
        ("{\"a\":[1,]}", "malformed JSON at byte 8: expected a value, found `]`"),
        ("{\"a\":[1}}", "malformed JSON at byte 7: expected `,` or `]`, found `}`"),
        ("{\"a\":[1 2]}", "malformed JSON at byte 8: expected `,` or `]`, found `2`"),
        ("{\"a\":{\"b\":1]}", "malformed JSON at byte 11: expected `,` or `}`, found `]`"),
        ("{\"a\":{1:1}}", "malformed JSON at byte 6: expected a name or `}`, found `1`"),
        ("{'a':1}", "malformed JSON at byte 1: expected a name or `}`, found `'`"),
        ("{\"a\":1}\0", "malformed JSON at byte 7: expected the end of the record, found `\\u{0}`"),
    ] {
        for asked in [&[][..], &["a"], &["a.b"], &["z"]] {
            assert_eq!(json(asked, record), format!("bad: {reason}"), "{record} {asked:?}");
        }
    }
    assert_eq!(json(&["a"], r#"{"a":1,"a":1}"#), "bad: field `a` appears twice");
    assert_eq!(json(&["u.id"], r#"{"u":{"id":1},"u":{}}"#), "bad: field `u` appears twice");
    assert_eq!(json(&["b"], r#"{"a":1,"a":1}"#), "-");
    let invalid = visited(&InputFormat::Json, &["a"], &block(b"{\"a\":1}\n{\"a\":\"\xff\"}\n{\"a\":2}\n", None), 100);
    assert_eq!(invalid, ["0@0 1", "1@8 bad: invalid UTF-8 at byte 6", "2@18 2"]);
}

#[test]
fn json_of_any_depth_uses_no_stack() {
    for asked in [&["a"][..], &["a.a"], &[]] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |depth: usize| format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth));
            assert!(!json(asked, &nested(127)).starts_with("bad"), "{open}");
            let bad = json(asked, &nested(128));
            assert!(bad.ends_with("objects and arrays are nested more than 128 deep"), "{bad}");
            assert!(json(asked, &format!("{{\"a\":{}", open.repeat(1_000_000))).ends_with("128 deep"));
        }
    }
    let deep: Vec<String> = vec!["a".to_owned(); 5000];
    let mut extractor = Extractor::new(&InputFormat::Json, &[FieldPath { names: deep }], 1 << 30);
    let record = "{\"a\":".repeat(6000);
    extractor.each(&block(record.as_bytes(), None), |_, record| {
        assert!(record.unwrap_err().reason.ends_with("128 deep"));
        true
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_json_is_what_serde_json_says(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\"a\"", "\"b\":", "1", "-", "0", ".5", "e3", "true", "null",
                "é", "\\u0041", "{\"a\":1}", "[1,2]", "\"a\":", "\u{1}",
            ]),
            0..12,
        ),
    ) {
        let record = format!("{{\"k\":{}}}", parts.concat());
        // A number may be larger than a binary fraction can be: JSON has no such bound, and the sums here have one of
        // their own.
        let theirs = serde_json::from_str::<std::collections::BTreeMap<String, serde::de::IgnoredAny>>(&record);
        let ours = json(&["a", "k"], &record);
        prop_assert_eq!(theirs.is_ok(), !ours.starts_with("bad: malformed"), "{} {:?} {}", record, theirs, ours);
    }

    #[test]
    fn the_names_of_earlier_records_do_not_affect_a_record(
        records in proptest::collection::vec(
            proptest::collection::vec(
                (
                    proptest::sample::select(vec![
                        "\"a\":", "\"b\":", "\"b\" :", "\"\\u0061\":", "\"cc\":", "\"twelve-bytes\":",
                        "\"thirteen-byte\":",
                        "\"a-name-of-more-bytes\":", "\"a\"", "\"\":",
                    ]),
                    proptest::sample::select(vec!["1", "12345678901", "\"x\"", "{\"a\":1}", "[]", "", "9,", "null"]),
                ),
                0..6,
            ),
            1..8,
        ),
    ) {
        let lines: Vec<String> = records.iter().map(|fields| {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}{value}")).collect();
            format!("{{{}}}", fields.join(","))
        }).collect();
        let asked = ["a", "b", "cc.a", "twelve-bytes", "thirteen-byte", "a-name-of-more-bytes"];
        let together = visited(&InputFormat::Json, &asked, &block(lines.join("\n").as_bytes(), None), 1 << 24);
        let what = |seen: &str| seen.split_once(' ').expect("a place and the fields").1.to_owned();
        for (line, seen) in lines.iter().zip(&together) {
            prop_assert_eq!(what(seen), json(&asked, line), "{:?}", lines);
        }
    }

    #[test]
    fn text_comes_out_of_json_as_it_went_in(text in ".{0,40}", ascii in any::<bool>()) {
        let mut quoted = serde_json::to_string(&text).unwrap();
        if ascii {
            quoted = quoted.chars().map(|c| match c {
                c if c.is_ascii() => c.to_string(),
                c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            }).collect();
        }
        prop_assert_eq!(json(&["a"], &format!("{{\"a\":{quoted}}}")), format!("'{text}'"));
    }
}

#[test]
fn empty_lines_are_records_of_text_only_and_line_ends_are_not_part_of_one() {
    let bytes = b"\xEF\xBB\xBF{\"a\":1}\r\n\n \t\r\n{\"a\":2}\n\n{\"a\":3}";
    assert_eq!(visited(&InputFormat::Json, &["a"], &block(bytes, None), 100), ["0@3 1", "1@17 2", "2@26 3"]);
    let bytes = b"a b\r\n\n  \r\nc";
    let expected = ["0@0 'a b'", "1@5 ''", "2@6 '  '", "3@10 'c'"];
    assert_eq!(visited(&InputFormat::Text, &["line"], &block(bytes, None), 100), expected);
    let bytes = b"\xEF\xBB\xBF\n\n";
    assert_eq!(visited(&InputFormat::Text, &["line"], &block(bytes, None), 100), ["0@3 ''", "1@4 ''"]);
    assert_eq!(visited(&InputFormat::Text, &["line"], &block(&bytes[..3], None), 100), [] as [&str; 0]);
}

#[test]
fn a_record_that_is_too_long_is_bad_and_the_next_is_not() {
    let bytes = b"{\"a\":12345}\r\n{\"a\":1}\r\n";
    let expected = ["0@0 bad: is longer than 10 bytes", "1@13 1"];
    assert_eq!(visited(&InputFormat::Json, &["a"], &block(bytes, None), 10), expected);
    assert_eq!(visited(&InputFormat::Json, &["a"], &block(bytes, None), 11)[0], "0@0 12345");
}

#[test]
fn csv_fields_go_by_the_names_of_the_header() {
    let csv = InputFormat::Csv { delimiter: b',' };
    let bytes = b"1,\"x, \"\"y\"\"\",\r\n,\"a\nb\",c\n\n1,2\n1,2,3,4\n\"a\"b,1,2\n\xff,1,2\n\"open,1,2\n";
    let seen = visited(&csv, &["c", "b", "nothing", "b"], &block(bytes, Some(&["a", "b", "c"])), 100);
    assert_eq!(
        seen,
        [
            "0@0 - 'x, \"y\"' - 'x, \"y\"'",
            "1@15 'c' 'a\nb' - 'a\nb'",
            "2@25 bad: has 2 fields, the header line has 3 fields",
            "3@29 bad: has 4 fields, the header line has 3 fields",
            "4@37 bad: malformed CSV at byte 3: text after the closing quote of a field",
            "5@46 bad: invalid UTF-8 at byte 0",
            "6@52 bad: malformed CSV at byte 0: a quoted field has no closing quote",
        ]
    );
    let returns = b"1,2\r3,4\n\"a\rb\",\"\r\"\r\n5,6\r\r\n\"7\"\r,8\n9,0\r\n";
    let seen = visited(&csv, &["a", "b"], &block(returns, Some(&["a", "b"])), 100);
    assert_eq!(
        seen,
        [
            "0@0 bad: malformed CSV at byte 3: a carriage return that is not part of a line end",
            "1@8 'a\rb' '\r'",
            "2@19 bad: malformed CSV at byte 3: a carriage return that is not part of a line end",
            "3@25 bad: malformed CSV at byte 3: text after the closing quote of a field",
            "4@32 '9' '0'",
        ]
    );
    let tabs = InputFormat::Csv { delimiter: b'\t' };
    assert_eq!(visited(&tabs, &["u.id"], &block(b"\t\n7\t8\n", Some(&["u.id", "b"])), 100), ["0@0 -", "1@2 '7'"]);
    let strange = InputFormat::Csv { delimiter: 0xA9 };
    assert!(visited(&strange, &["a"], &block("é\n".as_bytes(), Some(&["a"])), 100)[0].contains("bad"));
}

#[test]
fn words_are_those_of_unicode_and_share_the_place_of_their_line() {
    let seen = visited(&InputFormat::Words, &["word"], &block("Don't stop, köln 3.5!\n...\nx\n".as_bytes(), None), 100);
    assert_eq!(seen, ["0@0 'Don't'", "0@0 'stop'", "0@0 'köln'", "0@0 '3.5'", "2@27 'x'"]);
}

#[test]
fn visiting_stops_when_visit_returns_false() {
    for format in [InputFormat::Json, InputFormat::Text, InputFormat::Words] {
        let mut seen_count = 0;
        let visit = |_: RecordPlace<'_>, _: Result<&[Field<'_>], BadRecord>| {
            seen_count += 1;
            seen_count < 2
        };
        assert_eq!(Extractor::new(&format, &[], 100).each(&block(b"{}a\n{}b\n{}c\n", None), visit), 2, "{format:?}");
    }
}
