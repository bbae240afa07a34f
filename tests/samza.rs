//! What Samza 1.8.0 wrote is intact, and every kind of damage to it is found. `tests/samza/README.md` says how the
//! files were made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ckpt::ops::samza::finding::SamzaCode;
use ckpt::ops::samza::found::Found;
use ckpt::ops::samza::read::{Sources, read};
use ckpt::ops::samza::verify::{Options, Report, verify};
use ckpt::values::progress::Silent;
use serde_json::{Value, json};

use crate::support::{repository, tree};

/// Files that Samza wrote, in a directory of the test's own.
pub struct Golden {
    pub dir: tempfile::TempDir,
}

/// The bytes of the one file that is left out of the repository: Samza does not check files of this size.
pub const LARGE_BYTES: usize = (1 << 20) + 1;

/// What `files.Totals` has counted after the first `messages` of a partition of what `files.ProduceClicks` writes: half of
/// the clicks are in each of two partitions.
pub fn totals(partition: u64, messages: u64) -> BTreeMap<String, Value> {
    let mut totals: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for number in (partition..).step_by(2).take(messages as usize) {
        let user = format!("user-{}", number % 40);
        if number % 97 == 96 {
            totals.remove(&user);
            continue;
        }
        let total = totals.entry(user).or_default();
        *total = (total.0 + 1, total.1 + (number as i64 * 7 % 1000 - 100));
    }
    totals.into_iter().map(|(user, (clicks, spent))| (user, json!({"clicks": clicks, "spent": spent}))).collect()
}

impl Golden {
    pub fn new() -> Golden {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for file in repository::files("tests/samza/golden") {
            let to = dir.path().join(file.strip_prefix("tests/samza/golden/").expect("below it"));
            fs::create_dir_all(to.parent().expect("a parent")).expect("created");
            fs::copy(repository::path(&file), to).expect("copied");
        }
        let golden = Golden { dir };
        let index = fs::read_to_string(golden.find("written", "snapshot-index")).expect("readable");
        let id = index.split('"').find(|text| text.contains("/large-")).expect("the large blob");
        fs::write(golden.path(&format!("written/blobs/{id}")), vec![0; LARGE_BYTES]).expect("written");
        golden
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the last file below `under` whose name begins with `start`.
    pub fn find(&self, under: &str, start: &str) -> PathBuf {
        let files = tree(&self.path(under));
        let is_it = |path: &&String| path.rsplit('/').next().is_some_and(|name| name.starts_with(start));
        let name = files.keys().rfind(is_it).unwrap_or_else(|| panic!("no {start} below {under}"));
        self.path(under).join(name)
    }

    fn verify(&self, names: &[&str]) -> Report {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        verify(&found(&paths), Options::default(), &Silent)
    }

    fn codes(&self, names: &[&str]) -> BTreeSet<SamzaCode> {
        self.verify(names).findings.iter().map(|finding| finding.code).collect()
    }
}

fn found(paths: &[PathBuf]) -> Found {
    read(&Sources { paths: paths.to_vec(), ..Sources::default() }).expect("readable")
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let old = fs::read_to_string(path).expect("readable");
    let new = change(old.clone());
    assert_ne!(new, old, "{}", path.display());
    fs::write(path, new).expect("written");
}

#[test]
fn what_samza_wrote_is_intact() {
    let golden = Golden::new();
    for names in [&["files"][..], &["by-stream"], &["topic"], &["blobs"], &["written"], &["files", "topic", "blobs"]] {
        let report = golden.verify(names);
        assert!(report.is_intact(), "{names:?}: {:#?}", report.findings);
        assert_eq!(report.unchecked_markers, 0, "{names:?}");
        assert!(report.checkpoints + report.stores + report.snapshots > 0, "{names:?}");
    }
    let report = golden.verify(&["blobs"]);
    assert!(report.snapshots == 2 && report.blobs >= 8 && report.stores == 4, "{report:?}");
    assert_eq!(golden.verify(&["blobs/topic.jsonl"]).unchecked_markers, 2);
}

#[test]
fn a_checkpoint_file_that_sigkill_tore_is_damaged() {
    let golden = Golden::new();
    let report = golden.verify(&["killed"]);
    assert_eq!(report.findings.len(), 1);
    let finding = &report.findings[0];
    assert_eq!((finding.code, finding.found.as_str()), (SamzaCode::CheckpointDamaged, "an empty file"));
    assert_eq!(finding.task.as_deref(), Some("Partition 0"));
}

/// SIGKILL left such a file when it came between the snapshot and the checkpoint.
#[test]
fn an_unreadable_index_is_damage_unless_the_checkpoints_name_others() {
    let golden = Golden::new();
    let index = golden.find("blobs/blobs/blobs/1/Partition_0", "snapshot-index");
    fs::write(index.with_file_name("snapshot-index-x"), b"").expect("written");
    let report = golden.verify(&["blobs"]);
    assert!(report.is_intact() && report.findings.iter().any(|f| f.code == SamzaCode::IndexUnfinished), "{report:?}");
    assert!(golden.codes(&["blobs/blobs"]).contains(&SamzaCode::IndexDamaged));
    fs::write(&index, b"").expect("written");
    assert!(golden.codes(&["blobs"]).contains(&SamzaCode::IndexDamaged));
}

#[test]
fn a_cut_or_a_changed_byte_in_an_offset_file_is_always_found() {
    let golden = Golden::new();
    for name in ["CHECKPOINT-V2", "OFFSET-v2", "OFFSET"] {
        let path = golden.find("topic/stores", name);
        let whole = fs::read(&path).expect("readable");
        let directory = path.parent().expect("a parent").to_owned();
        let is_damaged = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("written");
            let report = verify(&found(std::slice::from_ref(&directory)), Options::default(), &Silent);
            report.findings.iter().any(|finding| finding.code == SamzaCode::OffsetsDamaged)
        };
        assert!(!is_damaged(&whole), "{name}");
        for at in 0..whole.len() {
            assert!(is_damaged(&whole[..at]), "{name} cut short at {at}");
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            assert!(is_damaged(&bytes), "{name}: byte {at}");
        }
        fs::write(&path, &whole).expect("written");
    }
}

#[test]
fn a_changed_byte_in_any_blob_is_found_whatever_its_size() {
    let golden = Golden::new();
    let intact: BTreeSet<SamzaCode> = golden.codes(&["written"]);
    for start in ["first-", "third-", "large-"] {
        let path = golden.find("written/blobs", start);
        let whole = fs::read(&path).expect("readable");
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).expect("written");
            assert!(golden.codes(&["written"]).contains(&SamzaCode::BlobDamaged), "{start}: byte {at}");
        }
        fs::write(&path, &whole[1..]).expect("written");
        assert!(golden.codes(&["written"]).contains(&SamzaCode::BlobSize), "{start}");
        fs::write(&path, &whole).expect("written");
        assert_eq!(golden.codes(&["written"]), intact);
    }
}

#[test]
fn every_code_is_found_where_it_should_be() {
    let mut seen = BTreeSet::new();
    let mut case = |names: &[&str], code: SamzaCode, damage: &dyn Fn(&Golden)| {
        let golden = Golden::new();
        assert!(!golden.codes(names).contains(&code), "{code} before the damage");
        damage(&golden);
        let codes = golden.codes(names);
        assert!(codes.contains(&code), "{code}: found {codes:?}");
        seen.insert(code);
    };
    case(&["files"], SamzaCode::CheckpointDamaged, &|golden| {
        edit(&golden.find("files", "files-Partition 0"), |text| text[..text.len() - 1].to_owned());
    });
    case(&["dotted/topic.jsonl"], SamzaCode::NameRefused, &|golden| {
        edit(&golden.path("dotted/topic.jsonl"), |text| {
            text.lines().filter(|line| line.contains("checkpoint-v2")).map(|line| format!("{line}\n")).collect()
        });
    });
    case(&["topic/topic.jsonl"], SamzaCode::MarkerDamaged, &|golden| {
        edit(&golden.path("topic/topic.jsonl"), |text| text.replace("changelog-ssp", "changelog"));
    });
    case(&["topic/stores"], SamzaCode::OffsetsDamaged, &|golden| {
        fs::write(golden.find("topic/stores", "OFFSET-v2"), b"").expect("written");
    });
    case(&["topic/stores"], SamzaCode::StoreMisplaced, &|golden| {
        let from = golden.find("topic/stores", "CHECKPOINT-V2");
        let from = from.parent().expect("a parent");
        fs::rename(from, from.with_file_name("Partition_1-1795824609081-1")).expect("renamed");
    });
    case(&["blobs/blobs"], SamzaCode::IndexDamaged, &|golden| {
        edit(&golden.find("blobs/blobs/blobs/1/Partition_0", "snapshot-index"), |text| text[..200].to_owned());
    });
    case(&["blobs"], SamzaCode::IndexUnfinished, &|golden| {
        let index = golden.find("blobs/blobs/blobs/1/Partition_0", "snapshot-index");
        fs::write(index.with_file_name("snapshot-index-x"), b"").expect("written");
    });
    case(&["blobs"], SamzaCode::IndexMissing, &|golden| {
        fs::remove_file(golden.find("blobs/blobs/blobs/1/Partition_0", "snapshot-index")).expect("removed");
    });
    case(&["blobs/blobs"], SamzaCode::IndexWrong, &|golden| {
        let path = golden.find("blobs/blobs/blobs/1/Partition_0", "snapshot-index");
        edit(&path, |text| text.replace("\"file-name\":\"CURRENT\"", "\"file-name\":\"../CURRENT\""));
    });
    case(&["blobs/blobs"], SamzaCode::BlobMissing, &|golden| {
        fs::remove_file(golden.find("blobs/blobs/blobs/1/Partition_1", "CURRENT")).expect("removed");
    });
    case(&["blobs/blobs"], SamzaCode::BlobSize, &|golden| {
        fs::write(golden.find("blobs/blobs/blobs/1/Partition_1", "CURRENT"), b"").expect("written");
    });
    case(&["blobs/blobs"], SamzaCode::BlobDamaged, &|golden| {
        let path = golden.find("blobs/blobs/blobs/1/Partition_1", "CURRENT");
        edit(&path, |text| text.replace("MANIFEST", "manifest"));
    });
    case(&["topic/topic.jsonl"], SamzaCode::VersionsDiffer, &|golden| {
        // Only V2 has such keys.
        edit(&golden.path("topic/topic.jsonl"), |text| {
            text.replace(r#"kafka.page-views.0\":\"99"#, r#"kafka.page-views.0\":\"98"#)
        });
    });
    case(&["topic/topic.txt"], SamzaCode::GroupersDiffer, &|golden| {
        edit(&golden.path("topic/topic.txt"), |text| text.replacen("GroupByPartitionFactory", "Other", 1));
    });
    case(&["topic/stores"], SamzaCode::OffsetsDiffer, &|golden| {
        // One of an earlier commit.
        fs::copy(golden.path("written/framing/names/OFFSET"), golden.find("topic/stores", "OFFSET")).expect("copied");
        let new = golden.find("topic/stores", "OFFSET-v2");
        fs::copy(golden.path("written/framing/1/OFFSET-v2"), &new).expect("copied");
        fs::copy(golden.path("written/framing/names/OFFSET"), new.with_file_name("OFFSET")).expect("copied");
    });
    case(&["topic/stores"], SamzaCode::StoreIncomplete, &|golden| {
        fs::create_dir(golden.path("topic/stores/counts/Partition_0-1795824609999-1")).expect("created");
    });
    case(&["blobs/blobs"], SamzaCode::BlobUnused, &|golden| {
        let index = golden.find("blobs/blobs/blobs/1/Partition_0", "snapshot-index");
        fs::write(index.with_file_name("000099.sst-x"), b"x").expect("written");
    });
    case(&["topic/stores"], SamzaCode::Leftover, &|golden| {
        fs::write(golden.find("topic/stores", "OFFSET-v2").with_file_name("OFFSET-v2.tmp"), b"").expect("written");
    });
    let golden = Golden::new();
    let line = "tasknames.Partition\\ 0.systems.kafka.streams.page-views.partitions.0=1\n";
    fs::write(golden.path("new.properties"), line).expect("written");
    assert!(golden.verify(&["new.properties"]).is_intact());
    fs::write(golden.path("new.properties"), format!("{line}job.name=views\n")).expect("written");
    for (names, code) in [
        (["dotted/topic.jsonl"], SamzaCode::NameDotted),
        (["written/blobs"], SamzaCode::IndexSuperseded),
        (["new.properties"], SamzaCode::PropertiesDamaged),
    ] {
        assert!(golden.codes(&names).contains(&code), "{code}");
        seen.insert(code);
    }
    let all: BTreeSet<SamzaCode> = SamzaCode::ALL.iter().copied().collect();
    assert_eq!(seen, all);
}
