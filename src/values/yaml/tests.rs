use std::collections::HashMap;

use super::*;

fn problem(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn at(line: usize, column: usize) -> Mark {
    Mark { line, column }
}

#[test]
fn every_node_knows_where_it_stands() {
    let root = parse("# a job\njob: x\ninput:\n  files: [a, \"b\"]\n  é: {k: v}\n").unwrap();
    let entries = root.map("a map").unwrap();
    assert_eq!(root.mark, at(2, 1));
    assert_eq!((entries[0].key.as_str(), entries[0].key_mark, entries[0].value.mark), ("job", at(2, 1), at(2, 6)));
    let input = entries[1].value.map("a map").unwrap();
    assert_eq!(input[0].key_mark, at(4, 3));
    let files = input[0].value.list("a list").unwrap();
    assert_eq!((files[0].mark, files[1].mark), (at(4, 11), at(4, 14)));
    assert_eq!(input[1].value.map("a map").unwrap()[0].value.mark, at(5, 10));
}

#[test]
fn places_inside_text_are_known_where_it_stands_character_for_character() {
    for (text, mark) in [
        ("k: sum(x)", at(1, 8)),
        ("k: 'sum(x)'", at(1, 9)),
        ("k: \"sum(x)\"", at(1, 9)),
        ("k: \"s\\u0075m(x)\"", at(1, 4)),
        ("k: |\n  sum(x)\n", at(2, 3)),
        ("k: sum\n  (x)\n", at(1, 4)),
    ] {
        let root = parse(text).unwrap();
        assert_eq!(root.map("").unwrap()[0].value.mark_within(4), mark, "{text}");
    }
}

#[test]
fn scalars_are_what_the_one_who_asks_needs() {
    let root = parse("[42, no, true, \"42\", ~, '', 007, 1e3, -1, \"true\"]").unwrap();
    let items = root.list("").unwrap();
    assert_eq!(items[0].text(""), Ok("42"));
    assert_eq!(items[0].integer(""), Ok(42));
    assert_eq!(items[1].text(""), Ok("no"));
    assert_eq!(items[2].boolean(), Ok(true));
    assert_eq!(items[5].text(""), Ok(""));
    assert_eq!(items[6].integer(""), Ok(7));
    for (index, message) in [
        (1, "line 1, column 6: expected a whole number, found `no`"),
        (3, "line 1, column 16: expected a whole number, found `42`, which is text: remove the quotes"),
        (4, "line 1, column 22: expected a whole number, found nothing"),
        (7, "line 1, column 34: expected a whole number, found `1e3`"),
        (8, "line 1, column 39: expected a whole number, found `-1`"),
    ] {
        assert_eq!(items[index].integer("a whole number").unwrap_err().to_string(), message);
    }
    assert!(parse("! 42").unwrap().integer("").is_err() && parse("!!str 42").unwrap().integer("").is_err());
    assert!(items[1].boolean().is_err() && items[9].boolean().is_err());
    assert!(items[4].is_null() && !items[5].is_null());
    assert_eq!(root.text("a name").unwrap_err().to_string(), "line 1, column 1: expected a name, found a list");
}

#[test]
fn a_tag_of_the_core_schema_decides_what_a_scalar_is() {
    for text in [
        "!!int \"8\"",
        "!!int '8'",
        "!!int 8",
        "!<tag:yaml.org,2002:int> 8",
        "%TAG !y! tag:yaml.org,2002:\n---\n!y!int \"8\"",
    ] {
        assert_eq!(parse(text).unwrap().integer("a number"), Ok(8), "{text}");
    }
    assert_eq!(parse("!!bool \"true\"").unwrap().boolean(), Ok(true));
    assert!(parse("!!null \"\"").unwrap().is_null() && !parse("!<tag:yaml.org,2002:str>").unwrap().is_null());
    for (text, message) in [
        ("!!int eight", "expected a whole number after `!!int`, found `eight`"),
        ("!!int 8.5", "expected a whole number after `!!int`, found `8.5`"),
        ("!!float .", "expected a number after `!!float`, found `.`"),
        ("!!bool yes", "expected `true` or `false` after `!!bool`, found `yes`"),
        ("!!null x", "expected nothing after `!!null`, found `x`"),
        ("!!seq x", "expected a list after `!!seq`, found `x`"),
        ("!!map [x]", "expected a map after `!!map`, found a list"),
        ("!!str {x: y}", "expected text after `!!str` or `!`, found a map"),
        ("!<tag:yaml.org,2002:set> x", "unknown tag `!!set`"),
        ("!<thing> x", "unknown tag `!<thing>`"),
    ] {
        assert_eq!(problem(text), format!("line 1, column 1: {message}"), "{text}");
    }
}

#[test]
fn a_number_that_is_text_says_why() {
    for (text, found) in [
        ("\"8\"", "found `8`, which is text: remove the quotes"),
        ("'8'", "found `8`, which is text: remove the quotes"),
        ("!!str 8", "found `8`, which is text: remove its tag"),
        ("! 8", "found `8`, which is text: remove its tag"),
        ("\"eight\"", "found `eight`"),
    ] {
        let error = parse(text).unwrap().integer("a number").unwrap_err();
        assert_eq!(error.problem.to_string(), format!("expected a number, {found}"), "{text}");
    }
    let error = parse("\"true\"").unwrap().boolean().unwrap_err();
    assert_eq!(error.problem.to_string(), "expected `true` or `false`, found `true`, which is text: remove the quotes");
}

#[test]
fn every_character_of_a_scalar_has_a_place_however_it_is_written() {
    for source in [
        "x: ab + cd\ny: 1\n",
        "x: 'ab + cd'\n",
        "x: \"ab +\\n \\u0063d\"\n",
        "x: |\n    ab\n      + cd\ny: 1\n",
        "x: >-\n    ab\n    +\n\n    cd\ny: 1\n",
        "x:\n  ab\n  + cd\ny: 1\n",
        "x: 'ab\n  + cd'\r\n",
        "x: !!str &w 'ab + cd'\n",
        "x: &w !!str\n  ab\n  + cd\n",
        "x: !!str |\n  ab\n  + cd\n",
        "x: &w |\n  !ab\n  + cd\n",
        "x: >  # folded\n  ab\n  + cd\n",
        "x: |2\n    ab\r\n    + cd",
    ] {
        let root = parse(source).unwrap();
        let node = &root.map("").unwrap()[0].value;
        let text = node.text("").unwrap();
        for (index, c) in text.chars().enumerate().filter(|(_, c)| "abd+".contains(*c)) {
            let mark = place(source, node, index);
            let line = source.split('\n').nth(mark.line - 1).unwrap();
            assert_eq!(line.chars().nth(mark.column - 1), Some(c), "{source:?} {index} {mark:?}");
        }
        let end = place(source, node, text.chars().count());
        let before_end = source.split('\n').nth(end.line - 1).unwrap().chars().nth(end.column - 2);
        assert_eq!(before_end, Some('d'), "{source:?} {end:?}");
    }
}

#[test]
fn aliases_and_merge_keys_are_followed() {
    let root = parse("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: [*x, *x]\nd: {<<: [*x, {r: 4, p: 9}]}\n").unwrap();
    let entries = root.map("").unwrap();
    let keys = |node: &Node| -> Vec<String> {
        node.map("").unwrap().iter().map(|e| format!("{}={}", e.key, e.value.text("").unwrap())).collect()
    };
    assert_eq!(keys(&entries[1].value), ["q=3", "p=1"]);
    assert_eq!(entries[2].value.list("").unwrap()[1], entries[0].value);
    assert_eq!(keys(&entries[3].value), ["p=1", "q=2", "r=4"]);
}

#[test]
fn broken_documents_say_what_and_where() {
    for (text, message) in [
        ("", "line 1, column 1: the document is empty"),
        ("# nothing\n", "line 2, column 1: the document is empty"),
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: duplicate key `a`, first used in line 1, column 1"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: expected one document, found a second one"),
        ("a: !thing 1\n", "line 1, column 4: unknown tag `!thing`"),
        ("a: !!binary aGk=\n", "line 1, column 4: unknown tag `!!binary`"),
        ("a: &x [*x]\n", "line 1, column 8: this alias is recursive: it refers to something that contains it"),
        ("a: *x\n", "line 1, column 4: invalid YAML: this alias has no anchor"),
        ("{<<: 1}", "line 1, column 6: expected a map or a list of maps to merge, found `1`"),
        ("? [a]\n: b\n", "line 1, column 3: expected a name before `:`, found a list"),
        ("a: b: c\n", "line 1, column 5: invalid YAML: a `:` is not allowed here; text with `: ` in it needs quotes"),
        ("a: 'b\n", "line 1, column 4: invalid YAML: a quote is never closed"),
    ] {
        assert_eq!(problem(text), message, "{text:?}");
    }
    assert_eq!(
        decode(b"a: 1\nb: \xc3\xa9\xff").unwrap_err().to_string(),
        "line 2, column 5: expected UTF-8 text, found the byte 0xff"
    );
}

#[test]
fn large_documents_are_refused_before_they_cost() {
    assert!(problem(&"a".repeat(MAX_BYTES + 1)).contains("at most 1048576 bytes"));
    assert!(decode(&vec![b'a'; MAX_BYTES + 1]).is_err());
    assert!(problem(&"[".repeat(MAX_DEPTH + 1)).contains("deep"));
    assert!(parse(&("[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH))).is_ok());
    let laughs: String =
        (1..30).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","))).collect();
    assert!(problem(&format!("a0: &a0 ha\n{laughs}")).contains("expand to too much"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(50_000));
    assert!(problem(&long).contains("expand to too much"));
    let chain: String = (1..100).map(|i| format!("a{i}: &a{i} [[*a{}]]\n", i - 1)).collect();
    assert!(problem(&format!("a0: &a0 ha\n{chain}")).contains("deep"));
}

#[test]
fn hostile_documents_take_no_time_and_never_panic() {
    for piece in [
        "[", "{", "- ", "? ", "a: ", "&a ", "*a ", "\"", "'", "|", ">\n", "!", "%", "a,", "[]", "\n ", "\t", "--- ",
        "{a: ",
    ] {
        let _ = parse(&piece.repeat(100_000 / piece.len()));
        let _ = parse(&format!("[{}", piece.repeat(100_000 / piece.len())));
    }
}

#[test]
fn quoted_text_is_read_as_the_same_text() {
    for text in [
        "",
        "a",
        "a b",
        "no",
        "Null",
        "42",
        "-",
        "data/*.jsonl",
        "data/x-1.jsonl",
        "~",
        "a: b",
        "#x",
        "\"",
        "\\",
        "\n\t\r\0",
        "é",
        "\u{7f}\u{85}\u{2028}\u{feff}",
        "'x'",
        "a#b",
        "- x",
        "😀",
        "1h30m",
        "y",
        "/abs",
        "../up",
    ] {
        let quoted = quote(text);
        let root = parse(&format!("k: {quoted}\n")).unwrap();
        let scalar = root.map("").unwrap()[0].value.scalar().cloned().unwrap();
        assert_eq!(scalar.text, text, "{quoted}");
        assert!(!scalar.is_null());
        let value: HashMap<String, String> = from_str(&format!("k: {quoted}\n")).unwrap();
        assert_eq!(value["k"], text, "{quoted}");
    }
    assert_eq!(quote("data/clicks.jsonl"), "data/clicks.jsonl");
}

#[test]
fn serde_values_go_there_and_back_and_aliases_are_refused() {
    let value: HashMap<String, u64> = [("a".to_owned(), 1)].into();
    assert_eq!(to_string(&value), "a: 1\n");
    assert_eq!(from_str::<HashMap<String, u64>>("a: 1\n"), Ok(value));
    for text in ["a: &x 1\n", "a: [&x 1, *x]\n"] {
        let error = from_str::<HashMap<String, u64>>(text).unwrap_err();
        assert_eq!(error.problem, Problem::Alias);
    }
    let large = format!("# {}\na: [&x 1, *x]\n", "x".repeat(100_000));
    assert_eq!(from_str::<HashMap<String, u64>>(&large).unwrap_err().problem, Problem::Alias);
    assert!(from_str::<HashMap<String, u64>>("a: *x\n").is_err());
    let error = from_str::<HashMap<String, u64>>("a: 1\nb: x\n").unwrap_err();
    assert_eq!(error.mark, at(2, 4));
    assert!(error.to_string().contains("invalid type"), "{error}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_tree_or_an_error(text in "[-\\[\\]{}:,?&*!|>'\"%@`# \t\na-c0-9~\\\\é]{0,120}") {
        let _ = parse(&text);
        let _ = from_str::<HashMap<String, String>>(&text);
    }

    #[test]
    fn any_text_survives_quoting(text in "\\PC{0,40}|(.|\n){0,40}") {
        let root = parse(&format!("k: {}\n", quote(&text))).unwrap();
        proptest::prop_assert_eq!(root.map("").unwrap()[0].value.text("").unwrap(), text);
    }
}
