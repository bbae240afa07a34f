use super::*;
use proptest::prelude::*;

/// The fields of `line` that are not missing, or what is wrong with it.
fn fields(pattern: &LinePattern, line: &str) -> String {
    let names = pattern.field_names().unwrap_or_else(|| vec!["level".to_owned(), "msg".to_owned(), "a.b".to_owned()]);
    let paths: Vec<FieldPath> = names.iter().map(FieldPath::of).collect();
    let mut slots = vec![Field::Missing; names.len()];
    let result = LineFields::new(pattern, &paths).extract(line, &mut slots);
    if let Err(bad) = result {
        return bad.reason;
    }
    let shown = names.iter().zip(&slots).filter_map(|(name, field)| match field {
        Field::Text(text) => Some(format!("{name}={text}")),
        _ => None,
    });
    shown.collect::<Vec<_>>().join("|")
}

#[test]
fn a_line_of_an_access_log_has_its_parts() {
    for (line, expected) in [
        (
            r#"10.0.0.1 - frank [10/Oct/2026:13:55:36 -0700] "GET /a b?q=1 HTTP/1.1" 200 2326 "http://x/" "Mozilla/5.0 \"q\"""#,
            r#"host=10.0.0.1|user=frank|time=2026-10-10T13:55:36-07:00|request=GET /a b?q=1 HTTP/1.1|method=GET|path=/a b?q=1|protocol=HTTP/1.1|status=200|bytes=2326|referer=http://x/|agent=Mozilla/5.0 \"q\""#,
        ),
        (
            r#"::1 - a user [01/Jan/2026:00:00:00 +0000] "\x16\x03\x01" 400 0 "-" """#,
            r"host=::1|user=a user|time=2026-01-01T00:00:00+00:00|request=\x16\x03\x01|status=400|bytes=0",
        ),
        (
            r#"h - - [01/Jan/2026:00:00:00 +0000] "GET /old" 200 - "-" "-""#,
            "host=h|time=2026-01-01T00:00:00+00:00|request=GET /old|method=GET|path=/old|status=200",
        ),
        ("", "is not a line of the combined log format: expected the host at byte 0"),
        (
            r#"h - - [01/Jam/2026:00:00:00 +0000] "-" 200 1 "-" "-""#,
            "is not a line of the combined log format: expected a time such as `10/Oct/2026:13:55:36 +0000` at byte 7",
        ),
        (
            r#"h - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1"#,
            "is not a line of the combined log format: expected a closing quote at byte 36",
        ),
        (
            r#"h - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1" ok 1 "-" "-""#,
            "is not a line of the combined log format: expected a status at byte 52",
        ),
        (
            r#"h - - [01/Jan/2026:00:00:00 +0000] "-" 200 1 "-" "-" 0.02"#,
            "is not a line of the combined log format: expected the end at byte 52",
        ),
        (
            r#"h - - [01/Jan/2026:00:00:00 +0000] "-" 200 1"#,
            "is not a line of the combined log format: expected ` ` at byte 44",
        ),
    ] {
        assert_eq!(fields(&LinePattern::Combined, line), expected, "{line}");
    }
    let common = r#"h - - [01/Jan/2026:00:00:00 +0000] "-" 200 1"#;
    assert_eq!(fields(&LinePattern::Common, common), "host=h|time=2026-01-01T00:00:00+00:00|status=200|bytes=1");
}

#[test]
fn a_line_of_syslog_has_its_parts() {
    for (line, expected) in [
        (
            "<34>Oct 11 22:14:15 mymachine su[231]: 'su root' failed",
            "priority=34|facility=4|severity=2|time=Oct 11 22:14:15|host=mymachine|app=su|pid=231|message='su root' failed",
        ),
        ("Oct  1 22:14:15 h kernel: [1.2] up: yes", "time=Oct  1 22:14:15|host=h|app=kernel|message=[1.2] up: yes"),
        (
            "Oct  1 22:14:15 h last message repeated 2 times",
            "time=Oct  1 22:14:15|host=h|message=last message repeated 2 times",
        ),
        ("Oct  1 22:14:15 postfix/smtpd[9]: connect", "time=Oct  1 22:14:15|app=postfix/smtpd|pid=9|message=connect"),
        (
            "2026-10-11T22:14:15.003+02:00 h cron[1]: run",
            "time=2026-10-11T22:14:15.003+02:00|host=h|app=cron|pid=1|message=run",
        ),
        (
            "<192>Oct 11 22:14:15 h a: b",
            "is not a line of syslog as in RFC 3164: expected a priority from 0 to 191 at byte 1",
        ),
        (
            "Okt 11 22:14:15 h a: b",
            "is not a line of syslog as in RFC 3164: expected a time such as `Oct 11 22:14:15` at byte 0",
        ),
        ("Oct 11 22:14:15", "is not a line of syslog as in RFC 3164: expected ` ` at byte 15"),
        (
            "Öct 11 22:14:15 h",
            "is not a line of syslog as in RFC 3164: expected a time such as `Oct 11 22:14:15` at byte 0",
        ),
    ] {
        assert_eq!(fields(&LinePattern::Rfc3164, line), expected, "{line}");
    }
    for (line, expected) in [
        (
            r#"<165>1 2003-10-11T22:14:15.003Z h.example evntslog - ID47 [x@1 a="\"]" b="2"][y] An event"#,
            r#"priority=165|facility=20|severity=5|time=2003-10-11T22:14:15.003Z|host=h.example|app=evntslog|message=An event|id=ID47|data=[x@1 a="\"]" b="2"][y]"#,
        ),
        ("<0>1 - - - - - -", "priority=0|facility=0|severity=0"),
        ("<0>1 - - - - - - -", "priority=0|facility=0|severity=0|message=-"),
        ("<0>1 - - - - - - \u{feff}hé", "priority=0|facility=0|severity=0|message=hé"),
        ("1 - - - - - -", "is not a line of syslog as in RFC 5424: expected `<` at byte 0"),
        ("<0>2 - - - - - -", "is not a line of syslog as in RFC 5424: expected `1 ` at byte 3"),
        ("<0>1 - - - - - [a", "is not a line of syslog as in RFC 5424: expected structured data, or `-` at byte 15"),
    ] {
        assert_eq!(fields(&LinePattern::Rfc5424, line), expected, "{line}");
    }
}

#[test]
fn a_line_of_logfmt_has_its_pairs() {
    for (line, expected) in [
        (r#"  level=info msg="a \"b\" \u00e9=c" other=1  a.b=x=y "#, "level=info|msg=a \"b\" é=c|a.b=x=y"),
        ("msg= level", "is not logfmt"),
        ("level msg=\t\tx=1", "level=true"),
        ("panic: runtime error", "is not a line of logfmt: expected a pair such as `level=info` at byte 20"),
        ("level=a x=1 level=b", "has the field `level` twice"),
        ("level= level=b", "has the field `level` twice"),
        ("x=1 x=2", ""),
        (r#"msg="a"#, "is not a line of logfmt: expected a text in quotes, escaped as in JSON at byte 4"),
        (r#"msg="a\"#, "is not a line of logfmt: expected a text in quotes, escaped as in JSON at byte 4"),
        (r#"msg="a"b"#, "is not a line of logfmt: expected a space at byte 7"),
        (r#"=a"#, "is not a line of logfmt: expected a name at byte 0"),
        (r#"a"b=c"#, "is not a line of logfmt: expected a name at byte 0"),
    ] {
        let expected = if expected == "is not logfmt" { "level=true" } else { expected };
        assert_eq!(fields(&LinePattern::Logfmt, line), expected, "{line}");
    }
}

#[test]
fn a_group_that_is_empty_or_did_not_take_part_is_missing() {
    let pattern = LinePattern::Regex(r"(?<a>\w*) (?:(?<b>\d+)|(?<c>\S+))".to_owned());
    assert_eq!(fields(&pattern, "x 12"), "a=x|b=12");
    assert_eq!(fields(&pattern, " é"), "c=é");
    assert_eq!(fields(&pattern, "x y z"), r"does not match the pattern `(?<a>\w*) (?:(?<b>\d+)|(?<c>\S+))`");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever a line has, it gives fields or a reason.
    #[test]
    fn no_line_breaks_a_parser(line in "[<>\\[\\]\"\\\\ =:0-9a-zOct/é+-]{0,60}", cut in 0usize..130) {
        let good = [
            r#"h - u [10/Oct/2026:13:55:36 -0700] "GET /é HTTP/1.1" 200 1 "-" "a\"b""#,
            r#"<165>1 2003-10-11T22:14:15.003Z h a - ID47 [x@1 a="\"]" b="é"] An event"#,
            "<34>Oct 11 22:14:15 mymachine su[231]: é",
        ];
        for (_, pattern) in LinePattern::NAMED {
            fields(&pattern, &line);
            for good in good {
                let cut = (0..=cut.min(good.len())).rev().find(|at| good.is_char_boundary(*at)).unwrap_or(0);
                fields(&pattern, &format!("{}{line}", &good[..cut]));
            }
        }
    }
}
