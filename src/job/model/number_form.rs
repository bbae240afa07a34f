//! `numbers:` how text writes numbers.

/// How numbers are written in text, such as `1.234,50 €`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberForm {
    /// `thousands:` what divides the digits before the decimal point in groups of three.
    pub thousands: Option<char>,
    /// `decimal:` the decimal point.
    pub decimal: char,
    /// `strip:` characters that may be around a number and after its sign.
    pub strip: String,
}

impl NumberForm {
    /// Returns the number as JSON writes it. Returns `None` if `text` is not a number in this form, or has leading
    /// zeros.
    pub fn read(&self, text: &str) -> Option<String> {
        let is_stripped = |c: char| self.strip.contains(c);
        let text = text.trim_matches(is_stripped);
        let (sign, text) = match text.strip_prefix(['-', '\u{2212}']) {
            Some(rest) => ("-", rest.trim_start_matches(is_stripped)),
            None => ("", text),
        };
        let (whole, fraction) = match text.split_once(self.decimal) {
            Some((whole, fraction)) if is_digits(fraction) => (whole, Some(fraction)),
            Some(_) => return None,
            None => (text, None),
        };
        let whole = self.without_groups(whole)?;
        if whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        Some(match fraction {
            Some(fraction) => format!("{sign}{whole}.{fraction}"),
            None => format!("{sign}{whole}"),
        })
    }

    /// Returns the digits before the decimal point.
    fn without_groups(&self, whole: &str) -> Option<String> {
        let Some(thousands) = self.thousands.filter(|thousands| whole.contains(*thousands)) else {
            return is_digits(whole).then(|| whole.to_owned());
        };
        let mut groups = whole.split(thousands);
        let first = groups.next().filter(|first| is_digits(first) && first.len() <= 3)?;
        let rest: Vec<&str> = groups.collect();
        rest.iter().all(|group| is_digits(group) && group.len() == 3).then(|| format!("{first}{}", rest.concat()))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_their_form_and_no_other() {
        let form = NumberForm { thousands: Some('.'), decimal: ',', strip: "€ ".to_owned() };
        for (text, expected) in [
            ("1.234.567,50 €", Some("1234567.50")),
            ("-€ 12", Some("-12")),
            ("\u{2212}0,5", Some("-0.5")),
            ("12.5", None),
            ("1.2345", None),
            ("1234.567", None),
            ("1,2,3", None),
            (",5", None),
            ("5,", None),
            ("007", None),
            ("0", Some("0")),
            ("1e5", None),
            ("€", None),
            ("", None),
        ] {
            assert_eq!(form.read(text).as_deref(), expected, "{text}");
        }
        let plain = NumberForm { thousands: None, decimal: '.', strip: String::new() };
        assert_eq!(plain.read("1,234"), None);
        assert_eq!(plain.read("1.50").as_deref(), Some("1.50"));
    }
}
