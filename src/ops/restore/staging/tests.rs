use super::*;

fn write(staging: &Staging, name: &str, bytes: &[u8]) {
    staging.create(name).unwrap().write_all(bytes).unwrap();
    let file = ExportedFile { name: name.to_owned(), rows: 7, bytes: bytes.len() as u64, kept: false };
    staging.record(&file, Digest::of(bytes)).unwrap();
}

/// Ends an attempt as a kill does.
fn cut_short(mut staging: Staging) {
    staging.is_left = true;
}

fn put_in_place(mut staging: Staging, names: &[&str]) -> Result<(), RestoreError> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    staging.put_in_place(&names)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_next_attempt_keeps_the_files_that_are_complete_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a/b/out");
    let staging = Staging::open(&target, "x").unwrap();
    ["one", "two", "three"].iter().for_each(|name| write(&staging, name, name.as_bytes()));
    staging.create("four").unwrap().write_all(b"fo").unwrap();
    fs::write(staging.path.join("two"), "twO").unwrap();
    fs::remove_file(staging.path.join("three")).unwrap();
    cut_short(staging);
    assert_eq!(names(&dir.path().join("a/b")), ["out.ckpt-restore", "out.ckpt-restore.journal"]);

    let staging = Staging::open(&target, "x").unwrap();
    let kept = ExportedFile { name: "one".to_owned(), rows: 7, bytes: 3, kept: true };
    assert_eq!(staging.completed("one"), Some(kept));
    assert_eq!(["two", "three", "four", "five"].map(|name| staging.completed(name)), [None, None, None, None]);
    ["two", "three", "four"].iter().for_each(|name| write(&staging, name, name.as_bytes()));
    put_in_place(staging, &["one", "two", "three", "four"]).unwrap();
    assert_eq!(names(&dir.path().join("a/b")), ["out"]);
    assert_eq!(names(&target), ["four", "one", "three", "two"]);
}

#[test]
fn another_purpose_starts_over_and_a_torn_line_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let staging = Staging::open(&target, "x").unwrap();
    write(&staging, "one", b"one");
    write(&staging, "two", b"two");
    let journal = staging.site.journal();
    cut_short(staging);
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, &text[..text.len() - 1]).unwrap();
    let staging = Staging::open(&target, "x").unwrap();
    assert!(staging.completed("one").is_some() && staging.completed("two").is_none());
    cut_short(staging);
    let staging = Staging::open(&target, "y").unwrap();
    assert!(staging.completed("one").is_none());
    assert_eq!(names(&staging.path), [""; 0]);
}

#[test]
fn what_was_not_made_by_a_restore_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    fs::create_dir(dir.path().join("out.ckpt-restore")).unwrap();
    fs::write(dir.path().join("out.ckpt-restore/mine"), "mine").unwrap();
    assert!(matches!(Staging::open(&target, "x"), Err(RestoreError::TargetTaken { .. })));
    assert_eq!(names(dir.path()), ["out.ckpt-restore"]);
    fs::write(dir.path().join("out.ckpt-restore.journal"), "mine\n").unwrap();
    assert!(matches!(Staging::open(&target, "x"), Err(RestoreError::TargetTaken { .. })));
    assert_eq!(fs::read_to_string(dir.path().join("out.ckpt-restore/mine")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(dir.path().join("out.ckpt-restore.journal")).unwrap(), "mine\n");
}

#[test]
fn two_attempts_at_once_do_not_meet() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let staging = Staging::open(&target, "x").unwrap();
    assert!(matches!(Staging::open(&target, "x"), Err(RestoreError::InProgress { .. })));
    drop(staging);
    Staging::open(&target, "x").unwrap();
    assert_eq!(names(dir.path()), [""; 0], "an attempt that has failed leaves nothing");
}

/// Returns an empty directory that exists, and what tells it from one that would replace it.
fn existing(dir: &Path) -> (PathBuf, u64) {
    use std::os::unix::fs::MetadataExt as _;
    let target = dir.join("out");
    fs::create_dir(&target).unwrap();
    let inode = fs::metadata(&target).unwrap().ino();
    (target, inode)
}

/// Fills `target` with two files for the purpose `x` up to the point where the first has been moved.
fn half_moved(target: &Path) {
    let staging = Staging::open(target, "x").unwrap();
    write(&staging, "one", b"one");
    write(&staging, "two", b"two");
    staging.mark_incomplete().unwrap();
    fs::rename(staging.path.join("one"), target.join("one")).unwrap();
    cut_short(staging);
    assert_eq!(
        names(target),
        [".ckpt-restore", ".ckpt-restore.journal", "one", "state-incomplete.parquet"],
        "no reader takes this for the whole"
    );
}

#[test]
fn an_existing_directory_is_filled_and_not_replaced() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (target, inode) = existing(dir.path());
    fs::create_dir(target.join("lost+found")).unwrap();
    let staging = Staging::open(&target, "x").unwrap();
    write(&staging, "one", b"one");
    write(&staging, "two", b"two");
    put_in_place(staging, &["one", "two"]).unwrap();
    assert_eq!(fs::metadata(&target).unwrap().ino(), inode);
    assert_eq!(
        (names(dir.path()), names(&target)),
        (vec!["out".to_owned()], ["lost+found", "one", "two"].map(str::to_owned).to_vec())
    );
    assert!(matches!(Staging::open(&target, "x"), Err(RestoreError::TargetTaken { .. })));
}

#[test]
fn an_existing_directory_that_was_filled_in_part_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let (target, _) = existing(dir.path());
    half_moved(&target);
    // A power failure may leave both names of a file that was being moved.
    fs::copy(target.join("one"), target.join(".ckpt-restore/one")).unwrap();
    let staging = Staging::open(&target, "x").unwrap();
    assert!(staging.completed("one").is_some() && staging.completed("two").is_some());
    put_in_place(staging, &["one", "two"]).unwrap();
    assert_eq!(names(&target), ["one", "two"]);
}

#[test]
fn an_existing_directory_that_was_filled_in_part_is_emptied_for_another_purpose() {
    let dir = tempfile::tempdir().unwrap();
    let (target, _) = existing(dir.path());
    half_moved(&target);
    let staging = Staging::open(&target, "y").unwrap();
    assert_eq!(names(&target), [".ckpt-restore", ".ckpt-restore.journal"]);
    drop(staging);
    assert_eq!(names(&target), [""; 0]);
}

#[test]
fn what_is_not_from_a_restore_stays_in_an_existing_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (target, _) = existing(dir.path());
    for name in ["one", "other", "state-incomplete.parquet"] {
        half_moved(&target);
        fs::write(target.join(name), "mine").unwrap();
        for purpose in ["x", "y"] {
            let refused = Staging::open(&target, purpose);
            assert!(matches!(refused, Err(RestoreError::TargetTaken { .. })), "{name}");
        }
        assert_eq!(fs::read_to_string(target.join(name)).unwrap(), "mine");
        fs::remove_file(target.join(name)).unwrap();
        drop(Staging::open(&target, "y").unwrap());
    }
    // It appears at the last moment.
    let staging = Staging::open(&target, "x").unwrap();
    write(&staging, "one", b"one");
    write(&staging, "two", b"two");
    fs::write(target.join("two"), "mine").unwrap();
    assert!(matches!(put_in_place(staging, &["one", "two"]), Err(RestoreError::TargetTaken { .. })));
    assert_eq!(
        (names(&target), fs::read_to_string(target.join("two")).unwrap()),
        (vec!["two".to_owned()], "mine".to_owned())
    );
}

#[test]
fn a_line_after_a_torn_one_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (target, _) = existing(dir.path());
    let staging = Staging::open(&target, "x").unwrap();
    write(&staging, "one", b"one");
    write(&staging, "two", b"two");
    let journal = staging.site.journal();
    cut_short(staging);
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{}\0\0", &text[..text.len() - 9])).unwrap();
    let staging = Staging::open(&target, "x").unwrap();
    write(&staging, "two", b"two");
    cut_short(staging);
    let staging = Staging::open(&target, "x").unwrap();
    assert!(staging.completed("one").is_some() && staging.completed("two").is_some());
}

#[test]
fn a_journal_whose_first_line_was_torn_is_started_over_and_any_other_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (target, _) = existing(dir.path());
    let journal = target.join(".ckpt-restore.journal");
    for torn in ["", "ckpt-res", "ckpt-restore-1 x", "ckpt\0\0\0", "\0\0"] {
        fs::write(&journal, torn).unwrap();
        drop(Staging::open(&target, "x").unwrap());
        assert_eq!(names(&target), [""; 0], "{torn:?}");
    }
    fs::write(&journal, "mine\n").unwrap();
    assert!(matches!(Staging::open(&target, "x"), Err(RestoreError::TargetTaken { .. })));
    assert_eq!(fs::read_to_string(&journal).unwrap(), "mine\n");
}
