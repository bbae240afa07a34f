//! What counts as a number, and when two values are the same.

use crate::support::Env;

/// Runs a job over `input`, and returns its output, or the error if the run fails.
fn run(env: &Env, format: &str, input: &str, key: &str, more: &str) -> Result<String, String> {
    env.write(&format!("in.{format}"), input);
    env.write("job.yaml", format!("job: j\noutput: out\ncheckpoint: {{enabled: false}}\n{key}\n{more}\n"));
    let outcome = env.run(&["run", "job.yaml", "-q"]);
    if outcome.status == 0 { Ok(env.read("out/j.jsonl")) } else { Err(outcome.stderr) }
}

/// Returns a CSV file whose first records have numbers in `v`, and whose last record has `value`.
fn numbers_then(value: &str) -> String {
    format!("k,v\n{}b,{value}\n", "a,10001\n".repeat(1_500))
}

#[test]
fn a_csv_value_is_a_number_where_the_job_asks_for_one_and_never_by_guess_alone() {
    let env = Env::new();
    // The value, as a number if it is one, and whether the first records may decide that it is one.
    for (value, number, is_plain) in [
        ("5", Some("5"), true),
        ("-0.50", Some("-0.5"), true),
        ("1e5", Some("100000"), true),
        ("02134", Some("2134"), false),
        ("+1", Some("1"), false),
        (" 5 ", Some("5"), false),
        (".5", Some("0.5"), false),
        ("5.", Some("5"), false),
        ("1_000", None, false),
        ("0x10", None, false),
        ("NaN", None, false),
        ("inf", None, false),
        ("five", None, false),
    ] {
        let input = numbers_then(value);
        let last = |types: &str, aggregate: &str| {
            let more = format!("input: {{files: in.csv{types}}}\nprocess: {{aggregate: {{r: \"{aggregate}\"}}}}");
            run(&env, "csv", &input, "key: k", &more).map(|rows| rows.lines().nth(1).unwrap_or_default().to_owned())
        };
        let row = |value: &str| Ok(format!("{{\"k\":\"b\",\"r\":{value}}}"));
        let refused = |result: Result<String, String>| {
            let error = result.expect_err(value);
            assert!(error.contains("field `v` is") && error.contains(value), "{value}: {error}");
        };
        for aggregate in ["last(v)", "first(v)", "min(v)", "max(v)", "last(k by v)"] {
            let result = last("", aggregate);
            match number {
                Some(_) if is_plain && aggregate.contains("by") => assert_eq!(result, row("\"b\""), "{value}"),
                Some(number) if is_plain => assert_eq!(result, row(number), "{value} {aggregate}"),
                _ => refused(result),
            }
        }
        for (types, aggregate) in [(", types: {v: number}", "last(v)"), ("", "sum(v)"), ("", "max(round(v, 3))")] {
            match number {
                Some(number) => assert_eq!(last(types, aggregate), row(number), "{value} {aggregate}"),
                None => refused(last(types, aggregate)),
            }
        }
        assert_eq!(last(", types: {v: text}", "last(v)"), row(&format!("\"{value}\"")), "{value}");
    }
}

#[test]
fn a_field_that_is_summed_is_a_number_for_the_other_aggregates_too() {
    let env = Env::new();
    let more = "input: in.csv\nprocess: {aggregate: {s: sum(v), l: last(v)}}";
    let rows = run(&env, "csv", &numbers_then("007"), "key: k", more).unwrap();
    assert!(rows.ends_with("{\"k\":\"b\",\"s\":7,\"l\":7}\n"), "{rows}");
}

#[test]
fn where_takes_text_for_a_number_only_if_it_is_spelled_as_one() {
    let env = Env::new();
    let input = "k,v\nplain,5\nzero,05\nplus,+5\nspace, 5\npoint,5.\nexponent,5e0\n";
    for (expression, kept) in [
        ("v == 5", "exponent plain"),
        ("v == \"05\"", "zero"),
        ("v in [5, 6]", "exponent plain"),
        ("double(v) == 5.0", "exponent plain plus point space zero"),
        ("int(v) == 5", "exponent plain plus point space zero"),
    ] {
        let more = format!("input: in.csv\nwhere: '{expression}'\nprocess: {{aggregate: {{n: count}}}}");
        let rows = run(&env, "csv", input, "key: k", &more).unwrap();
        let keys: Vec<&str> = rows.lines().filter_map(|row| row.split('"').nth(3)).collect();
        assert_eq!(keys.join(" "), kept, "{expression}");
    }
    for text in ["nan", "inf", "1_000", "0x10"] {
        let more = "input: in.csv\nwhere: double(v) > 1.0\nprocess: {aggregate: {n: count}}";
        let error = run(&env, "csv", &format!("k,v\na,{text}\n"), "key: k", more).unwrap_err();
        assert!(error.contains(&format!("`double`: `{text}` is not a number")), "{error}");
    }
}

#[test]
fn approx_distinct_counts_values_and_not_their_spellings() {
    let env = Env::new();
    let groups: [(&str, &[&str], u32); 9] = [
        ("escapes", &[r#""é""#, r#""\u00e9""#, r#""\u00E9""#], 1),
        ("lists", &["[1]", "[ 1 ]", "[1.0]"], 1),
        ("more escapes", &[r#"["é"]"#, r#"["\u00e9"]"#], 1),
        ("names", &[r#"{"x":1,"y":2}"#, r#"{"y":2, "x":1}"#, r#"{"\u0078":1e0,"y":2}"#], 1),
        ("numbers", &["7", "7.0", "70e-1"], 1),
        ("large", &["1e40", "10e39", "1000000000000000000e22"], 1),
        ("types", &["7", r#""7""#, r#""7.0""#, r#""07""#], 4),
        ("words", &["true", r#""true""#, "false", r#""false""#], 4),
        ("texts", &["[1]", r#""[1]""#, "{}", r#""{}""#, r#"[]"#, r#"["1"]"#], 6),
    ];
    let mut input = String::new();
    for (key, values, _) in groups {
        for value in values.iter().chain(values) {
            input += &format!("{{\"k\":\"{key}\",\"v\":{value}}}\n");
        }
    }
    input += "{\"k\":\"none\"}\n{\"k\":\"none\",\"v\":null}\n";
    let more = "input: in.jsonl\nprocess: {aggregate: {d: approx_distinct(v)}}";
    let rows = run(&env, "jsonl", &input, "key: k", more).unwrap();
    for (key, _, count) in groups {
        assert!(rows.contains(&format!("{{\"k\":\"{key}\",\"d\":{count}}}\n")), "{key}: {rows}");
    }
    assert!(rows.contains("{\"k\":\"none\",\"d\":null}\n"), "{rows}");
}

#[test]
fn a_key_is_the_same_however_its_text_is_escaped_and_a_number_as_it_is_written() {
    let env = Env::new();
    let keys = [r#""é""#, r#""\u00e9""#, "7", r#""7""#, "7.0", "7e0", "true", r#""true""#];
    let input: String = keys.iter().map(|key| format!("{{\"k\":{key}}}\n")).collect();
    let rows = run(&env, "jsonl", &input, "key: k", "input: in.jsonl\nprocess: {aggregate: {n: count}}").unwrap();
    let expected = [("7", 2), ("7.0", 1), ("7e0", 1), ("true", 2), ("é", 2)];
    assert_eq!(rows, expected.map(|(key, n)| format!("{{\"k\":\"{key}\",\"n\":{n}}}\n")).concat());
}

#[test]
fn round_makes_any_number_of_decimal_places_fit() {
    let env = Env::new();
    let input = "{\"v\":1.2345678901234567e-05}\n{\"v\":0.1}\n{\"v\":2.220446049250313e-16}\n";
    let job = |aggregate: &str| {
        run(&env, "jsonl", input, "", &format!("input: in.jsonl\nprocess: {{aggregate: {{r: \"{aggregate}\"}}}}"))
    };
    for (aggregate, result) in [
        ("sum(round(v, 6))", "0.100012"),
        ("sum(round(v, 18))", "0.100012345678901457"),
        ("min(round(v, 17))", "0.00000000000000022"),
        ("max(round(v, 0))", "0"),
        ("avg(round(v, 2))", "0.033333333333333333"),
    ] {
        assert_eq!(job(aggregate), Ok(format!("{{\"partition\":\"in.jsonl\",\"r\":{result}}}\n")), "{aggregate}");
    }
    let error = job("sum(v)").unwrap_err();
    assert!(error.contains("has more than 18 decimal places") && error.contains("`sum(round(v, 18))`"), "{error}");
}

#[test]
fn an_empty_line_is_a_record_of_text_and_of_nothing_else() {
    let env = Env::new();
    let count = |format: &str, input: &str| {
        let more = format!("input: in.{format}\nprocess: {{aggregate: {{n: count}}}}");
        run(&env, format, input, "", &more).unwrap().split("\"n\":").nth(1).unwrap_or_default().trim().to_owned()
    };
    for (input, lines) in [("a\n\n  \nb\n", "4}"), ("\n", "1}"), ("\r\n\r\n", "2}"), ("\n\na", "3}"), ("a\n", "1}")] {
        assert_eq!(count("txt", input), lines, "{input:?}");
    }
    assert_eq!(count("jsonl", "{}\n\n  \n\r\n{}\n\n"), "2}");
    assert_eq!(count("csv", "a,b\n1,2\n\n\r\n3,4\n\n"), "2}");
}

#[test]
fn empty_lines_of_text_are_counted_the_same_by_a_job_that_resumes() {
    let env = Env::new();
    env.write("job.yaml", "job: j\ninput: in.txt\nprocess: {aggregate: {n: count}}\noutput: out\n");
    let mut text = String::new();
    for part in ["a\n\n", "\n\nb\n", "\n"] {
        text += part;
        env.write("in.txt", &text);
        env.run(&["run", "job.yaml", "-q"]).expect(0);
        let lines = text.matches('\n').count();
        assert_eq!(env.read("out/j.jsonl"), format!("{{\"partition\":\"in.txt\",\"n\":{lines}}}\n"));
    }
}

#[test]
fn a_name_that_an_object_has_twice_makes_the_record_bad_wherever_it_is_asked_for() {
    let env = Env::new();
    let input = r#"{"k":"x","v":{"a":1,"a":2},"w":[{"b":{"a":1,"\u0061":1}}],"k2":1,"k2":2}"#;
    let job =
        |key: &str, more: &str| run(&env, "jsonl", &format!("{input}\n"), key, &format!("input: in.jsonl\n{more}"));
    let counting = "process: {aggregate: {n: count}}";
    for expression in ["v.a == 2", "v[\"a\"] == 2", "size(v) == 1", "\"a\" in v", "w[0][\"b\"][\"a\"] == 1"] {
        let error = job("key: k", &format!("where: '{expression}'\n{counting}")).unwrap_err();
        assert!(error.contains("field `a` appears twice"), "{expression}: {error}");
    }
    for aggregate in ["last(v)", "first(w)", "approx_distinct(v)", "approx_distinct(w)", "sum(v.a)", "last(v.a)"] {
        let error = job("key: k", &format!("process: {{aggregate: {{r: {aggregate}}}}}")).unwrap_err();
        assert!(error.contains("field `a` appears twice"), "{aggregate}: {error}");
    }
    assert!(job("key: k2", counting).unwrap_err().contains("field `k2` appears twice"));
    assert!(job("key: v.a", counting).unwrap_err().contains("field `a` appears twice"));
    assert_eq!(job("key: k", "process: {aggregate: {n: count(v)}}").unwrap(), "{\"k\":\"x\",\"n\":1}\n");
}
