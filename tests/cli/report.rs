//! `ckpt report`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ckpt::values::digest::Digest;
use serde::Deserialize;

use crate::support::Env;
use crate::support::headed::Headed;
use crate::support::store_builder::{StoreBuilder, with_three_checkpoints};

type View = Headed<Written>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Written {
    file: String,
    bytes: u64,
    health: String,
    concerns: Vec<String>,
}

/// A store with three checkpoints, and the clock some time after the last.
fn env() -> Env {
    let mut env = with_three_checkpoints();
    env.at("2026-11-22T14:31:00Z");
    env
}

fn view(env: &Env, arguments: &[&str], status: i32) -> View {
    let arguments = [&["report", "s", "--json", "--force", "-o", "r.html"], arguments].concat();
    serde_json::from_str(&env.run(&arguments).expect(status).stdout).expect("a view")
}

/// Returns what is between two tags.
fn between<'a>(page: &'a str, open: &str, close: &str) -> &'a str {
    page.split_once(open).and_then(|(_, rest)| rest.split_once(close)).expect("both tags").0
}

#[test]
fn the_page_is_a_file_that_is_replaced_only_on_request() {
    let env = env();
    let output = env.run(&["report", "s"]).expect(0);
    let page = env.read("clicks-report.html");
    assert!(output.stdout.starts_with("wrote clicks-report.html: healthy, "), "{output}");
    let again = env.run(&["report", "s"]).expect(2);
    assert!(again.stderr.contains("`clicks-report.html` exists"), "{again}");
    env.write("clicks-report.html", "mine");
    env.run(&["report", "s", "--output", "clicks-report.html"]).expect(2);
    assert_eq!(env.read("clicks-report.html"), "mine");
    env.run(&["report", "s", "--force"]).expect(0);
    assert_eq!(env.read("clicks-report.html"), page);
    assert_eq!(env.run(&["report", "s", "-o", "-"]).expect(0).stdout, page);
    env.run(&["report", "s", "-o", "absent/r.html"]).expect(4);
    env.run(&["report", "nowhere"]).expect(10);
    env.run(&["report", "s@1"]).expect(2);
}

#[test]
fn the_policy_of_the_page_allows_its_own_style_and_script_and_nothing_else() {
    let env = env();
    let page = env.run(&["report", "s", "-o", "-"]).expect(0).stdout;
    let hash = |text: &str| STANDARD.encode(Digest::of(text.as_bytes()).as_bytes());
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
    let (style, script) = (between(&page, "<style>", "</style>"), between(&page, "<script>", "</script>"));
    for part in [
        "default-src 'none'".to_owned(),
        format!("style-src 'sha256-{}'", hash(style)),
        format!("script-src 'sha256-{}'", hash(script)),
    ] {
        assert!(policy.contains(&part), "{policy}\n{part}");
    }
    assert_eq!((page.matches("<script").count(), page.matches("<style").count()), (1, 1));
    for loads in ["src=", "url(", "@import", "style=\"", "<link", "<iframe"] {
        assert!(!page.contains(loads), "{loads}");
    }
    let links: Vec<&str> = page.split("href=\"").skip(1).filter(|rest| !rest.starts_with('#')).collect();
    assert_eq!(links, Vec::<&str>::new());
}

#[test]
fn what_the_page_says_is_what_the_other_commands_say() {
    let env = env();
    let page = env.run(&["report", "s", "-o", "-", "--verify"]).expect(0).stdout;
    let has = |text: &str| assert!(page.contains(text), "{text}");
    has("The last good checkpoint of job clicks is 3, made 1m ago");
    has("<span class=\"word\">intact</span>, 3 checkpoints");
    has("From checkpoint 2 (2026-11-22T14:20:00Z) to 3 (2026-11-22T14:30:00Z): 1 keys added, 0 changed, 1 removed");
    for key in ["ann", "bob", "cyd", "eve", "fay", "xan"] {
        has(&format!("<td class=\"wide\">{key}</td>"));
    }
    let stats = env.run(&["stats", "s", "--json"]).expect(0).stdout;
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    let older = stats["older_bytes"].as_u64().expect("a number");
    has(&format!("<dd>{}</dd>", ckpt::values::units::Bytes(older)));
    let quick = env.run(&["report", "s", "-o", "-", "--quick"]).expect(0).stdout;
    assert!(quick.matches("Left out by --quick.").count() == 3 && !quick.contains("<td class=\"wide\">ann</td>"));
    assert!(quick.contains("Not known: this report was written without --verify"));
}

#[test]
fn the_health_says_what_is_wrong() {
    let env = env();
    let healthy = view(&env, &[], 0);
    assert_eq!((healthy.health.as_str(), healthy.concerns.len()), ("good", 0));
    assert_eq!(healthy.bytes, env.read("r.html").len() as u64);
    let failed = "{\"number\":1,\"time\":\"2026-11-22T14:30:30Z\",\"run\":\"0123456789abcdef\",\
        \"trigger\":\"schedule\",\"outcome\":\"failed\",\"error\":\"no <space> left\"}\n";
    env.write("s/history/attempts-00000001.jsonl", failed);
    let failing = view(&env, &[], 0);
    assert_eq!(failing.health, "attention");
    assert_eq!(failing.concerns, ["The last attempt failed, at 2026-11-22T14:30:30Z: no <space> left"]);
    assert!(env.read("r.html").contains("no &lt;space&gt; left"));
    env.write("s/checkpoints/00000001/manifest.yaml", "format: 1\n<script>");
    let older = view(&env, &[], 1);
    assert_eq!((older.health.as_str(), older.concerns[0].as_str()), ("damaged", "1 older checkpoint cannot be read"));
    env.write("s/checkpoints/00000003/manifest.yaml", "format: 1\n<script>");
    let newest = view(&env, &[], 1);
    assert!(newest.concerns[0].starts_with("The newest checkpoint, 3, is damaged: "), "{newest:?}");
    let page = env.read("r.html");
    assert!(page.contains("The last good checkpoint of job clicks is 2") && page.matches("<script").count() == 1);
}

#[test]
fn damaged_bytes_are_found_where_they_are_read() {
    let env = env();
    let objects = env.run(&["inspect", "s", "--objects", "--json"]).expect(0).stdout;
    let objects: serde_json::Value = serde_json::from_str(&objects).expect("JSON");
    let objects = objects["objects"].as_array().expect("objects");
    let base = objects.iter().find(|object| object["role"] == "base").expect("a base");
    let path = base["path"].as_str().expect("a path");
    let mut bytes = std::fs::read(env.path(path)).expect("readable");
    bytes[7] ^= 1;
    env.write(path, bytes);
    assert_eq!(view(&env, &["--quick"], 0).health, "good");
    // What cannot be read is missing, and the rest of the page is there.
    let read = view(&env, &[], 1);
    assert!(read.health == "damaged" && read.concerns[0].starts_with("Damaged: "), "{read:?}");
    let page = env.read("r.html");
    assert!(page.contains("<span class=\"word damaged\">Damaged</span>: ") && page.contains("Largest"), "{page}");
    let found = view(&env, &["--verify"], 1);
    assert!(found.concerns.iter().any(|concern| concern.starts_with("Verification found damage in ")), "{found:?}");
    assert!(env.read("r.html").contains("object-damaged"));
}

#[test]
fn a_store_without_checkpoints_has_a_page_too() {
    let mut env = Env::new();
    env.at("2026-11-22T14:31:00Z");
    drop(StoreBuilder::keyed(&env.path("s")));
    let view = view(&env, &["--verify"], 0);
    assert_eq!(
        (view.health.as_str(), &view.concerns[..]),
        ("attention", &["There is no checkpoint yet".to_owned()][..])
    );
    assert!(env.read("r.html").contains("Job clicks has no checkpoint yet."));
}

#[test]
fn files_that_only_another_replica_has_are_a_concern() {
    let env = env();
    env.run(&["copy", "s", "--to", "r"]).expect(0);
    let places = ["s", "r"].map(|place| format!("- {}\n", env.path(place).display())).concat();
    env.write("s/replicas.yaml", format!("format: 1\nmin_copies: 1\nplaces:\n{places}"));
    let written = view(&env, &[], 0);
    assert_eq!((written.health.as_str(), written.concerns.len()), ("good", 0), "{:?}", written.concerns);
    env.shell("rm s/checkpoints/00000003/manifest.yaml").expect(0);
    let written = view(&env, &[], 0);
    assert_eq!(written.health, "attention");
    assert!(written.concerns[0].starts_with("Only another replica has "), "{:?}", written.concerns);
    assert!(written.concerns[0].contains("s/checkpoints/00000003/manifest.yaml"), "{:?}", written.concerns);
}
