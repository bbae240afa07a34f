//! Ranges of names in directories that are named by numbers, which can be listed at once.

/// How many ranges are listed at once.
const MAX_AT_ONCE: usize = 8;

/// The digits of a number in a name. Up to here the order of the names is that of the numbers.
const DIGITS: usize = 8;
const END: u64 = 100_000_000;

/// The names after one, up to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) after: String,
    /// Without it, all that come after.
    pub(super) up_to: Option<String>,
}

/// The ranges after the names of a page, each of about a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges {
    after: String,
    number: u64,
    numbers_per_page: u64,
    at_once: usize,
}

impl Ranges {
    /// Returns the ranges after `page`, if its names begin with the numbers of directories.
    pub(super) fn after(page: &[String]) -> Option<Ranges> {
        let (first, last) = (number_of(page.first()?)?, number_of(page.last()?)?);
        let numbers_per_page = last.checked_sub(first)?.max(1);
        Some(Ranges { after: page.last()?.clone(), number: last, numbers_per_page, at_once: 1 })
    }

    /// Continues with `next`, the first name after the last range. It is on a page that ends with `page_end`, so the
    /// numbers there are known to be as far apart.
    pub(super) fn go_on(&mut self, next: &str, page_end: &str) {
        let (Some(next), Some(end)) = (number_of(next), number_of(page_end)) else {
            self.number = END;
            return;
        };
        self.number = self.number.max(next.saturating_sub(1));
        self.numbers_per_page = self.numbers_per_page.max(end.saturating_sub(next));
    }

    /// Returns ranges to list at once, one after the other: twice as many each time, since the last ones may be empty.
    pub(super) fn next(&mut self) -> Vec<Range> {
        let count = self.at_once;
        self.at_once = (2 * count).min(MAX_AT_ONCE);
        let mut ranges = Vec::with_capacity(count);
        while ranges.len() < count {
            self.number = self.number.saturating_add(self.numbers_per_page);
            // `/` comes before `0`, so this is after all names in the directory of the number.
            let up_to = (self.number < END).then(|| format!("{:0DIGITS$}0", self.number));
            let after = std::mem::replace(&mut self.after, up_to.clone().unwrap_or_default());
            ranges.push(Range { after, up_to });
            if self.number >= END {
                break;
            }
        }
        ranges
    }
}

/// Returns the number of the directory in which `name` is.
fn number_of(name: &str) -> Option<u64> {
    let (directory, _) = name.split_once('/')?;
    let is_number = directory.len() == DIGITS && directory.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { directory.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_name_is_in_one_range_and_they_double_up_to_a_limit() {
        let mut ranges = Ranges::after(&page(&["00000001/SHA256SUMS", "00000004/SHA256SUMS"])).unwrap();
        let names = ["00000004/manifest.yaml", "00000005/SHA256SUMS", "00000007/x", "00000008", "00000009a/x", "x"];
        let mut found: Vec<&str> = Vec::new();
        let mut sizes = Vec::new();
        let mut before = "00000004/SHA256SUMS".to_owned();
        for _ in 0..6 {
            let next = ranges.next();
            sizes.push(next.len());
            for range in next {
                assert_eq!(range.after, before);
                before = range.up_to.clone().unwrap();
                found.extend(names.iter().filter(|name| **name > &*range.after && **name <= &*before));
            }
        }
        assert_eq!(sizes, [1, 2, 4, 8, 8, 8]);
        assert_eq!(found, names[..5], "the last one comes after all numbers");
        ranges.number = 99_999_990;
        let last = ranges.next();
        assert_eq!((last.len(), last.last().unwrap().up_to.as_ref()), (4, None));
    }

    #[test]
    fn gaps_are_skipped_and_names_without_numbers_come_in_one_range() {
        let mut ranges = Ranges::after(&page(&["00000001/a", "00000010/a"])).unwrap();
        assert_eq!(ranges.next()[0].up_to.as_ref().unwrap(), "000000190");
        ranges.go_on("00700000/a", "00700100/a");
        let next = ranges.next();
        assert_eq!((&*next[0].after, next[0].up_to.as_deref()), ("000000190", Some("007000990")));
        assert_eq!(next[1].up_to.as_deref(), Some("007001990"));
        ranges.go_on("other/a", "other/b");
        let next = ranges.next();
        assert_eq!((next.len(), &*next[0].after, next[0].up_to.as_ref()), (1, "007001990", None));
    }

    #[test]
    fn other_names_have_no_ranges() {
        for names in [&[][..], &["00000001"], &["00000001/a", "b/a"], &["ab/cd", "ab/ce"], &["000000001/a"]] {
            assert_eq!(Ranges::after(&page(names)), None, "{names:?}");
        }
        let same = Ranges::after(&page(&["00000007/a", "00000007/b"])).unwrap();
        assert_eq!((same.number, same.numbers_per_page), (7, 1));
    }
}
