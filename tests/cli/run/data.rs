//! Input, and its expected results, computed without the runner.

use std::collections::BTreeMap;
use std::io::Write as _;

pub use crate::support::random::Random;

/// The runner's grid and groups, as described in `docs/format.md`.
const CELL_BYTES: usize = 256 * 1024;
const GROUP: usize = 16;

#[derive(Clone)]
pub struct Click {
    pub user: String,
    pub cents: Option<i64>,
    pub ts: i64,
    pub page: Option<String>,
    pub country: &'static str,
}

pub fn clicks(seed: u64, count: usize, users: u64) -> Vec<Click> {
    let mut random = Random(seed);
    let mut one = |_| Click {
        user: format!("u{}", random.below(users)),
        cents: (random.below(10) > 0).then(|| random.below(20_000) as i64 - 5_000),
        ts: random.below(1000) as i64,
        page: match random.below(22) {
            0 => None,
            1 => Some("a, \"b\"".to_owned()),
            page => Some(format!("/p/{page}")),
        },
        country: ["DE", "AT", "FR"][random.below(3) as usize],
    };
    (0..count).map(&mut one).collect()
}

fn decimal(cents: i128) -> String {
    let text = format!("{}.{:02}", cents.abs() / 100, cents.abs() % 100);
    format!("{}{}", if cents < 0 { "-" } else { "" }, text.trim_end_matches('0').trim_end_matches('.'))
}

/// The bytes of a file, and the offset at which each record begins.
pub struct Rendered {
    pub bytes: Vec<u8>,
    pub starts: Vec<usize>,
}

pub fn json(clicks: &[Click]) -> Rendered {
    let mut rendered = Rendered { bytes: Vec::new(), starts: Vec::new() };
    for (i, click) in clicks.iter().enumerate() {
        rendered.starts.push(rendered.bytes.len());
        let amount = match click.cents {
            Some(cents) => format!(r#""amount":{},"#, decimal(cents.into())),
            None if i % 2 == 0 => r#""amount":null,"#.to_owned(),
            None => String::new(),
        };
        let page = click.page.as_ref().map(|page| format!(r#""page":{page:?},"#)).unwrap_or_default();
        let Click { user, ts, country, .. } = click;
        writeln!(
            rendered.bytes,
            r#"{{"user":{{"id":"{user}"}},{amount}{page}"more":[{{"x":{i}}}],"ts":{ts},"country":"{country}"}}"#
        )
        .expect("memory");
    }
    rendered
}

pub fn csv(clicks: &[Click]) -> Rendered {
    let mut rendered = Rendered { bytes: b"ts,user,page,amount,country\r\n".to_vec(), starts: Vec::new() };
    for click in clicks {
        rendered.starts.push(rendered.bytes.len());
        let page = click.page.as_deref().unwrap_or_default();
        let page = if page.contains('"') { format!("\"{}\"", page.replace('"', "\"\"")) } else { page.to_owned() };
        let amount = click.cents.map(|cents| decimal(cents.into())).unwrap_or_default();
        write!(rendered.bytes, "{},{},{page},{amount},{}\r\n", click.ts, click.user, click.country).expect("memory");
    }
    rendered
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

pub fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

/// Returns the clicks of all files, which are sorted by name, in input order.
pub fn in_order<'a>(files: &'a [(&'a [Click], &'a Rendered)]) -> Vec<&'a Click> {
    let mut places = Vec::new();
    for (file, (clicks, rendered)) in files.iter().enumerate() {
        for (click, &start) in clicks.iter().zip(&rendered.starts) {
            places.push(((file / GROUP, start / CELL_BYTES, file, start), click));
        }
    }
    places.sort_by_key(|(place, _)| *place);
    places.into_iter().map(|(_, click)| click).collect()
}

/// All aggregates, as the job files of these tests name them.
pub const AGGREGATES: &str = "
    clicks: count
    priced: count(amount)
    spent: sum(amount)
    rounded: sum(round(amount, 1))
    cheapest: min(amount)
    dearest: max(amount)
    least: min(page)
    mean: avg(amount)
    first_page: first(page)
    last_page: last(page)
    opening: first(page by ts)
    closing: last(page by ts)
    pages: approx_distinct(page)
";
const COLUMNS: [&str; 13] = [
    "clicks",
    "priced",
    "spent",
    "rounded",
    "cheapest",
    "dearest",
    "least",
    "mean",
    "first_page",
    "last_page",
    "opening",
    "closing",
    "pages",
];

#[derive(Clone)]
pub enum Cell {
    Null,
    Number(String),
    Text(String),
}

/// The rows of the output, by key.
pub type Expected = BTreeMap<String, Vec<Cell>>;

/// Computes [`AGGREGATES`] of `clicks`, which are in input order, grouped by `key`.
pub fn compute<'a>(clicks: impl IntoIterator<Item = &'a Click>, key: impl Fn(&Click) -> String) -> Expected {
    let mut groups: BTreeMap<String, Vec<&Click>> = BTreeMap::new();
    for click in clicks {
        groups.entry(key(click)).or_default().push(click);
    }
    groups.into_iter().map(|(key, clicks)| (key, cells(&clicks))).collect()
}

fn cells(clicks: &[&Click]) -> Vec<Cell> {
    let number = |number: usize| Cell::Number(number.to_string());
    let amount = |cents: Option<i128>| cents.map_or(Cell::Null, |cents| Cell::Number(decimal(cents)));
    let text = |text: Option<&String>| text.map_or(Cell::Null, |text| Cell::Text(text.clone()));
    let cents: Vec<i128> = clicks.iter().filter_map(|click| click.cents.map(i128::from)).collect();
    let pages: Vec<(i64, &String)> = clicks.iter().filter_map(|click| Some((click.ts, click.page.as_ref()?))).collect();
    let some = |sum: i128| (!cents.is_empty()).then_some(sum);
    // Among equal times, `min_by_key` returns the first and `max_by_key` the last.
    let (opening, closing) = (pages.iter().min_by_key(|(ts, _)| *ts), pages.iter().max_by_key(|(ts, _)| *ts));
    let mut distinct: Vec<&String> = pages.iter().map(|(_, page)| *page).collect();
    distinct.sort_unstable();
    distinct.dedup();
    vec![
        number(clicks.len()),
        number(cents.len()),
        amount(some(cents.iter().sum())),
        amount(some(cents.iter().map(|&cents| half_even(cents, 10) * 10).sum())),
        amount(cents.iter().min().copied()),
        amount(cents.iter().max().copied()),
        text(distinct.first().copied()),
        mean(&cents),
        text(pages.first().map(|(_, page)| *page)),
        text(pages.last().map(|(_, page)| *page)),
        text(opening.map(|(_, page)| *page)),
        text(closing.map(|(_, page)| *page)),
        if distinct.is_empty() { Cell::Null } else { number(distinct.len()) },
    ]
}

/// Divides and rounds half to even.
fn half_even(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number.div_euclid(by), number.rem_euclid(by));
    match (rest * 2).cmp(&by) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

fn mean(cents: &[i128]) -> Cell {
    if cents.is_empty() {
        return Cell::Null;
    }
    let units = half_even(cents.iter().sum::<i128>() * 10i128.pow(16), cents.len() as i128);
    let text = format!("{}.{:018}", units.abs() / 10i128.pow(18), units.abs() % 10i128.pow(18));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    Cell::Number(format!("{}{text}", if units < 0 { "-" } else { "" }))
}

/// Returns the output as JSON lines, with the key named `key`.
pub fn as_json(expected: &Expected, key: &str) -> String {
    let mut text = String::new();
    for (name, cells) in expected {
        text += &format!("{{\"{key}\":{name:?}");
        for (column, cell) in COLUMNS.iter().zip(cells) {
            let cell = match cell {
                Cell::Null => "null".to_owned(),
                Cell::Number(number) => number.clone(),
                Cell::Text(text) => format!("{text:?}"),
            };
            text += &format!(",\"{column}\":{cell}");
        }
        text += "}\n";
    }
    text
}

/// Returns the output as CSV, with the key named `key`.
pub fn as_csv(expected: &Expected, key: &str) -> String {
    let mut text = format!("{key},{}\n", COLUMNS.join(","));
    for (name, cells) in expected {
        text += name;
        for cell in cells {
            text += ",";
            match cell {
                Cell::Null => {}
                Cell::Text(cell) if cell.contains(',') => text += &format!("\"{}\"", cell.replace('"', "\"\"")),
                Cell::Number(cell) | Cell::Text(cell) => text += cell,
            }
        }
        text += "\n";
    }
    text
}
