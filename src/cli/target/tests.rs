use super::*;
use crate::cli::exit::Exit;

fn parse(text: &str) -> (String, Option<Reference>) {
    let target = Target::parse(text).expect(text);
    (target.store.to_str().expect("UTF-8").to_owned(), target.reference)
}

fn number(number: u64) -> Option<Reference> {
    Some(Reference::Number(Sequence(number)))
}

#[test]
fn a_target_is_a_store_a_directory_in_it_or_a_store_with_a_reference() {
    let cases = [
        ("no/such", "no/such", None),
        ("no/such/checkpoints/00000042", "no/such", number(42)),
        ("no/such/checkpoints/00000042/", "no/such", number(42)),
        ("checkpoints/00000042", ".", number(42)),
        ("no/such/checkpoints/42", "no/such/checkpoints/42", None),
        ("no/such/checkpoints", "no/such/checkpoints", None),
        ("s@42", "s", number(42)),
        ("s@00000042", "s", number(42)),
        ("s@latest", "s", Some(Reference::Latest(0))),
        ("s@latest~2", "s", Some(Reference::Latest(2))),
        ("s@2h ago", "s", Some(Reference::Time("2h ago".to_owned()))),
        ("a@b/s", "a@b/s", None),
        ("a@b/s@7", "a@b/s", number(7)),
        ("@7", "@7", None),
    ];
    for (text, store, reference) in cases {
        assert_eq!(parse(text), (store.to_owned(), reference), "{text}");
    }
}

#[test]
fn text_that_does_not_name_a_checkpoint_is_a_usage_error() {
    for text in ["", "s@", "s@0", "s@99999999999999999999", "s@latest~", "s@latest~x", "s@latest~+1", "s@latest-2"] {
        assert_eq!(Target::parse(text).expect_err(text).exit, Exit::Usage, "{text}");
    }
    let now = Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    assert_eq!(parse_time("Tuesday-ish", &now).expect_err("no time").exit, Exit::Usage);
}

#[test]
fn a_directory_that_exists_wins_over_a_reference() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir.path().join("s@7");
    std::fs::create_dir(&store).expect("created");
    assert_eq!(
        Target::parse(&store).expect("a target"),
        Target { store: store.clone(), reference: None, job_directory: None }
    );
    let inside = store.join("checkpoints/00000003");
    std::fs::create_dir_all(&inside).expect("created");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&inside, &link).expect("linked");
    for path in [&inside, &link] {
        let target = Target::parse(path).expect("a target");
        assert_eq!(target.reference, number(3));
        assert_eq!(target.store.canonicalize().ok(), store.canonicalize().ok());
    }
}

#[test]
fn a_reference_counts_back_over_the_checkpoints_that_are_left() {
    let left = [Sequence(2), Sequence(5), Sequence(9)];
    let choose = |text: &str| Reference::parse(text).expect(text).choose(&left).map(|sequence| sequence.0);
    assert_eq!(["latest", "latest~1", "latest~2", "5"].map(choose), [Some(9), Some(5), Some(2), Some(5)]);
    assert_eq!(["latest~3", "latest~18446744073709551615", "4", "10"].map(choose), [None; 4]);
}

#[test]
fn a_missing_checkpoint_is_answered_with_those_that_exist() {
    let left = [Sequence(2), Sequence(5), Sequence(9)];
    let say = |text: &str, left: &[Sequence]| {
        let error = missing("s", &Reference::parse(text).expect(text), left);
        assert_eq!(error.exit, Exit::NotFound);
        error.lines().join("\n")
    };
    let cases = [
        ("4", "error: `s` has no checkpoint 4\nhint: the nearest are 2 and 5; `ckpt list s` lists all"),
        ("1", "error: `s` has no checkpoint 1\nhint: the oldest is 2; `ckpt list s` lists all"),
        ("12", "error: `s` has no checkpoint 12\nhint: the latest is 9; `ckpt list s` lists all"),
        (
            "latest~3",
            "error: `s` has no `latest~3`: it has 3 checkpoints\n\
             hint: the oldest is 2 and the latest 9; `ckpt list s` lists all",
        ),
        (
            "3d ago",
            "error: `s` has no checkpoint from `3d ago` or earlier\n\
             hint: the oldest is 2 and the latest 9; `ckpt list s` lists all",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(say(text, &left), message);
    }
    assert!(say("latest~1", &left[..1]).ends_with("hint: the only checkpoint is 2; `ckpt list s` lists all"));
    assert_eq!(say("latest", &[]), "error: `s` has no checkpoint yet");
}
