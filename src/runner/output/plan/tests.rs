use std::fs;
use std::time::Instant;

use super::*;
use crate::runner::output::staged::StagedFile;
use crate::values::digest::Digest;
use crate::values::id::StoreId;

fn plan(dir: &Path, emit: Emit) -> OutputPlan {
    let place: Arc<dyn OutputPlace> = Arc::new(place::Directory::new(dir.to_owned(), false));
    let (stem, ending) = ("job".to_owned(), ".jsonl".to_owned());
    OutputPlan {
        files: PathBuf::from("out"),
        place,
        is_shared: false,
        stem,
        ending,
        format: OutputFormat::Json,
        emit,
        columns: Vec::new(),
    }
}

fn new(path: &str) -> Output {
    Output { path: path.into(), sha256: Digest::of(b"new"), bytes: 3, rows: 1, staged: None }
}

#[test]
fn an_interrupted_publication_is_finished_and_strays_are_removed() {
    for (emit, name) in [(Emit::Final, "job.jsonl"), (Emit::Changes, "job-00000007.jsonl")] {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(dir.path(), emit);
        let path = dir.path().join(name);
        let output = new(&format!("out/{name}"));
        assert_eq!(
            (plan.shown(Sequence(7)), plan.name(Sequence(7))),
            (path.display().to_string(), output.path.clone())
        );
        fs::write(&path, "old").unwrap();
        let staged = |number: u64| dir.path().join(plan.stage(Sequence(number)).unwrap().0);
        let recover = |output: &Output| plan.recover(output, Sequence(7), &mut plan.staged_names().unwrap());
        fs::write(staged(7), "new").unwrap();
        fs::write(staged(8), "torn").unwrap();
        fs::write(dir.path().join(".job.jsonl.ckpt-mine"), "not ours").unwrap();
        fs::write(dir.path().join(".other.jsonl.ckpt-00000008"), "not ours").unwrap();
        assert!(!recover(&new("elsewhere/job.jsonl")).unwrap());
        assert!(recover(&output).unwrap());
        plan.remove_strays(plan.staged_names().unwrap(), None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(!staged(8).exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "what is not ours stays");
        fs::write(staged(7), "neW").unwrap();
        assert!(!recover(&output).unwrap(), "other bytes are never published");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(plan.published().unwrap(), Some(path.display().to_string()));
    }
}

#[test]
fn only_published_files_are_superseded_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(dir.path(), Emit::Final);
    let path = dir.path().join("job.jsonl");
    let output = new("out/job.jsonl");
    assert_eq!(plan.supersede(Some(&output), Sequence(7)).unwrap(), None);
    fs::write(&path, "old").unwrap();
    assert_eq!(plan.supersede(Some(&output), Sequence(7)).unwrap(), None);
    for name in ["job.jsonl.withdrawn-00000007", "job.jsonl.withdrawn-00000007.2"] {
        fs::write(&path, "new").unwrap();
        assert_eq!(
            plan.supersede(Some(&output), Sequence(7)).unwrap(),
            Some(dir.path().join(name).display().to_string())
        );
        assert!(!path.exists());
        assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), "new");
    }
    fs::write(dir.path().join("job.jsonl.withdrawn-00000007"), "mine").unwrap();
    let reinstate = || {
        let existing = plan.place.names("").unwrap().into_iter().collect();
        plan.reinstate(&output, Sequence(7), &existing).unwrap()
    };
    assert!(reinstate(), "the second is what the checkpoint has published");
    assert!(!reinstate() && path.exists());
}

#[test]
fn a_file_of_several_workers_is_published_once_by_the_first_that_tries() {
    let dir = tempfile::tempdir().unwrap();
    let worker = || OutputPlan {
        place: Arc::new(place::Directory::new(dir.path().to_owned(), true)),
        is_shared: true,
        ..plan(dir.path(), Emit::Changes)
    };
    let (a, b, c) = (worker(), worker(), worker());
    let stage = |plan: &OutputPlan| {
        let mut file = StagedFile::create(plan, Sequence(7), &[]).unwrap();
        file.push_objects(b"{}\n").unwrap();
        file.finish().unwrap()
    };
    // Both have staged the same bytes, and `a` has committed.
    let (of_a, of_b) = (stage(&a), stage(&b));
    assert!(of_a.output.staged.is_some() && of_a.output.staged != of_b.output.staged);
    assert_eq!(of_a.output.sha256, of_b.output.sha256);
    let path = dir.path().join("job-00000007.jsonl");
    let follow = |plan: &OutputPlan| plan.follow(&of_a.output, Sequence(7), Instant::now());
    assert!(follow(&c).unwrap());
    assert!(!follow(&c).unwrap());
    // A reader takes it. What `b` has staged is not it, and `a` wakes up too late.
    fs::remove_file(&path).unwrap();
    assert!(!follow(&c).unwrap());
    of_a.publish().unwrap();
    assert!(!path.exists());
    assert_eq!(b.staged_names().unwrap().len(), 1);
    a.remove_strays(a.staged_names().unwrap(), Some(Sequence(6))).unwrap();
    assert_eq!(b.staged_names().unwrap().len(), 1, "its number may still be committed");
    a.remove_strays(a.staged_names().unwrap(), Some(Sequence(7))).unwrap();
    assert_eq!(b.staged_names().unwrap().len(), 0);
    let store = StoreId::new([7; 16]);
    assert!(matches!(a.check_sign(&store, "b", Sequence(7)), Err(OutputError::NotShared { .. })));
    b.sign(&store, "b").unwrap();
    b.sign(&store, "b").unwrap();
    a.check_sign(&store, "b", Sequence(7)).unwrap();
    assert!(a.check_sign(&StoreId::new([8; 16]), "b", Sequence(7)).is_err(), "another store");
    assert_eq!(a.published().unwrap(), None);
}

#[test]
fn a_staged_file_that_was_altered_is_kept_and_not_published() {
    for is_shared in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let plan = OutputPlan {
            place: Arc::new(place::Directory::new(dir.path().to_owned(), is_shared)),
            is_shared,
            ..plan(dir.path(), Emit::Changes)
        };
        let mut file = StagedFile::create(&plan, Sequence(7), &[]).unwrap();
        file.push_objects(b"{\"a\":1}\n").unwrap();
        let output = file.finish().unwrap().output;
        let path = dir.path().join(&plan.staged_names().unwrap()[0].name);
        let recover = || match is_shared {
            true => plan.follow(&output, Sequence(7), Instant::now()),
            false => plan.recover(&output, Sequence(7), &mut plan.staged_names().unwrap()),
        };
        for bytes in ["{\"a\":2}\n", "{\"a\"", ""] {
            fs::write(&path, bytes).unwrap();
            let error = recover().unwrap_err();
            assert!(matches!(error, OutputError::Altered { .. }), "{error:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
        }
        // Where the file was published, what is still staged does not count.
        let published = dir.path().join("job-00000007.jsonl");
        fs::write(&published, "{\"a\":1}\n").unwrap();
        assert!(!recover().unwrap());
        fs::remove_file(&published).unwrap();
        fs::write(&path, "{\"a\":1}\n").unwrap();
        assert!(recover().unwrap() && published.exists() && !path.exists());
    }
}

#[test]
fn files_of_changes_name_their_checkpoint() {
    let plan = plan(Path::new("/out"), Emit::Changes);
    assert_eq!(plan.sequence_of("job-00000042.jsonl"), Some(Sequence(42)));
    for other in [
        "job-42.jsonl",
        "job.jsonl",
        "job-00000042.csv",
        "job2-00000042.jsonl",
        "job-00000042.jsonl.withdrawn-00000042",
    ] {
        assert_eq!(plan.sequence_of(other), None, "{other}");
    }
    assert!(plan.publishes(Path::new("/out/job-00000001.jsonl")) && !plan.publishes(Path::new("/job-00000001.jsonl")));
}
