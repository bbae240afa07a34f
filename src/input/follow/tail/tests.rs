use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use super::*;
use crate::input::partition::{Compression, Source};
use crate::values::digest::Digest;

fn setup(format: InputFormat, max_record_bytes: u64) -> (tempfile::TempDir, PathBuf, Partition, Tail) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.log");
    std::fs::write(&path, "").unwrap();
    let source = Source::File(path.clone());
    let partition =
        Partition { name: "app.log".to_owned(), source, compression: Compression::None, file_bytes: None, etag: None };
    let rules = BlockRules { format, encoding: crate::job::model::Encoding::Utf8, max_record_bytes, block_bytes: 32 };
    let tail = Tail::new(&rules, &partition);
    (directory, path, partition, tail)
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn drain(tail: &mut Tail, partition: &Partition, path: &Path, is_complete: bool) -> Vec<(u64, u64, Vec<u8>)> {
    let id = FileId::of(&std::fs::metadata(path).unwrap());
    assert!(tail.open(partition, path, id).unwrap());
    tail.poll(partition).unwrap();
    let mut blocks = Vec::new();
    while let Some(block) = tail.next_block(partition, BlockNumbers::default(), is_complete).unwrap() {
        blocks.push((block.offset, block.end_offset, block.bytes));
    }
    blocks
}

/// The bytes of all blocks, wherever they are cut.
fn joined(blocks: &[(u64, u64, Vec<u8>)]) -> String {
    blocks.iter().map(|(_, _, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect()
}

fn digest(tail: &Tail) -> Digest {
    tail.prefix().clone().finish()
}

fn digest_of_file(partition: &Partition, offset: u64) -> Digest {
    PrefixDigest::of(partition, offset).unwrap().finish()
}

#[test]
fn torn_lines_wait_for_their_end_however_they_arrive() {
    let content = b"one\ntwo two two two two two two two two two\n\nthree\nfour";
    for step in 1..content.len() {
        let (_directory, path, partition, mut tail) = setup(InputFormat::Text, 1000);
        let mut seen = String::new();
        for part in content.chunks(step) {
            append(&path, part);
            seen += &joined(&drain(&mut tail, &partition, &path, false));
            assert!(seen.is_empty() || seen.ends_with('\n'));
            assert_eq!(digest(&tail), digest_of_file(&partition, tail.offset()));
        }
        assert_eq!(seen.as_bytes(), &content[..content.len() - 4]);
        assert_eq!(joined(&drain(&mut tail, &partition, &path, true)), "four");
        assert!(tail.is_read());
    }
}

#[test]
fn csv_has_its_header_first_and_line_ends_in_quotes() {
    let content = b"a,b\n1,\"x\ny\"\n2,z\n3,\"torn\n";
    for step in 1..content.len() {
        let (_directory, path, partition, mut tail) = setup(InputFormat::Csv { delimiter: b',' }, 1000);
        let mut seen = String::new();
        for part in content.chunks(step) {
            append(&path, part);
            seen += &joined(&drain(&mut tail, &partition, &path, false));
        }
        assert_eq!(seen, "1,\"x\ny\"\n2,z\n", "{step}");
        assert_eq!(tail.header.as_ref().unwrap().names, ["a", "b"]);
        assert_eq!(tail.offset(), 16);
        // The header's bytes are before the offset as well.
        let expected = Digest::of(&[&content[..16], &16u64.to_le_bytes()].concat());
        assert_eq!(digest(&tail), expected);
    }
}

#[test]
fn a_line_that_is_too_long_is_cut_once_its_end_is_there() {
    let long = "x".repeat(500);
    let content = format!("a\n{long}\nb\n");
    for step in [1, 7, 100, 1000] {
        let (_directory, path, partition, mut tail) = setup(InputFormat::Text, 10);
        let mut blocks = Vec::new();
        for part in content.as_bytes().chunks(step) {
            append(&path, part);
            blocks.extend(drain(&mut tail, &partition, &path, false));
        }
        assert_eq!(joined(&blocks), format!("a\n{}b\n", "x".repeat(12)), "{step}");
        assert_eq!(tail.offset(), content.len() as u64);
        assert_eq!(digest(&tail), digest_of_file(&partition, tail.offset()));
    }
}

#[test]
fn a_file_that_was_cut_is_noticed_also_when_it_has_grown_again() {
    for content in ["", "other\nother\nother\nother\n"] {
        let (_directory, path, partition, mut tail) = setup(InputFormat::Text, 1000);
        append(&path, b"one\ntwo\n");
        drain(&mut tail, &partition, &path, false);
        std::fs::write(&path, content).unwrap();
        let error = tail
            .poll(&partition)
            .and_then(|_| tail.next_block(&partition, BlockNumbers::default(), false).map(|_| false));
        assert!(matches!(error, Err(InputError::Truncated { offset: 8, .. })), "{error:?}");
    }
}

#[test]
fn a_last_line_that_was_taken_without_an_end_may_only_get_one() {
    for (more, fits) in [("\ntwo\n", true), ("\r\ntwo\n", true), ("\n\n", true), (" more\n", false)] {
        let (_directory, path, partition, mut tail) = setup(InputFormat::Text, 1000);
        append(&path, b"one");
        assert_eq!(joined(&drain(&mut tail, &partition, &path, true)), "one");
        append(&path, more.as_bytes());
        tail.poll(&partition).unwrap();
        let block = tail.next_block(&partition, BlockNumbers::default(), false);
        assert_eq!(block.is_ok(), fits);
        if let Ok(block) = block {
            // Neither the line end nor a part of it is a line of its own.
            let bytes = block.expect("a whole line").bytes;
            assert_eq!(bytes, more.trim_start_matches('\r').strip_prefix('\n').unwrap().as_bytes());
            assert_eq!(digest(&tail), digest_of_file(&partition, tail.offset()));
        }
    }
}
