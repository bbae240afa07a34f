//! `pattern:` what the lines of text look like.

use regex::{Error, Regex};

/// What the lines of text look like, and which fields they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinePattern {
    /// The Common Log Format of web servers.
    Common,
    /// The same with the referer and the user agent.
    Combined,
    /// Syslog as in RFC 3164, and as syslog daemons write it to files.
    Rfc3164,
    /// Syslog as in RFC 5424.
    Rfc5424,
    /// Pairs such as `level=info msg="request done"`.
    Logfmt,
    /// A regular expression that matches the whole line. Its named groups are the fields.
    Regex(String),
}

impl LinePattern {
    /// The patterns that have a name, with it.
    pub const NAMED: [(&str, LinePattern); 5] = [
        ("common", LinePattern::Common),
        ("combined", LinePattern::Combined),
        ("rfc3164", LinePattern::Rfc3164),
        ("rfc5424", LinePattern::Rfc5424),
        ("logfmt", LinePattern::Logfmt),
    ];

    /// Returns the value of `pattern:` in a job file.
    pub fn text(&self) -> &str {
        match self {
            LinePattern::Regex(expression) => expression,
            named => LinePattern::NAMED.iter().find(|(_, other)| other == named).map_or("", |(name, _)| name),
        }
    }

    /// Returns the names of the fields that a line can have. Returns `None` if it can have any.
    pub fn field_names(&self) -> Option<Vec<String>> {
        let named = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        match self {
            LinePattern::Common => named(&ACCESS_FIELDS[..COMMON_FIELD_COUNT]),
            LinePattern::Combined => named(&ACCESS_FIELDS),
            LinePattern::Rfc3164 => named(&SYSLOG_FIELDS[..RFC_3164_FIELD_COUNT]),
            LinePattern::Rfc5424 => named(&SYSLOG_FIELDS),
            LinePattern::Logfmt => None,
            LinePattern::Regex(expression) => {
                let regex = whole_line(expression).ok()?;
                Some(regex.capture_names().flatten().map(str::to_owned).collect())
            }
        }
    }
}

/// The fields of a line of the combined log format. Those of the common one come first.
pub(crate) const ACCESS_FIELDS: [&str; 12] =
    ["host", "ident", "user", "time", "request", "method", "path", "protocol", "status", "bytes", "referer", "agent"];
const COMMON_FIELD_COUNT: usize = 10;

/// The fields of a line of syslog. Those of RFC 3164 come first.
pub(crate) const SYSLOG_FIELDS: [&str; 10] =
    ["priority", "facility", "severity", "time", "host", "app", "pid", "message", "id", "data"];
const RFC_3164_FIELD_COUNT: usize = 8;

/// Compiles `expression` so that it matches whole lines only.
pub(crate) fn whole_line(expression: &str) -> Result<Regex, Error> {
    // By itself, so that no parenthesis in it closes the group around it.
    Regex::new(expression)?;
    // In verbose mode a comment at its end would hide the end of the group. White space is ignored there.
    Regex::new(&format!("^(?:{expression})$")).or_else(|_| Regex::new(&format!("^(?:{expression}\n)$")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_whole_lines() {
        for (expression, line, matches) in [
            ("a|ab", "ab", true),
            ("a|b", "ab", false),
            ("(?<x>a)", "ba", false),
            ("(?x) a # the end", "a", true),
            ("(?m)^a$", "a", true),
        ] {
            assert_eq!(whole_line(expression).unwrap().is_match(line), matches, "{expression}");
        }
        assert!(whole_line("a)|(b").is_err());
        let names = LinePattern::Regex("(?<x>a)(b)(?P<y>c)".to_owned()).field_names();
        assert_eq!(names, Some(vec!["x".to_owned(), "y".to_owned()]));
    }
}
