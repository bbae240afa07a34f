//! A trend of numbers in one line of characters.

use std::env;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PLAIN: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];

/// Draws a character for each of `values`, higher for larger values; `None` for fewer than two values.
///
/// If there are more than `most_chars` values, neighbors share a character, which shows the last of them.
pub fn sparkline(values: &[u64], most_chars: usize) -> Option<String> {
    draw(values, most_chars, if is_unicode() { &BLOCKS } else { &PLAIN })
}

fn draw(values: &[u64], most_chars: usize, steps: &[char; 8]) -> Option<String> {
    let count = values.len().min(most_chars);
    if count < 2 {
        return None;
    }
    let shown: Vec<u64> = (1..=count).map(|place| values[place * values.len() / count - 1]).collect();
    let (least, most) = (*shown.iter().min()?, *shown.iter().max()?);
    let step = |value: u64| match u128::from(most - least) {
        0 => 0,
        range => (u128::from(value - least) * 7 + range / 2) / range,
    };
    Some(shown.into_iter().map(|value| steps[step(value) as usize]).collect())
}

/// Tells whether the locale uses UTF-8, by the variables that the C library reads.
fn is_unicode() -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| env::var(name).ok().filter(|set| !set.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(values: &[u64], most_chars: usize) -> Option<String> {
        draw(values, most_chars, &BLOCKS)
    }

    #[test]
    fn the_smallest_is_lowest_and_the_largest_highest() {
        assert_eq!(blocks(&[0, 1, 2, 3, 4, 5, 6, 7], 60).as_deref(), Some("▁▂▃▄▅▆▇█"));
        assert_eq!(blocks(&[u64::MAX, 0, u64::MAX], 60).as_deref(), Some("█▁█"));
        assert_eq!(draw(&[1, 9], 60, &PLAIN).as_deref(), Some("_#"));
    }

    #[test]
    fn what_does_not_change_is_flat_and_one_value_is_no_line() {
        assert_eq!(blocks(&[5, 5, 5], 60).as_deref(), Some("▁▁▁"));
        assert_eq!((blocks(&[5], 60), blocks(&[], 60)), (None, None));
    }

    #[test]
    fn a_long_line_is_as_long_as_there_is_room_and_ends_with_the_last() {
        let values: Vec<u64> = (0..10_000).collect();
        let line = blocks(&values, 40).expect("a line");
        assert_eq!(line.chars().count(), 40);
        assert!(line.starts_with('▁') && line.ends_with('█'), "{line}");
        let last = [vec![1; 9_999], vec![9]].concat();
        assert!(blocks(&last, 7).expect("a line").ends_with('█'));
    }
}
