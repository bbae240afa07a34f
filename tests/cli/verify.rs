//! `ckpt verify`: each kind of damage in each place, and exactly what it finds.

use std::fs;
use std::path::PathBuf;

use ckpt::format::manifest::Manifest;
use ckpt::format::segment::SegmentWriter;
use serde::Deserialize;

use crate::support::Env;
use crate::support::store_builder::{JOB, StoreBuilder, three_checkpoints, values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct View {
    version: u32,
    intact: bool,
    targets: Vec<Target>,
    repair: Option<Repair>,
    #[serde(default)]
    errors: Vec<Failure>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    target: String,
    error: String,
    exit_code: i32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Repair {
    dry_run: bool,
    steps: Vec<Step>,
    hopeless: Vec<Hopeless>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Step {
    store: String,
    path: String,
    from: Option<String>,
    bytes: u64,
    done: bool,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Hopeless {
    store: String,
    code: String,
    path: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Target {
    target: String,
    store: String,
    intact: bool,
    checkpoints: Vec<u64>,
    damaged: Vec<u64>,
    newest_intact: Option<u64>,
    objects: u64,
    read_bytes: u64,
    unread: u64,
    never_read: Option<u64>,
    oldest_reading: Option<String>,
    error: Option<String>,
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Finding {
    code: String,
    severity: String,
    store: String,
    path: String,
    expected: String,
    found: String,
    checkpoints: Vec<u64>,
    since: Option<u64>,
    lost: Option<Lost>,
    good_copy: Option<String>,
    next_step: String,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
enum Lost {
    State,
    Positions,
    Definition,
    Rows { first_task: u32, last_task: u32, rows: u64, smallest_key: String, largest_key: String },
}

/// Verifies and returns the findings, each as `code place checkpoints`, and the exit code.
fn findings(env: &Env, arguments: &[&str]) -> (Vec<String>, i32) {
    let arguments: Vec<&str> = ["verify", "--json"].into_iter().chain(arguments.iter().copied()).collect();
    let output = env.run(&arguments);
    let view: View = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"));
    assert_eq!(view.intact, output.status == 0, "{output}");
    let line = |finding: &Finding| {
        // The path can be opened as it is.
        let path = finding.path.strip_prefix(&format!("{}/", finding.store)).expect("in the store");
        format!("{} {path} {:?}", finding.code, finding.checkpoints)
    };
    let findings = view.targets.iter().flat_map(|target| &target.findings);
    (findings.map(line).collect(), output.status)
}

/// Returns the first word of each finding.
fn codes(findings: &[String]) -> Vec<String> {
    findings.iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// What is damaged.
#[derive(Debug, Clone, Copy)]
enum Place {
    Manifest(u64),
    Sums(u64),
    Index(u64),
    Positions(u64),
    Job,
    Base,
    LastDelta,
}

impl Place {
    /// Returns the file below the store.
    fn path(self, env: &Env) -> String {
        let manifest = |number: u64| {
            let text = env.read(&format!("s/checkpoints/{number:08}/manifest.yaml"));
            Manifest::from_yaml(text.as_bytes()).expect("a manifest")
        };
        let segments = || {
            let manifest = manifest(3);
            let bytes = fs::read(env.path("s").join(manifest.tables.index.object.path().as_str())).expect("an index");
            ckpt::format::index::decode(bytes.into()).expect("an index")
        };
        match self {
            Place::Manifest(number) => format!("checkpoints/{number:08}/manifest.yaml"),
            Place::Sums(number) => format!("checkpoints/{number:08}/SHA256SUMS"),
            Place::Index(number) => manifest(number).tables.index.object.path().to_string(),
            Place::Positions(number) => manifest(number).tables.positions.object.path().to_string(),
            Place::Job => manifest(3).tables.job.object.path().to_string(),
            Place::Base => segments()[0].object.path().to_string(),
            Place::LastDelta => segments().last().expect("a segment").object.path().to_string(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Delete,
    Empty,
    Truncate,
    Flip,
    Directory,
    Link,
}

impl Damage {
    fn strike(self, path: PathBuf) {
        let bytes = fs::read(&path).expect("a file");
        match self {
            Damage::Delete => fs::remove_file(path).expect("deleted"),
            Damage::Empty => fs::write(path, b"").expect("written"),
            Damage::Truncate => fs::write(path, &bytes[..bytes.len() / 2]).expect("written"),
            Damage::Flip => {
                let mut bytes = bytes;
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(path, bytes).expect("written");
            }
            Damage::Directory => {
                fs::remove_file(&path).expect("deleted");
                fs::create_dir(path).expect("created");
            }
            Damage::Link => {
                let elsewhere = path.with_extension("moved");
                fs::rename(&path, &elsewhere).expect("renamed");
                std::os::unix::fs::symlink(elsewhere, path).expect("linked");
            }
        }
    }
}

#[test]
fn each_kind_of_damage_in_each_place_is_identified() {
    use Damage::*;
    use Place::*;
    let cases: &[(Place, &[Damage], &str, &[u64])] = &[
        (Manifest(2), &[Delete], "manifest-missing", &[2]),
        (Manifest(2), &[Empty, Truncate, Directory, Link], "manifest-damaged", &[2]),
        (Manifest(3), &[Delete], "manifest-missing", &[3]),
        (Manifest(3), &[Empty, Truncate], "manifest-damaged", &[3]),
        (Sums(2), &[Delete, Directory], "sums-missing", &[2]),
        (Sums(2), &[Empty, Truncate, Flip], "sums-wrong", &[2]),
        (Sums(3), &[Delete], "sums-missing", &[3]),
        (Sums(3), &[Empty, Truncate, Flip], "sums-wrong", &[3]),
        (Index(2), &[Delete], "object-missing", &[2]),
        (Index(2), &[Empty, Truncate], "object-size", &[2]),
        (Index(2), &[Flip], "object-damaged", &[2]),
        (Index(2), &[Directory], "object-unreadable", &[2]),
        (Positions(3), &[Delete], "object-missing", &[3]),
        (Positions(3), &[Empty, Truncate], "object-size", &[3]),
        (Positions(3), &[Flip], "object-damaged", &[3]),
        (Job, &[Delete], "object-missing", &[1, 2, 3]),
        (Job, &[Flip], "object-damaged", &[1, 2, 3]),
        (Base, &[Delete], "object-missing", &[1, 2, 3]),
        (Base, &[Empty, Truncate], "object-size", &[1, 2, 3]),
        (Base, &[Flip], "object-damaged", &[1, 2, 3]),
        (Base, &[Directory], "object-unreadable", &[1, 2, 3]),
        (LastDelta, &[Delete], "object-missing", &[3]),
        (LastDelta, &[Truncate], "object-size", &[3]),
        (LastDelta, &[Flip], "object-damaged", &[3]),
        (LastDelta, &[Link], "object-unreadable", &[3]),
    ];
    for (place, damages, code, checkpoints) in cases {
        for damage in *damages {
            let env = Env::new();
            three_checkpoints(&env.path("s"));
            let path = place.path(&env);
            damage.strike(env.path("s").join(&path));
            for depth in [&["s"][..], &["s", "--deep"]] {
                let (mut found, status) = findings(&env, depth);
                // What a link points to is now in the store too.
                found.retain(|line| !line.contains(".moved"));
                let expected = format!("{code} {path} {checkpoints:?}");
                assert_eq!((found, status), (vec![expected], 1), "{place:?} {damage:?} {depth:?}");
            }
        }
    }
}

#[test]
fn quick_sees_what_is_missing_or_has_another_size_but_not_the_bytes_of_segments() {
    for (place, damage, expected) in [
        (Place::Base, Damage::Delete, "object-missing"),
        (Place::Base, Damage::Truncate, "object-size"),
        (Place::Manifest(2), Damage::Truncate, "manifest-damaged"),
    ] {
        let env = Env::new();
        three_checkpoints(&env.path("s"));
        damage.strike(env.path("s").join(place.path(&env)));
        let (found, status) = findings(&env, &["s", "--quick"]);
        assert_eq!((found.len(), status), (1, 1), "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
    let env = Env::new();
    three_checkpoints(&env.path("s"));
    Damage::Flip.strike(env.path("s").join(Place::Base.path(&env)));
    assert_eq!(findings(&env, &["s", "--quick"]), (vec![], 0));
}

#[test]
fn a_manifest_that_was_changed_with_care_is_found() {
    let manifest = |number: u64| format!("checkpoints/{number:08}/manifest.yaml");
    for number in [1, 2, 3] {
        let env = Env::new();
        three_checkpoints(&env.path("s"));
        let path = format!("s/{}", manifest(number));
        env.write(&path, env.read(&path).replace("pause_micros: 850", "pause_micros: 851"));
        let expected = format!("manifest-altered {} [{number}]", manifest(number));
        assert_eq!(findings(&env, &["s"]), (vec![expected.clone()], 1));
        assert_eq!(findings(&env, &[&format!("s@{number}")]), (vec![expected], 1));

        // With the list changed as well, only the next checkpoint knows better; nothing contradicts the newest.
        let text = env.read(&path);
        let sums = format!("s/checkpoints/{number:08}/SHA256SUMS");
        let list = env.read(&sums);
        let (objects, _) = list.trim_end().rsplit_once('\n').expect("lines");
        env.write(&sums, format!("{objects}\n{}  manifest.yaml\n", ckpt::values::digest::Digest::of(text.as_bytes())));
        let (found, status) = findings(&env, &["s"]);
        match number {
            3 => assert_eq!((found, status), (vec![], 0)),
            _ => {
                let next = number + 1;
                assert_eq!((found, status), (vec![format!("chain-broken {} [{next}]", manifest(next))], 1));
            }
        }
    }
}

#[test]
fn the_manifest_of_another_checkpoint_or_store_is_misplaced() {
    let env = Env::new();
    three_checkpoints(&env.path("s"));
    env.write("s/checkpoints/00000002/manifest.yaml", env.read("s/checkpoints/00000001/manifest.yaml"));
    let expected = vec!["manifest-misplaced checkpoints/00000002/manifest.yaml [2]".to_owned()];
    assert_eq!(findings(&env, &["s"]), (expected, 1));
}

#[test]
fn a_removed_checkpoint_leaves_a_gap_and_the_objects_that_only_it_needed() {
    let env = Env::new();
    three_checkpoints(&env.path("s"));
    let index = Place::Index(1).path(&env);
    fs::remove_dir_all(env.path("s/checkpoints/00000001")).expect("removed");
    let (found, status) = findings(&env, &["s"]);
    assert_eq!(status, 1, "{found:?}");
    assert!(found.contains(&"chain-gap checkpoints/00000002/manifest.yaml [1]".to_owned()), "{found:?}");
    assert!(found.contains(&format!("object-unused {index} []")), "{found:?}");
    let output = env.run(&["verify", "s"]).expect(1);
    assert!(output.stdout.contains("NOT intact: checkpoint 1 damaged; newest intact: 3;"), "{output}");
}

#[test]
fn a_pruned_checkpoint_is_distinguished_from_a_lost_one() {
    let mut env = Env::new();
    env.at("2026-11-22T15:00:00Z");
    three_checkpoints(&env.path("s"));
    env.run(&["prune", "s", "--keep-last", "1", "--yes"]).expect(0);
    let gone = vec!["parent-gone checkpoints/00000003/manifest.yaml [3]".to_owned()];
    assert_eq!(findings(&env, &["s"]), (gone.clone(), 0), "what can be brought back does not count as unused");
    assert_eq!(findings(&env, &["s@3"]), (gone, 0));
    fs::remove_dir_all(env.path("s/history")).expect("removed");
    assert_eq!(findings(&env, &["s"]), (vec!["chain-gap checkpoints/00000003/manifest.yaml [2]".to_owned()], 1));
    // The history records the prune of another checkpoint with that number.
    env.run(&["prune", "s", "--keep-last", "1", "--yes"]).expect(0);
    let event = env.read("s/history/00000001.yaml");
    let digest = regex::Regex::new("sha256: [0-9a-f]{64}").expect("well formed");
    env.write("s/history/00000001.yaml", &*digest.replace_all(&event, format!("sha256: {}", "0".repeat(64))));
    let found = ["chain-broken checkpoints/00000003/manifest.yaml [3]", "event-damaged history/00000001.yaml []"];
    assert_eq!(findings(&env, &["s"]), (found.map(str::to_owned).to_vec(), 1));
}

#[test]
fn a_stray_file_is_a_note() {
    let env = Env::new();
    three_checkpoints(&env.path("s"));
    for file in [
        "note.txt",
        ".tmp-1",
        "checkpoints/old/x",
        "checkpoints/00000001/y",
        "objects/z",
        "objects/sha256/00/aa",
        "objects/sha256/zz/aa",
        "damaged/x.1",
    ] {
        env.write(&format!("s/{file}"), "x");
    }
    let (found, status) = findings(&env, &["s"]);
    assert_eq!(status, 0);
    assert_eq!(
        found,
        [
            "leftover .tmp-1 []",
            "foreign-file checkpoints/00000001/y []",
            "foreign-file checkpoints/old []",
            "object-set-aside damaged/x.1 []",
            "foreign-file note.txt []",
            "foreign-file objects/sha256/00/aa []",
            "foreign-file objects/sha256/zz []",
            "foreign-file objects/z []",
        ]
    );
    assert_eq!(findings(&env, &["s@latest"]), (vec![], 0));
}

#[test]
fn leftovers_are_one_line_with_the_command_that_removes_them() {
    let env = Env::new();
    let mut builder = StoreBuilder::keyed(&env.path("s"));
    builder.commit(&[("ann", Some(1))]);
    // The objects of a checkpoint that was never committed, and files that were never renamed.
    builder.draft(&[("bob", Some(2)), ("cid", Some(3))]);
    for number in 1..=20 {
        env.write(&format!("s/objects/sha256/00/.tmp-{number}"), "x");
    }
    let output = env.run(&["verify", "s"]).expect(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{output}");
    assert!(lines[0].ends_with(", leftover 20") && lines[0].contains("object-unused "), "{output}");
    assert!(lines[1].contains("`ckpt prune s --keep-all` removes old ones"), "{output}");
    let listed = env.run(&["verify", "s", "-v"]).expect(0);
    assert_eq!(listed.stdout.matches("note: leftover: ").count(), 20, "{listed}");
    env.run(&["prune", "s", "--keep-all", "--grace", "0s", "--yes"]).expect(0);
    assert_eq!(env.run(&["verify", "s"]).expect(0).stdout.lines().count(), 1);
}

#[test]
fn a_store_that_cannot_be_read_is_an_error_not_an_answer() {
    let env = Env::new();
    env.run(&["verify", "s"]).expect(10);
    three_checkpoints(&env.path("s"));
    env.run(&["verify", "s@9"]).expect(10);
    env.run(&["verify", "s", "--quick", "--deep"]).expect(2);
    env.run(&["verify"]).expect(2);
    env.write("s/store.yaml", "format: 1\n");
    env.run(&["verify", "s"]).expect(12);
    env.write("s/store.yaml", "format: 2\n");
    env.run(&["verify", "s"]).expect(4);
    fs::remove_file(env.path("s/store.yaml")).expect("deleted");
    env.run(&["verify", "s"]).expect(10);
}

#[test]
fn a_target_that_cannot_be_verified_does_not_keep_the_others_from_it() {
    let env = Env::new();
    for name in ["a", "c"] {
        three_checkpoints(&env.path(name));
    }
    env.write("b/lost+found", "");
    env.write("e/store.yaml", "format: 2\n");
    let status = |targets: &[&str]| {
        let (view, status) = view(&env, targets);
        let verified: Vec<&str> = view.targets.iter().map(|target| target.target.as_str()).collect();
        assert_eq!(verified, targets.iter().copied().filter(|name| ["a", "c"].contains(name)).collect::<Vec<_>>());
        let failed: Vec<&str> = view.errors.iter().map(|failure| failure.target.as_str()).collect();
        assert_eq!(failed, targets.iter().copied().filter(|name| !["a", "c"].contains(name)).collect::<Vec<_>>());
        assert_eq!(view.intact, status == 0);
        assert_eq!(env.run(&[&["verify"], targets].concat()).status, status, "the same without --json");
        status
    };
    assert_eq!(status(&["a", "c"]), 0);
    assert_eq!(status(&["a", "b", "c"]), 10);
    assert_eq!(status(&["b", "nowhere"]), 10);
    assert_eq!(status(&["a", "b", "e", "c"]), 4, "a version that is not known is worse than no store");
    Damage::Delete.strike(env.path("c/checkpoints/00000002/manifest.yaml"));
    assert_eq!(status(&["a", "b", "e", "c"]), 1, "damage is the worst");
    let (view, _) = view(&env, &["b", "c"]);
    assert_eq!((view.errors[0].exit_code, view.targets[0].damaged.as_slice()), (10, &[2][..]));
    assert!(view.errors[0].error.contains("`b` is not a store"), "{:?}", view.errors);
    let output = env.run(&["verify", "b", "a"]).expect(10);
    assert!(output.stderr.starts_with("error: `b` is not a store"), "{output}");
    assert!(output.stdout.starts_with("a: intact: 3 checkpoints"), "{output}");
    // A mistake in an argument is found before anything is read, and one target alone has no document.
    assert_eq!(env.run(&["verify", "a", "c@0"]).expect(2).stdout, "");
    assert_eq!(env.run(&["verify", "b", "--json"]).expect(10).stdout, "");
}

#[test]
fn the_last_line_says_what_was_not_read() {
    let mut env = Env::new();
    three_checkpoints(&env.path("s"));
    let last = |env: &Env, arguments: &[&str]| {
        let output = env.run(&[&["verify", "s"], arguments].concat()).expect(0);
        output.stdout.lines().last().expect("a line").to_owned()
    };
    let quick = last(&env, &["--quick"]);
    assert_eq!(quick, "intact as far as read: 3 checkpoints, 0 of 12 objects, 0 B read; 12 not read");
    assert!(last(&env, &["--sample", "1/7"]).starts_with("intact as far as read: 3 checkpoints, "));
    let (none, all) = (["--for", "0s", "--state", "seen.json"], ["--for", "1h", "--state", "seen.json"]);
    let never = last(env.at("2026-11-22T12:00:00Z"), &none);
    assert!(never.ends_with("0 of 12 objects, 0 B read; 12 not read (12 of them never before)"), "{never}");
    assert!(last(&env, &all).starts_with("intact: 3 checkpoints, 12 objects, "));
    let waiting = last(env.at("2026-11-25T12:00:00Z"), &none);
    assert!(waiting.ends_with("0 of 12 objects, 0 B read; 12 not read (oldest reading 3d ago)"), "{waiting}");
    let (document, _) = view(&env, &[&["s"], &none[..]].concat());
    let target = &document.targets[0];
    let oldest = target.oldest_reading.as_deref();
    assert_eq!((target.unread, target.never_read, oldest), (12, Some(0), Some("2026-11-22T12:00:00Z")));
}

#[test]
fn deep_finds_rows_that_were_written_wrong() {
    let wrong = |make: &dyn Fn(&mut StoreBuilder)| {
        let env = Env::new();
        let mut builder = StoreBuilder::keyed(&env.path("s"));
        make(&mut builder);
        assert_eq!(findings(&env, &["s"]).1, 0, "only rows are wrong");
        let (mut found, status) = findings(&env, &["s", "--deep"]);
        assert_eq!(status, 1);
        found.retain(|line| !line.starts_with("object-unused "));
        codes(&found)
    };
    let misrouted = |builder: &mut StoreBuilder| {
        let task = builder.task("ann");
        let other = if task == 0 { 1 } else { 0 };
        builder.write_segment(0, &[((other, "ann".to_owned()), Some(values("ann", 1)))].into());
        let mut draft = builder.draft(&[]);
        draft.manifest.totals.keys = 1;
        builder.commit_draft(draft);
    };
    assert_eq!(wrong(&misrouted), ["row-misrouted"]);
    let total = |builder: &mut StoreBuilder| {
        let mut draft = builder.draft(&[("ann", Some(1)), ("bob", Some(2))]);
        draft.manifest.totals.keys = 3;
        builder.commit_draft(draft);
    };
    assert_eq!(wrong(&total), ["totals-wrong"]);
    let count = |builder: &mut StoreBuilder| {
        let mut draft = builder.draft(&[("ann", Some(1)), ("bob", Some(2))]);
        draft.index[0].rows += 1;
        draft.index[0].smallest_key = "a".to_owned();
        builder.commit_draft(draft);
    };
    assert_eq!(wrong(&count), ["count-wrong", "count-wrong"]);
    let columns = |builder: &mut StoreBuilder| {
        let bytes = SegmentWriter::new(&[]).finish().0;
        let object = builder.store.put(&bytes, ckpt::format::layout::ObjectKind::Parquet).expect("put").object;
        let mut draft = builder.draft(&[("ann", Some(1))]);
        (draft.index[0].object, draft.index[0].bytes) = (object.object, object.bytes);
        builder.commit_draft(draft);
    };
    assert_eq!(wrong(&columns), ["content-wrong"]);
}

#[test]
fn damage_in_a_longer_chain_hides_no_damage_in_a_shorter_one() {
    let env = Env::new();
    let mut builder = StoreBuilder::keyed(&env.path("s"));
    let mut first = builder.draft(&[("ann", Some(1))]);
    first.index[0].rows += 1;
    builder.commit_draft(first);
    let bytes = SegmentWriter::new(&[]).finish().0;
    let object = builder.store.put(&bytes, ckpt::format::layout::ObjectKind::Parquet).expect("put").object;
    let mut second = builder.draft(&[("ann", Some(2))]);
    second.index[0].rows += 1;
    (second.index[1].object, second.index[1].bytes) = (object.object, object.bytes);
    builder.commit_draft(second);
    let (mut found, status) = findings(&env, &["s", "--deep"]);
    found.retain(|line| !line.starts_with("object-unused "));
    found.sort();
    assert_eq!((codes(&found), status), (vec!["content-wrong".to_owned(), "count-wrong".to_owned()], 1), "{found:?}");
    assert!(found[0].ends_with(" [2]") && found[1].ends_with(" [1]"), "{found:?}");
}

#[test]
fn tables_that_contradict_the_manifest_are_found_without_reading_rows() {
    let code = |make: &dyn Fn(&mut crate::support::store_builder::Draft)| {
        let env = Env::new();
        let mut builder = StoreBuilder::keyed(&env.path("s"));
        let mut draft = builder.draft(&[("ann", Some(1)), ("bob", Some(2))]);
        make(&mut draft);
        builder.commit_draft(draft);
        let (found, status) = findings(&env, &["s", "--quick"]);
        assert_eq!(status, 1);
        let mut codes = codes(&found);
        codes.retain(|code| code != "object-unused");
        codes.sort();
        codes.dedup();
        codes.join(" ")
    };
    assert_eq!(code(&|draft| draft.manifest.block -= 1), "index-wrong positions-wrong");
    assert_eq!(code(&|draft| draft.manifest.totals.bytes = 1), "index-wrong");
    assert_eq!(code(&|draft| draft.manifest.totals.records += 1), "positions-wrong");
    assert_eq!(code(&|draft| draft.manifest.totals.input_bytes += 1), "positions-wrong");
    assert_eq!(code(&|draft| draft.positions[0].task = Some(1)), "positions-wrong");
    assert_eq!(code(&|draft| draft.job = b"- no\n- map\n".to_vec()), "content-wrong");
    assert_eq!(code(&|draft| draft.job = b"job: clicks\nkey: user\ntasks: 8\n".to_vec()), "not-resumable");
    let untyped = JOB.replace(", types: {city: text}", "").into_bytes();
    assert_eq!(code(&|draft| draft.job.clone_from(&untyped)), "not-resumable");
    let other = JOB.replace("tasks: 8", "tasks: 9").into_bytes();
    assert_eq!(code(&|draft| draft.job.clone_from(&other)), "not-resumable");
    assert_eq!(code(&|draft| draft.manifest.block_bytes += 1), "not-resumable");
}

#[test]
fn a_job_without_a_key_is_verified_by_its_partitions() {
    let env = Env::new();
    let mut builder = StoreBuilder::unkeyed(&env.path("s"));
    builder.commit(&[("p0", Some(1)), ("p3", Some(2))]);
    builder.commit(&[("p3", Some(3)), ("p7", Some(1))]);
    assert_eq!(findings(&env, &["s", "--deep"]), (vec![], 0));
    let mut draft = builder.draft(&[("p1", Some(1))]);
    draft.positions.iter_mut().for_each(|row| row.task = row.task.map(|task| 7 - task));
    builder.commit_draft(draft);
    let (found, status) = findings(&env, &["s@3", "--deep"]);
    assert!(found.iter().all(|line| line.starts_with("row-misrouted ")) && status == 1, "{found:?}");
}

#[test]
fn a_finding_says_where_what_and_what_next_and_the_last_line_what_is_intact() {
    let env = Env::new();
    three_checkpoints(&env.path("s"));
    let output = env.run(&["verify", "s"]).expect(0);
    assert!(output.stdout.starts_with("intact: 3 checkpoints, 12 objects, "), "{output}");
    assert_eq!((output.stdout.lines().count(), output.stderr.as_str()), (1, ""));

    let path = Place::LastDelta.path(&env);
    Damage::Delete.strike(env.path("s").join(&path));
    let output = env.run(&["verify", "s", "s@1"]).expect(1);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[0], format!("s: damage: object-missing: `{path}`"));
    assert!(lines[1].starts_with("  expected ") && lines[1].ends_with(" bytes"), "{output}");
    assert_eq!(lines[2..4], ["  found nothing", "  affects checkpoint 3"]);
    assert!(lines[4].starts_with("  lost: ") && lines[4].contains(" of tasks "), "{output}");
    assert!(lines[4].ends_with(", since checkpoint 3"), "{output}");
    assert!(lines[5].starts_with("  next: `ckpt verify --repair` if"), "{output}");
    assert!(lines[6].starts_with("s: NOT intact: checkpoint 3 damaged; newest intact: 2; 3 checkpoints, "), "{output}");
    assert!(lines[7].starts_with("s: intact: 1 checkpoint, "), "{output}");
}

#[test]
fn names_found_in_a_store_cannot_write_to_the_terminal() {
    let env = Env::new();
    three_checkpoints(&env.path("s"));
    env.write("s/a\u{1b}[2J\nb", "x");
    let output = env.run(&["verify", "s"]).expect(0);
    assert!(output.stdout.starts_with("note: foreign-file: `a\\u{1b}[2J\\nb`\n"), "{output}");
}

/// Verifies with `--json` and returns the document, and the exit code.
fn view(env: &Env, arguments: &[&str]) -> (View, i32) {
    let arguments: Vec<&str> = ["verify", "--json"].into_iter().chain(arguments.iter().copied()).collect();
    let output = env.run(&arguments);
    (serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}")), output.status)
}

#[test]
fn a_sample_reads_a_different_part_each_day_and_only_checks_that_the_rest_exists() {
    let mut env = Env::new();
    three_checkpoints(&env.path("s"));
    let path = Place::Base.path(&env);
    Damage::Flip.strike(env.path("s").join(&path));
    let mut days = Vec::new();
    let mut read = 0;
    for day in 10..17 {
        let (view, status) = view(env.at(&format!("2026-11-{day}T12:00:00Z")), &["s", "--sample", "1/7"]);
        read += view.targets[0].objects - view.targets[0].unread;
        if status == 1 {
            days.push(day);
        }
    }
    assert_eq!((days.len(), read), (1, 12));
    Damage::Delete.strike(env.path("s").join(&path));
    let everywhere = (10..17)
        .filter(|day| env.at(&format!("2026-11-{day}T12:00:00Z")).run(&["verify", "s", "--sample", "1/7"]).status == 1);
    assert_eq!(everywhere.count(), 7, "what is missing is found every day");
    for wrong in ["7", "2/7", "1/0", "1/1000", "1/x"] {
        env.run(&["verify", "s", "--sample", wrong]).expect(2);
    }
}

#[test]
fn a_time_budget_is_spent_on_what_was_read_least_recently() {
    let mut env = Env::new();
    three_checkpoints(&env.path("s"));
    // No time at all reads nothing and remembers nothing.
    let (none, status) = view(env.at("2026-11-22T12:00:00Z"), &["s", "--for", "0s", "--state", "seen.json"]);
    assert_eq!((none.targets[0].unread, none.targets[0].read_bytes, status), (12, 0, 0));
    let (all, _) = view(&env, &["s", "--for", "1h", "--state", "seen.json"]);
    assert_eq!(all.targets[0].unread, 0);
    let memory: serde_json::Value = serde_json::from_str(&env.read("seen.json")).expect("JSON");
    let store = env.path("s").canonicalize().expect("there").display().to_string();
    let times = memory["replicas"][&store].as_object().expect("the replica").clone();
    assert_eq!(times.len(), 12);
    assert!(times.values().all(|time| time == "2026-11-22T12:00:00Z"));
    // Damaged files are not remembered as read, and files that nothing needs any longer are forgotten.
    let path = Place::LastDelta.path(&env);
    Damage::Flip.strike(env.path("s").join(&path));
    assert_eq!(view(env.at("2026-11-23T12:00:00Z"), &["s", "--for", "1h", "--state", "seen.json"]).1, 1);
    assert!(!env.read("seen.json").contains(path.rsplit('/').next().expect("a name")));
    assert_eq!(env.read("seen.json").matches("2026-11-23T12:00:00Z").count(), 11);

    env.write("seen.json", "{");
    let output = env.run(&["verify", "s", "--for", "1m", "--state", "seen.json"]).expect(2);
    assert!(output.stderr.contains("hint: remove it to start over"), "{output}");
    env.run(&["verify", "s", "--for", "1m"]).expect(2);
    env.run(&["verify", "s", "--state", "x"]).expect(2);
    env.run(&["verify", "s", "s", "--for", "1m", "--state", "x"]).expect(2);
    env.run(&["verify", "s", "--for", "soon", "--state", "x"]).expect(2);
}

#[test]
fn a_repair_reports_what_it_did_and_what_it_could_not_do() {
    let env = Env::new();
    three_checkpoints(&env.path("s"));
    let (sums, base) = (Place::Sums(2).path(&env), Place::Base.path(&env));
    Damage::Delete.strike(env.path("s").join(&sums));
    Damage::Flip.strike(env.path("s").join(&base));
    let output = env.run(&["verify", "s", "--repair", "--dry-run"]).expect(1);
    let last: Vec<&str> = output.stdout.lines().rev().take(3).collect();
    assert_eq!(
        last,
        [
            "would repair 1 file; 1 cannot be repaired".to_owned(),
            format!("cannot be repaired: object-damaged: `s/{base}`"),
            format!("would repair `s/{sums}` from the manifest and the index"),
        ]
    );
    assert!(!env.path("s").join(&sums).exists());
    let (view, status) = view(&env, &["s", "--repair"]);
    let repair = view.repair.expect("there was one");
    assert_eq!((status, repair.dry_run, repair.steps.len(), repair.hopeless.len()), (1, false, 1, 1));
    let (step, hopeless) = (&repair.steps[0], &repair.hopeless[0]);
    assert_eq!((step.path.clone(), step.from.as_deref(), step.done), (format!("s/{sums}"), None, true));
    assert_eq!((hopeless.code.as_str(), hopeless.path.clone()), ("object-damaged", format!("s/{base}")));
    assert_eq!(codes(&findings(&env, &["s"]).0), ["object-damaged"]);
    env.run(&["verify", "s", "--dry-run"]).expect(2);
}

#[test]
fn json_shows_what_is_lost_and_since_when() {
    let lost = |place: Place| {
        let env = Env::new();
        three_checkpoints(&env.path("s"));
        Damage::Flip.strike(env.path("s").join(place.path(&env)));
        let (view, _) = view(&env, &["s"]);
        let finding =
            view.targets.into_iter().next().and_then(|target| target.findings.into_iter().next()).expect("one");
        (finding.lost, finding.since, finding.good_copy)
    };
    assert_eq!(lost(Place::Index(2)), (Some(Lost::State), Some(2), None));
    assert_eq!(lost(Place::Positions(3)), (Some(Lost::Positions), Some(3), None));
    assert_eq!(lost(Place::Job), (Some(Lost::Definition), Some(1), None));
    assert_eq!(lost(Place::Manifest(2)), (Some(Lost::State), Some(2), None));
    assert_eq!(lost(Place::Sums(2)), (None, Some(2), None));
    assert!(matches!(lost(Place::Base), (Some(Lost::Rows { .. }), Some(1), None)));
}
