//! The requested fields of a line.

use std::borrow::Cow;

use regex::{CaptureLocations, Regex};

use crate::input::record::bad_record::{BadRecord, in_one_line};
use crate::input::record::field::Field;
use crate::input::record::text::{access, logfmt, syslog};
use crate::job::field::FieldPath;
use crate::job::model::{ACCESS_FIELDS, LinePattern, SYSLOG_FIELDS, whole_line};

/// Takes the requested fields from lines.
#[derive(Debug, Clone)]
pub(crate) struct LineFields {
    form: Form,
    /// By slot. A path of several names is one name with dots.
    names: Vec<String>,
    /// The place of a field among those of the form, and its slot.
    wanted: Vec<(usize, usize)>,
}

#[derive(Debug, Clone)]
enum Form {
    Access { is_combined: bool },
    OldSyslog,
    NewSyslog,
    Logfmt,
    Regex { regex: Regex, groups: CaptureLocations },
}

impl LineFields {
    /// The pattern must have been checked.
    pub(crate) fn new(pattern: &LinePattern, fields: &[FieldPath]) -> LineFields {
        let names: Vec<String> = fields.iter().map(|field| field.names.join(".")).collect();
        let mut known: Vec<Option<String>> = Vec::new();
        let mut of = |names: &[&str]| known = names.iter().map(|name| Some((*name).to_owned())).collect();
        let form = match pattern {
            LinePattern::Common | LinePattern::Combined => {
                of(&ACCESS_FIELDS);
                Form::Access { is_combined: *pattern == LinePattern::Combined }
            }
            LinePattern::Rfc3164 => {
                of(&SYSLOG_FIELDS);
                Form::OldSyslog
            }
            LinePattern::Rfc5424 => {
                of(&SYSLOG_FIELDS);
                Form::NewSyslog
            }
            LinePattern::Logfmt => Form::Logfmt,
            LinePattern::Regex(expression) => {
                let regex = whole_line(expression).expect("the job file was checked");
                known = regex.capture_names().map(|name| name.map(str::to_owned)).collect();
                Form::Regex { groups: regex.capture_locations(), regex }
            }
        };
        let place = |name: &String| known.iter().position(|known| known.as_ref() == Some(name));
        let wanted = names.iter().enumerate().filter_map(|(slot, name)| Some((place(name)?, slot))).collect();
        LineFields { form, names, wanted }
    }

    /// Fills `slots`, which are all [`Field::Missing`], from `line`, which has no line end.
    #[inline]
    pub(crate) fn extract<'a>(&mut self, line: &'a str, slots: &mut [Field<'a>]) -> Result<(), BadRecord> {
        let LineFields { form, names, wanted } = self;
        match form {
            Form::Access { is_combined } => {
                let is_absent = |text: &str| text.is_empty() || text == "-";
                let mut take = |place, text: &'a str| {
                    put(wanted, slots, place, || {
                        (!is_absent(text)).then(|| if place == access::TIME { access::time(text) } else { text.into() })
                    });
                };
                let name = if *is_combined { "the combined log format" } else { "the common log format" };
                access::split(line, *is_combined, &mut take).map_err(|expected| expected.explain(name))
            }
            Form::OldSyslog => {
                let mut take = |place, text: &'a str| put(wanted, slots, place, || syslog_value(place, text, false));
                syslog::split_old(line, &mut take).map_err(|expected| expected.explain("syslog as in RFC 3164"))
            }
            Form::NewSyslog => {
                let mut take = |place, text: &'a str| put(wanted, slots, place, || syslog_value(place, text, true));
                syslog::split_new(line, &mut take).map_err(|expected| expected.explain("syslog as in RFC 5424"))
            }
            Form::Logfmt => extract_logfmt(names, line, slots),
            Form::Regex { regex, groups } => {
                let is_match = match wanted.is_empty() {
                    true => regex.is_match(line),
                    false => regex.captures_read(groups, line).is_some(),
                };
                if !is_match {
                    let reason = format!("does not match the pattern `{}`", in_one_line(regex_text(regex)));
                    return Err(BadRecord { reason });
                }
                for (group, slot) in wanted {
                    if let Some((start, end)) = groups.get(*group).filter(|(start, end)| start < end) {
                        slots[*slot] = Field::Text(Cow::Borrowed(&line[start..end]));
                    }
                }
                Ok(())
            }
        }
    }
}

/// Puts the value into the slots of the field at `place`, if it has one.
#[inline]
fn put<'a>(wanted: &[(usize, usize)], slots: &mut [Field<'a>], place: usize, value: impl Fn() -> Option<Cow<'a, str>>) {
    for (_, slot) in wanted.iter().filter(|(known, _)| *known == place) {
        slots[*slot] = value().map_or(Field::Missing, Field::Text);
    }
}

fn syslog_value(place: usize, text: &str, has_dashes: bool) -> Option<Cow<'_, str>> {
    match place {
        syslog::FACILITY | syslog::SEVERITY => Some(syslog::part_of_priority(text, place).into()),
        _ if text.is_empty() || (has_dashes && text == "-" && place != syslog::MESSAGE) => None,
        _ => Some(text.into()),
    }
}

fn extract_logfmt<'a>(names: &[String], line: &'a str, slots: &mut [Field<'a>]) -> Result<(), BadRecord> {
    let mut twice = None;
    // An empty value makes a field missing, but it counts as a value.
    let mut seen = vec![false; names.len()];
    let result = logfmt::split(line, |name, value| {
        for (slot, _) in names.iter().enumerate().filter(|(_, known)| *known == name) {
            if std::mem::replace(&mut seen[slot], true) {
                twice = Some(name);
            }
            if !value.is_empty() {
                slots[slot] = Field::Text(value.clone());
            }
        }
    });
    result.map_err(|expected| expected.explain("logfmt"))?;
    match twice {
        Some(name) => Err(BadRecord { reason: format!("has the field `{}` twice", in_one_line(name)) }),
        None => Ok(()),
    }
}

/// Returns the expression of the job file, without the group around it.
fn regex_text(regex: &Regex) -> &str {
    let text = regex.as_str();
    text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$")).unwrap_or(text).trim_end_matches('\n')
}

#[cfg(test)]
mod tests;
