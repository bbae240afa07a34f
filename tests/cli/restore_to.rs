//! `ckpt restore --to`: which directories it fills, how, and which it refuses.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use ckpt::format::segment::SegmentReader;
use ckpt::values::id::Sequence;

use crate::support::store_builder::{StoreBuilder, three_checkpoints};
use crate::support::{Env, tree};

const FORMATS: [&str; 3] = ["parquet", "jsonl", "csv"];

fn env() -> Env {
    let env = Env::new();
    three_checkpoints(&env.path("s"));
    env
}

fn names(env: &Env, dir: &str) -> Vec<String> {
    tree(&env.path(dir)).into_keys().collect()
}

/// Returns whether a shell command works here; prints what is skipped if not.
fn can(env: &Env, line: &str) -> bool {
    let works = env.shell(line).status == 0;
    if !works {
        println!("skipped: `{line}` does not work here");
    }
    works
}

#[test]
fn an_empty_directory_keeps_its_mode_its_group_and_its_identity() {
    let env = env();
    for format in FORMATS {
        fs::create_dir(env.path(format)).expect("created");
        fs::set_permissions(env.path(format), fs::Permissions::from_mode(0o2700)).expect("changed");
        let before = fs::metadata(env.path(format)).expect("exists");
        env.run(&["restore", "s", "--to", format, "--format", format]).expect(0);
        let after = fs::metadata(env.path(format)).expect("exists");
        assert_eq!((after.mode(), after.ino(), after.gid()), (before.mode(), before.ino(), before.gid()), "{format}");
        env.run(&["restore", "s", "--to", "new", "--format", format]).expect(0);
        assert_eq!(tree(&env.path(format)), tree(&env.path("new")), "{format}: the same files as in a new directory");
        fs::remove_dir_all(env.path("new")).expect("removed");
    }
}

#[test]
fn a_working_directory_is_filled() {
    let env = env();
    env.write("empty/x", "");
    let line = "cd empty && rm x && ckpt restore ../s --to . --format csv >/dev/null && ls -A";
    assert_eq!(env.shell(line).expect(0).stdout, "state.csv\n");
}

#[test]
fn a_mount_point_is_filled() {
    let env = env();
    fs::create_dir(env.path("disk")).expect("created");
    let mount = "mount -t tmpfs none disk && mkdir -m 700 disk/lost+found";
    if !can(&env, &format!("unshare -m sh -c '{mount}'")) {
        return;
    }
    let output = env
        .shell(&format!("unshare -m sh -c '{mount} && ckpt restore s --to disk >/dev/null && ls -A disk'"))
        .expect(0);
    assert_eq!(output.stdout, "lost+found\nstate-00000.parquet\nstate-00001.parquet\n");
}

#[test]
fn a_directory_of_ones_own_is_filled_where_the_one_above_may_not_be_written_to() {
    let env = env();
    let other = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let prepare = "chmod 755 . && mkdir -p above/mine && chown 65534:65534 above/mine";
    if !can(&env, &format!("{prepare} && {other} ckpt --version")) {
        return;
    }
    for format in FORMATS {
        env.shell(&format!("{other} ckpt restore s --to above/mine --format {format}")).expect(0);
        env.shell("rm above/mine/*").expect(0);
    }
}

#[test]
fn an_interrupted_restore_into_a_directory_is_refused_to_others_and_finished_by_the_next() {
    let env = env();
    fs::create_dir(env.path("out")).expect("created");
    let can_trace = "strace -f -o /dev/null -e trace=fsync -e inject=fsync:error=EIO true";
    if !can(&env, can_trace) {
        return;
    }
    let kill = "strace -f -o /dev/null -e trace=renameat2 -e inject=renameat2:signal=KILL:when=2";
    assert_ne!(env.shell(&format!("{kill} ckpt restore s --to out -q")).status, 0);
    let left = names(&env, "out");
    let marked = ["state-00000.parquet", "state-incomplete.parquet"];
    assert!(marked.iter().all(|name| left.iter().any(|found| found == name)), "{left:?}");
    assert!(!fs::read(env.path("out/state-incomplete.parquet")).expect("read").starts_with(b"PAR1"));
    let output = env.run(&["restore", "s", "--to", "out"]).expect(0);
    assert!(output.stdout.starts_with("kept $DIR/out/state-00000.parquet: 2 rows, "), "{output}");
    assert_eq!(names(&env, "out"), ["state-00000.parquet", "state-00001.parquet"]);
}

#[test]
fn no_directory_in_a_store_is_filled_however_it_is_spelled() {
    let env = env();
    env.run(&["copy", "s", "--to", "copy"]).expect(0);
    symlink("s/objects", env.path("link")).expect("linked");
    fs::create_dir(env.path("s/empty")).expect("created");
    let before = tree(env.dir());
    for target in [
        "s",
        "s/checkpoints/00000004",
        "s/objects/x",
        "s/empty",
        "s/new/and/deep",
        "s/checkpoints/../x",
        "copy/x",
        "link/x",
        "link/../x",
        "copy/../s/x",
        "new/../s/x",
    ] {
        for dry_run in [&["--dry-run"][..], &[]] {
            let output = env.run(&[&["restore", "s@1", "--to", target], dry_run].concat()).expect(2);
            assert!(output.stderr.contains("` is in the store `$DIR/"), "{target}: {output}");
        }
    }
    assert_eq!(tree(env.dir()), before);
    env.run(&["restore", "s@1", "--to", "s/../beside"]).expect(0);
    assert_eq!(names(&env, "beside").len(), 2);
}

#[test]
fn a_state_without_rows_has_a_file_with_its_columns_in_every_format() {
    let env = Env::new();
    let mut builder = StoreBuilder::keyed(&env.path("s"));
    builder.commit(&[]);
    for format in FORMATS {
        let output = env.run(&["restore", "s", "--to", format, "--format", format]).expect(0);
        assert!(output.stdout.ends_with("0 keys in 1 file\n"), "{output}");
    }
    let columns = builder.store.manifest(Sequence(1)).expect("read").manifest.columns;
    let bytes = fs::read(env.path("parquet/state-00000.parquet")).expect("a file");
    let reader = SegmentReader::open(bytes.into(), &columns).expect("the columns of the state");
    assert_eq!(reader.rows(), 0);
    let header: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(env.read("csv/state.csv"), format!("task,key,{}\n", header.join(",")));
    assert_eq!(env.read("jsonl/state.jsonl"), "");
}
