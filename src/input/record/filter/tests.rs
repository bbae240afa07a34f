use super::*;
use crate::input::block::Block;
use crate::input::record::extractor::Extractor;
use crate::job::model::InputFormat;

fn keeps(expression: &str, record: &str) -> Result<bool, String> {
    let filter = Filter::new(expression).map_err(|error| error.to_string())?;
    let bytes = record.as_bytes().to_vec();
    let end_offset = bytes.len() as u64;
    let block =
        Block { number: 0, partition: 0, stream: 0, offset: 0, bytes, end_offset, header: None, released: Vec::new() };
    let mut result = Err("no record".to_owned());
    Extractor::new(&InputFormat::Json, filter.fields(), 1 << 20).each(&block, |_, fields| {
        result = fields.and_then(|fields| filter.keeps(fields)).map_err(|bad| bad.reason);
        true
    });
    result
}

fn names(expression: &str) -> String {
    let filter = Filter::new(expression).unwrap();
    filter.fields().iter().map(|field| field.names.join(".")).collect::<Vec<_>>().join(" ")
}

#[test]
fn fields_are_names_that_nothing_in_the_expression_defines() {
    assert_eq!(names("amount > 10 && user.id == amount"), "amount user.id");
    assert_eq!(names("tags.exists(t, t == x) || t"), "tags x t");
    assert_eq!(names("tags.exists(t, t.a.b > user.a)"), "tags user.a");
    assert_eq!(names("a.map(x, b.filter(y, y == x)).size() > 0"), "a b");
    assert_eq!(names("has(user.id) && user != {}"), "user.id user");
}

#[test]
fn expressions_hold_or_do_not() {
    let record = concat!(
        r#"{"amount":12.5,"n":3,"big":9223372036854775808,"s":"click","zip":"12345","#,
        r#""user":{"id":7,"tags":["a","b"]},"t":true,"z":null}"#,
    );
    for (expression, expected) in [
        ("amount > 12", true),
        ("n < 3.5 && n == 3 && n == 3.0", true),
        ("big > 9000000000000000000", true),
        ("s == 'click'", true),
        ("s.startsWith('cl') && s.contains('ic') && s.endsWith('k') && size(s) == 5", true),
        ("s.matches('^c.*k$') && !s.matches('x') && matches(s, 'li')", true),
        ("s in ['view', 'click']", true),
        ("zip == '12345'", true),
        ("user.id == 7", true),
        ("user.tags.exists(t, t == 'b')", true),
        ("user.tags[1] == 'b' && user['id'] == 7 && size(user.tags) == 2", true),
        ("user.tags.all(t, t < 'b')", false),
        ("t", true),
        ("z == null && nothing == null && s.nothing == null && nothing.deeper == null", true),
        ("has(user.id) && !has(user.name) && !has(nothing.name)", true),
        ("user.tags.exists(t, has(user.id))", true),
        ("type(s) == string && type(n) == int && type(amount) == double", true),
        ("double(n) * 1.5 == 4.5", true),
        ("n % 2 == 1 ? t : false", true),
        ("{'a': n}.a == 3 && [n, 4].size() == 2", true),
    ] {
        assert_eq!(keeps(expression, record), Ok(expected), "{expression}");
    }
}

#[test]
fn what_has_no_result_makes_the_record_bad() {
    for (expression, reason) in [
        ("n + 1", "`where` fails: the result is of type int, not bool"),
        ("nothing", "`where` fails: the result is of type null_type, not bool"),
        ("nothing > 1", "`where` fails: cannot apply `>` to null_type and int"),
        ("s > 1", "`where` fails: cannot apply `>` to string and int"),
        ("n / 0 == 1", "`where` fails: division by zero"),
        ("n * 9223372036854775807 > 0", "`where` fails: a number is too large"),
    ] {
        assert_eq!(keeps(expression, r#"{"n":3,"s":"x"}"#), Err(reason.to_owned()), "{expression}");
    }
    assert!(keeps("user.tags[9] == 1", r#"{"user":{"tags":[1]}}"#).is_err());
    assert!(keeps("user == {}", r#"{"user":[1e999]}"#).is_err());
}

#[test]
fn what_is_no_expression_is_refused_with_its_column() {
    for (expression, message) in [
        ("amount >", "column 9: the expression is incomplete"),
        ("amount > > 1", "column 10: unexpected `>`"),
        ("(amount > 1", "column 12: expected ')' at the end"),
        ("amount &&& x", "column 10: unexpected `&`"),
        ("amount x", "column 8: unexpected `x`"),
        ("nonsense(amount)", "column 9: unknown function `nonsense`, or the wrong number of arguments"),
        ("s.matches('(')", "column 10: `matches`: error: unclosed group"),
        ("Foo{a: 1}", "column 4: unknown type `Foo`"),
        ("", "column 1: "),
        ("a.?b", "column 2: "),
        ("true &&\n  nonsense(a)", "line 2, column 11: unknown function"),
        ("true &&\n  a >", "line 2, column 6: "),
    ] {
        let error = Filter::new(expression).unwrap_err().to_string();
        assert!(error.starts_with(message), "{expression}: {error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn no_expression_is_too_much() {
    let sum = format!("1{} > 0", "+1".repeat(2000));
    let selects = format!("a{} == 1", ".b".repeat(2000));
    let parentheses = format!("{}1{} > 0", "(".repeat(2000), ")".repeat(2000));
    let lists = format!("{}{} == []", "[".repeat(2000), "]".repeat(2000));
    let minus = format!("{}1 == 1", "-".repeat(4000));
    let nots = format!("{}true", "!".repeat(4001));
    let choices = format!("{}true", "true ? true : ".repeat(250));
    let maps = format!("{}1{}", "[1].map(x, ".repeat(300), ")".repeat(300));
    for expression in [&sum, &parentheses, &lists, &choices, &maps, &"a".repeat(5000)] {
        assert!(Filter::new(expression).is_err(), "{}", &expression[..40]);
    }
    for expression in [&selects, &minus, &nots] {
        let _ = Filter::new(expression);
    }
    for garbage in [
        "\0", "'", "\"\\", "`", "$", "#0", "~0", "@result", "é", "\u{202e}", "[[[[", "a ? b", "{1", "r'", "b'\\xff'",
        "0x", "1u",
    ] {
        let _ = keeps(garbage, "{}");
    }
}

#[test]
fn numbers_in_text_are_numbers_beside_numbers_and_text_beside_text() {
    let holds = |expression: &str| {
        let filter = Filter::new(expression).unwrap().with_numbers_in_text();
        let text = |name: &str| match name {
            "amount" => "12.50",
            "zip" => "12345",
            "code" => "007",
            _ => "click",
        };
        let fields: Vec<Field<'_>> =
            filter.fields().iter().map(|field| Field::Text(text(&field.names[0]).into())).collect();
        filter.keeps(&fields)
    };
    for expression in [
        "amount > 10 && amount == 12.5",
        "zip == '12345' && zip == 12345 && zip in ['12345'] && zip in [12345] && '12345' == zip",
        "zip.startsWith('123') && size(zip) == 5 && zip.matches('^1') && string(amount) == '12.50'",
        "zip + '-' == '12345-'",
        "code == '007' && code != 7",
        "kind == 'click'",
    ] {
        assert_eq!(holds(expression), Ok(true), "{expression}");
    }
}

#[test]
fn a_filter_can_be_shared() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    shared(&Filter::new("a == 1").unwrap());
}
