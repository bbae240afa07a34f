//! Files in which LF became CRLF: the finding says that it is only that.

use std::collections::BTreeMap;

use ckpt::ops::verify::{Depth, verify};
use ckpt::values::progress::Silent;

use super::{built, open};
use crate::support::simulated::Disk;

const WORDS: &str = "only its line ends differ: CRLF instead of LF";

fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|&byte| if byte == b'\n' { vec![b'\r', b'\n'] } else { vec![byte] }).collect()
}

/// Returns the words of each finding, by path.
fn found(disk: &Disk) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let reports = verify(&open(std::slice::from_ref(disk)), None, Depth::Full, &Silent).expect("verified");
    for finding in reports.into_iter().flat_map(|report| report.findings) {
        found.entry(finding.path).or_default().push(finding.found);
    }
    found
}

#[test]
fn a_file_with_other_line_ends_is_damaged_and_the_finding_says_why() {
    let (_, disks) = built(1);
    let texts = disks[0].files().into_iter().filter(|(path, bytes)| {
        let has_line = bytes.contains(&b'\n') && !bytes.windows(2).any(|pair| pair == b"\r\n");
        has_line && !path.ends_with("lock")
    });
    let texts: BTreeMap<String, Vec<u8>> = texts.collect();
    assert!(texts.keys().any(|path| path.starts_with("objects/") && path.ends_with(".yaml")), "{:?}", texts.keys());
    for (path, bytes) in &texts {
        let disk = disks[0].after_death();
        disk.damage(path, Some(&with_crlf(bytes)));
        let all = found(&disk);
        let is_said = all.get(path).is_some_and(|found| found.iter().any(|found| found.contains(WORDS)));
        // If the next checkpoint vouches for the manifest, the finding is about that one.
        let is_elsewhere = || all.values().flatten().any(|found| found.contains(WORDS));
        assert!(is_said || path.ends_with("manifest.yaml") && is_elsewhere(), "{path}: {all:?}");

        // With another change as well, it is not only that.
        let mut other = with_crlf(bytes);
        other.push(b'#');
        disk.damage(path, Some(&other));
        let all = found(&disk);
        assert!(!all.values().flatten().any(|found| found.contains(WORDS)), "{path}: {all:?}");
    }
    let disk = disks[0].after_death();
    texts.iter().for_each(|(path, bytes)| disk.damage(path, Some(&with_crlf(bytes))));
    let all = found(&disk);
    let is_said = |path: &str| all.get(path).is_none_or(|found| found.iter().any(|found| found.contains(WORDS)));
    // If everything that vouches for a manifest was changed too, its original is unknown, and so are the objects of a
    // pruned checkpoint.
    let silent: Vec<&String> = texts.keys().filter(|path| !is_said(path) && !path.ends_with("manifest.yaml")).collect();
    assert!(silent.is_empty(), "{silent:?}: {all:#?}");
}
