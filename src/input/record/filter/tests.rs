use super::*;
use crate::input::block::Block;
use crate::input::record::extractor::Extractor;
use crate::job::model::InputFormat;

fn keeps(expression: &str, record: &str) -> Result<bool, String> {
    let filter = Filter::new(expression).map_err(|error| error.to_string())?;
    let bytes = record.as_bytes().to_vec();
    let end_offset = bytes.len() as u64;
    let block = Block {
        number: 0,
        partition: 0,
        stream: 0,
        offset: 0,
        bytes,
        end_offset,
        continues_line: false,
        header: None,
        messages: None,
        released: Vec::new(),
    };
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
fn integers_of_any_size_are_compared_by_their_exact_value() {
    let record = concat!(
        r#"{"i":9007199254740993,"u":18446744073709551615,"b":18446744073709551616,"c":-9223372036854775809,"#,
        r#""d":9007199254740992.0,"e":18446744073709551616.0,"f":0.5,"l":[18446744073709551614,18446744073709551616],"#,
        r#""m":{"x":18446744073709551617}}"#,
    );
    for (expression, expected) in [
        ("u == 18446744073709551615u && u != 18446744073709551614u", true),
        ("18446744073709551615u == u && u > 9223372036854775807", true),
        ("b == u || b == 18446744073709551615u || u == b", false),
        ("b > u && b > 18446744073709551615u && 18446744073709551615u < b && b >= b && b == b", true),
        ("b in [18446744073709551615u] || u in l", false),
        ("b in l && 18446744073709551614u in l", true),
        ("c < -9223372036854775807 && c < 0 && c < b && c == c && c < 0.5", true),
        ("i == d || d == i || i == 9007199254740992.0", false),
        ("i > d && d < i && d == 9007199254740992 && i != d", true),
        ("b == e && e == b && b == 18446744073709551616.0 && u < e && u != e", true),
        ("b > f && f < b && c < f && b < 1e300 && b > -1e300", true),
        ("l == [18446744073709551614u, 18446744073709551616.0] && l != [18446744073709551615u, 0]", true),
        ("m == {'x': b} || m == {'x': u}", false),
        ("string(b) == '18446744073709551616' && string(c) == '-9223372036854775809'", true),
        ("double(b) == e && double(u) == e && double(i) == d", true),
        ("u + 0u == 18446744073709551615u && uint(i) == 9007199254740993u && int(d) == 9007199254740992", true),
        ("l.exists(x, x == b) && !l.exists(x, x == u)", true),
    ] {
        assert_eq!(keeps(expression, record), Ok(expected), "{expression}");
    }
    for (expression, reason) in [
        ("int(b) == 1", "`where` fails: `int`: the number is too large"),
        ("uint(c) == 1u", "`where` fails: `uint`: the number is too large"),
        ("b > 's'", "`where` fails: cannot apply `>` to integer and string"),
        ("huge > 1", "`where` fails: a number is too large"),
        ("n in 5", "`where` fails: cannot apply `in` to int and int"),
        ("int('1.5') == 1", "`where` fails: `int`: `1.5` is not an integer"),
        ("double('x') == 1.0", "`where` fails: `double`: `x` is not a number"),
        ("int(true) == 1", "`where` fails: cannot apply `int` to bool"),
    ] {
        let record = r#"{"n":1,"b":18446744073709551616,"c":-18446744073709551616,"huge":1e999}"#;
        assert_eq!(keeps(expression, record), Err(reason.to_owned()), "{expression}");
    }
    for (literal, hint) in [("18446744073709551615", "write `u` after it"), ("18446744073709551616u", "compare text")] {
        let error = Filter::new(&format!("id == {literal}")).unwrap_err().to_string();
        assert!(error.starts_with("column 7: the integer does not fit 64 bits") && error.contains(hint), "{error}");
    }
}

#[test]
fn an_object_with_a_name_twice_is_bad_however_the_name_is_written() {
    for expression in ["v.a == 2", "v['a'] == 2", "has(v.a)", "size(v) == 1", "v == {'a': 2}", "l.exists(x, x.a == 2)"]
    {
        let reason = keeps(expression, r#"{"v":{"a":1,"a":2},"l":[{"a":1,"a":2}]}"#).unwrap_err();
        assert_eq!(reason, "field `a` appears twice", "{expression}");
    }
    assert_eq!(keeps("v.b == 2", r#"{"v":{"a":1,"a":2,"b":2}}"#), Ok(true), "nobody asks for it");
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
        (
            "1 > 2 || amount <= null",
            "column 17: `<=` cannot compare null; to test for a missing value, use `isNull(x)`",
        ),
        ("nonsense(amount)", "column 9: unknown function `nonsense`, or the wrong number of arguments"),
        ("s.matches('(')", "column 10: `matches`: error: unclosed group"),
        ("Foo{a: 1}", "column 4: unknown type `Foo`"),
        ("", "column 1: "),
        ("a.?b", "column 2: "),
        ("true &&\n  nonsense(a)", "line 2, column 11: unknown function"),
        (
            "[1].all(x, x < null) || nonsense(a) && a.substring() == '' && case(b > null, 1, foo(c)) == 1",
            "column 14: `<` cannot compare null; to test for a missing value, use `isNull(x)`; column 33: unknown function \
             `nonsense`, or the wrong number of arguments; column 51: `substring` takes 2 to 3 arguments, found 1; column \
             70: `>` cannot compare null; to test for a missing value, use `isNull(x)`; column 84: unknown function `foo`, or the \
             wrong number of arguments",
        ),
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

#[test]
fn a_number_of_any_size_is_not_equal_to_what_is_not_a_number() {
    let record = r#"{"n":18446744073709551616,"f":2.5,"s":"x","t":true,"l":[18446744073709551616]}"#;
    for expression in
        ["n == s", "s == n", "n == 'x'", "n == t", "n == null", "n == l", "n in ['x']", "f == s", "[n] == [s]"]
    {
        assert_eq!(keeps(expression, record), Ok(false), "{expression}");
    }
    for expression in ["n == s", "s == n", "n == \"x\"", "n == t", "n == null", "n == l", "f == s", "[n] == [s]"] {
        let computation = crate::input::record::Computation::new("x", expression, KnownFields::ANY).unwrap();
        let fields: Vec<Field<'_>> = computation
            .fields()
            .iter()
            .map(|field| match field.last_name() {
                "n" => Field::Number("18446744073709551616"),
                "f" => Field::Number("2.5"),
                "t" => Field::Bool(true),
                "l" => Field::Json("[18446744073709551616]"),
                _ => Field::Text("x".into()),
            })
            .collect();
        assert_eq!(computation.compute(&fields), Ok(crate::input::record::Computed::Bool(false)), "{expression}");
    }
}
