//! The page of `ckpt report` in a real browser: what it shows, that everyone can use it, and that no content of a store
//! runs as code in it.

use std::fmt::Write as _;
use std::fs;

use ckpt::format::manifest::Routing;
use serde_json::Value;

use crate::support::Env;
use crate::support::browser::{Browser, axe};
use crate::support::store_builder::StoreBuilder;

/// Names and values that would act in a page that does not escape them.
const HOSTILE: [&str; 5] = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "\\\"'&amp;<b>",
    "\u{202e}txt.exe \u{1b}[2J",
    "<style>*{display:none}</style>",
];

/// A store with a few checkpoints of a job whose input, keys and values are hostile, and its report.
fn written(env: &Env) {
    env.write(
        "job.yaml",
        "job: clicks\ninput: {files: '*.jsonl', format: json}\nkey: user\ntasks: 40\n\
         process: {aggregate: {n: count, spent: sum(spent), city: last(city)}}\n\
         checkpoint: {store: s, replicas: [r], keep: {last: 30}}\n",
    );
    let mut lines = String::new();
    for record in 0..2_000 {
        let key = format!("{}{}", HOSTILE[record % 5], record % 397);
        let line = serde_json::json!({"user": key, "city": HOSTILE[record % 3], "spent": record % 100});
        writeln!(lines, "{line}").expect("written");
        if record % 400 == 399 {
            env.write("<img src=x>.jsonl", &lines);
            env.run(&["run", "job.yaml", "-q"]).expect(0);
        }
    }
    let failed = "{\"number\":9000,\"time\":\"2026-11-22T14:10:30Z\",\"run\":\"<img>\",\"trigger\":\"schedule\",\
        \"outcome\":\"failed\",\"error\":\"<img src=x onerror=alert(4)>\"}\n";
    let log = fs::read_dir(env.path("s/history")).expect("listed").flatten().map(|entry| entry.path());
    for path in log.filter(|path| path.extension().is_some_and(|end| end == "jsonl")) {
        fs::write(&path, fs::read_to_string(&path).expect("readable") + failed).expect("written");
    }
    env.run(&["report", "s", "--verify", "-o", "report.html"]).expect(0);
}

#[test]
fn the_page_works_for_everybody_and_nothing_in_it_acts() {
    let Some(axe) = axe() else { return };
    let axe = fs::read_to_string(axe).expect("readable");
    let env = Env::new();
    written(&env);
    let mut browser = Browser::start(env.dir());
    for (width, is_dark) in [(1280, false), (1280, true), (360, false), (360, true)] {
        browser.look(width, is_dark);
        browser.open(&env.path("report.html"));
        let overflow = browser.evaluate("document.documentElement.scrollWidth - window.innerWidth");
        assert!(overflow.as_i64().is_some_and(|pixels| pixels <= 0), "{width}: {overflow} pixels too wide");
        browser.evaluate(&format!("{axe}; 0"));
        let violations = browser.evaluate("axe.run().then((result) => JSON.stringify(result.violations))");
        assert_eq!(violations, "[]", "{width} {is_dark}");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{width}");
    }
    let charts = browser.evaluate(
        "[...document.querySelectorAll('svg.chart')].map((chart) => \
         [...chart.querySelectorAll('polyline')].map((line) => line.points.length).sort((a, b) => b - a)[0])",
    );
    let charts = charts.as_array().expect("charts");
    assert!(charts.len() >= 6 && charts.iter().all(|points| points.as_u64() > Some(3)), "{charts:?}");
    assert_eq!(browser.evaluate("document.querySelectorAll('img, script:not([src])').length"), 1);
    let text = browser.evaluate("document.body.textContent");
    assert!(HOSTILE[..3].iter().all(|hostile| text.as_str().is_some_and(|text| text.contains(hostile))), "{text}");
}

#[test]
fn tables_are_sorted_and_searched_with_the_keyboard() {
    if axe().is_none() {
        return;
    }
    let env = Env::new();
    written(&env);
    let mut browser = Browser::start(env.dir());
    browser.look(1280, false);
    browser.open(&env.path("report.html"));
    let table = "document.getElementById('largest-keys').closest('table')";
    let column = |browser: &mut Browser| -> Vec<f64> {
        let cells =
            browser.evaluate(&format!("[...{table}.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.sort))"));
        cells.as_array().expect("cells").iter().filter_map(Value::as_f64).collect()
    };
    let before = column(&mut browser);
    assert!(before.len() >= 8 && before.is_sorted_by(|a, b| a >= b), "{before:?}");
    browser.evaluate(&format!("{table}.tHead.rows[0].cells[2].querySelector('button').focus()"));
    browser.press("Enter", "\r");
    assert!(column(&mut browser).is_sorted(), "{:?}", column(&mut browser));
    let sorted = format!("{table}.tHead.rows[0].cells[2].getAttribute('aria-sort')");
    assert_eq!(browser.evaluate(&sorted), "ascending");
    browser.press("Enter", "\r");
    assert_eq!((column(&mut browser), browser.evaluate(&sorted)), (before, Value::from("descending")));

    let bar = format!("{table}.parentElement.previousElementSibling");
    browser.evaluate(&format!("{bar}.querySelector('input').focus()"));
    browser.ask("Input.insertText", serde_json::json!({"text": "DISPLAY:none"}));
    let shown = browser.evaluate(&format!("[...{table}.tBodies[0].rows].filter((row) => !row.hidden).length"));
    let count = browser.evaluate(&format!("{bar}.querySelector('[role=status]').textContent"));
    let all = column(&mut browser).len() as u64;
    assert!(shown.as_u64().is_some_and(|shown| shown < all), "{shown} of {all}");
    assert_eq!(count, format!("{shown} of {all} rows"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// The most bytes of a page, whatever the store.
const MAX_BYTES: u64 = 2_000_000;

#[test]
fn a_page_about_a_store_with_many_checkpoints_and_tasks_is_small_and_opens_at_once() {
    if axe().is_none() {
        return;
    }
    let env = Env::in_memory();
    let mut builder = StoreBuilder::create(&env.path("s"), 1_000_000, 16, Routing::KeyHash);
    // The number of rows and points is limited, so that 10,000 checkpoints make no larger page.
    for number in 0..300 {
        let keys: Vec<String> = (0..4).map(|key| format!("a key of some length {}", number * 3 + key)).collect();
        let changes: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(i64::from(number)))).collect();
        builder.commit(&changes);
    }
    env.run(&["report", "s", "-o", "report.html"]).expect(0);
    let bytes = env.path("report.html").metadata().expect("a file").len();
    assert!(bytes < MAX_BYTES, "{bytes} bytes");
    let mut browser = Browser::start(env.dir());
    browser.look(1280, false);
    browser.open(&env.path("report.html"));
    let loaded = browser.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd");
    let charts = browser.evaluate("document.querySelectorAll('svg.chart').length");
    assert!(charts.as_u64() >= Some(5), "{charts}");
    // It is less than a second, unless the machine is busy.
    assert!(loaded.as_f64().is_some_and(|millis| millis < 10_000.0), "{loaded} ms, {bytes} bytes");
}
