//! The files and messages of Apache Samza. The first byte selects a parser.

use std::collections::BTreeMap;

use ckpt::samza::changelog::Changelog;
use ckpt::samza::changelog_dump::PrintedMessage;
use ckpt::samza::checkpoint::{Checkpoint, Version};
use ckpt::samza::checkpoint_id::CheckpointId;
use ckpt::samza::offset_file::{OffsetFile, OffsetFileKind};
use ckpt::samza::partition::StreamPartition;
use ckpt::samza::serde::Serde;
use ckpt::samza::snapshot_index::SnapshotIndex;
use ckpt::samza::topic::Message;
use ckpt::samza::{java_stream, names, properties};

/// Errors are inside the file; a text that was read is written as one that is read again; names are as short as they
/// were.
pub fn check(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    match kind % 9 {
        0 => framing(bytes),
        1 => {
            if let Ok(checkpoint) = Checkpoint::parse_v1(bytes) {
                consistent(&checkpoint, Version::V1);
            }
        }
        2 => {
            if let Ok(checkpoint) = Checkpoint::parse_v2(bytes) {
                consistent(&checkpoint, Version::V2);
            }
        }
        3 => match SnapshotIndex::parse(bytes) {
            Ok(index) => assert!(
                index.files().iter().all(|(path, file)| path.len() < bytes.len() && !format!("{file:?}").is_empty())
            ),
            Err(error) => assert!(error.offset <= bytes.len() as u64),
        },
        4 => {
            let Ok(line) = std::str::from_utf8(bytes) else { return };
            match Message::parse(line) {
                Ok(message) => assert!(message.key.task.len() <= line.len()),
                Err(error) => assert!(error.offset <= bytes.len() as u64),
            }
        }
        5 => text(bytes),
        6 => {
            for serde in Serde::ALL {
                match serde.read(bytes) {
                    Ok(value) => assert!(value.to_json().get().len() >= value.to_string().len()),
                    Err(reason) => assert!(!reason.is_empty() && serde != Serde::Bytes),
                }
            }
            match PrintedMessage::parse(bytes) {
                Ok(message) => assert!(message.key.len() + message.topic.len() < bytes.len()),
                Err(error) => assert!(error.offset <= bytes.len() as u64),
            }
        }
        7 => changelog(bytes),
        _ => offsets(bytes),
    }
}

/// What was read is written as a file that reads the same.
fn offsets(bytes: &[u8]) {
    match properties::parse(bytes) {
        Ok(tasks) => {
            let lines = tasks.iter().flat_map(|(task, checkpoint)| {
                let offsets = properties::offsets(checkpoint);
                offsets.into_iter().map(|(partition, offset)| properties::line(task, partition, &offset))
            });
            assert_eq!(properties::parse(lines.collect::<String>().as_bytes()), Ok(tasks.clone()));
        }
        Err(error) => assert!(error.offset <= bytes.len() as u64),
    }
}

/// The state is that of a plain map. Each two bytes are a message: how far its offset is ahead, and its key and value.
fn changelog(bytes: &[u8]) {
    let Some((&last, bytes)) = bytes.split_first() else { return };
    let (mut changelog, mut rows, mut offset) = (Changelog::new(Some(last.into())), BTreeMap::new(), 0u64);
    for pair in bytes.chunks_exact(2) {
        offset += u64::from(pair[0] % 4);
        let (key, value) = (pair[1] % 8, pair[1] / 8);
        let value = (value > 0).then_some([value]);
        changelog.add(offset, &[key], value.as_ref().map(|value| &value[..])).expect("the offsets ascend");
        if offset <= last.into() {
            rows.insert(vec![key], value.map(|value| value.to_vec()));
        }
        offset += 1;
    }
    let contents = changelog.finish();
    assert!(contents.doubtful.iter().all(|key| !rows.contains_key(key)));
    let rows: Vec<_> = rows.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    assert_eq!(contents.rows, rows);
}

fn framing(bytes: &[u8]) {
    for kind in OffsetFileKind::ALL {
        if let Ok(OffsetFile::Bare(text)) = OffsetFile::parse(kind, bytes) {
            assert!(!text.trim_start().starts_with('{'));
        }
    }
    match java_stream::parse_text(bytes) {
        Ok(text) => assert_eq!(java_stream::parse_text(&written(&text)), Ok(text)),
        Err(error) => assert!(error.offset <= bytes.len() as u64),
    }
}

/// Writes a text as Java does, in the shortest blocks.
fn written(text: &str) -> Vec<u8> {
    let mut units = Vec::new();
    for unit in text.encode_utf16() {
        match unit {
            0x01..=0x7f => units.push(vec![unit as u8]),
            0x00 | 0x80..=0x7ff => units.push(vec![0xc0 | (unit >> 6) as u8, 0x80 | (unit & 0x3f) as u8]),
            _ => {
                units.push(vec![0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8])
            }
        }
    }
    let mut payload = u64::from(crc32(text.as_bytes())).to_be_bytes().to_vec();
    for segment in units.chunks(20_000) {
        let segment = segment.concat();
        payload.extend((segment.len() as u16).to_be_bytes());
        payload.extend(segment);
    }
    if units.is_empty() {
        payload.extend([0, 0]);
    }
    let mut file = vec![0xac, 0xed, 0x00, 0x05];
    for block in payload.chunks(200) {
        file.extend([0x77, block.len() as u8]);
        file.extend(block);
    }
    file
}

/// The CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn consistent(checkpoint: &Checkpoint, version: Version) {
    assert_eq!(checkpoint.version, version);
    assert!(checkpoint.changelogs().len() <= checkpoint.state.len());
    if version == Version::V2 {
        for partition in checkpoint.inputs.keys() {
            assert_eq!(StreamPartition::parse_key(&partition.to_string()).as_ref(), Some(partition));
        }
    }
}

fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for line in text.lines().take(20) {
        if let Ok(id) = line.parse::<CheckpointId>() {
            assert_eq!(id.to_string(), line);
        }
        if let Some(partition) = StreamPartition::parse_key(line) {
            assert_eq!(StreamPartition::parse_key(&partition.to_string()), Some(partition));
        }
        if let Some(name) = names::parse_checkpoint_file(line) {
            let job = name.job.map_or_else(String::new, |job| format!("{job}-"));
            assert_eq!(format!("{job}{}-checkpoints", name.task), line);
        }
        let directory = names::parse_store_directory(line);
        assert!(directory.task.chars().count() <= line.chars().count());
    }
}
