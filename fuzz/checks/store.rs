//! The small files of a store: the log of attempts, the history, pins, answers, replicas, manifests. The first byte
//! selects the hostile one.

use std::sync::Arc;

use ckpt::format::store_file::StoreFile;
use ckpt::storage::Storage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::Store;
use ckpt::store::records::attempts::AttemptLog;
use ckpt::store::records::line_log::Extent;
use ckpt::values::id::StoreId;
use ckpt::values::relpath::RelPath;

/// Whatever one of the files contains, the others are read and the store stays usable.
pub fn check(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    let storage = Arc::new(MemoryStorage::new());
    let created = "2026-11-22T14:00:00Z".parse().expect("a time");
    let file = StoreFile { format: 1, store: StoreId::new([7; 16]), job: "fuzz".to_owned(), created };
    let store = Store::create(vec![storage.clone() as Arc<dyn Storage>], file).expect("created");
    let id = "000102030405060708090a0b0c0d0e0f";
    let path = match kind % 6 {
        0 => "history/attempts-00000001.jsonl".to_owned(),
        1 => "history/00000001.yaml".to_owned(),
        2 => "pins/00000001.yaml".to_owned(),
        3 => format!("requests/{id}.answer.yaml"),
        4 => "replicas.yaml".to_owned(),
        _ => "checkpoints/00000001/manifest.yaml".to_owned(),
    };
    let path = RelPath::new(path).expect("plain");
    if kind % 6 == 5 {
        storage
            .create_dir(&path.parent().expect("a directory"), &[("manifest.yaml", bytes), ("SHA256SUMS", bytes)])
            .expect("made");
    } else {
        storage.create(&path, bytes).expect("made");
    }
    let before = store.attempts(Extent::Whole).expect("read");
    let mut log = AttemptLog::open(&store, "0011223344556677");
    if let Some(attempt) = before.attempts.last() {
        log.add(&store, attempt.clone());
        let after = store.attempts(Extent::Whole).expect("read");
        assert!(after.attempts.len() <= before.attempts.len() + 1);
    }
    let history = store.history().expect("read");
    for event in &history.events {
        assert_eq!(event.number, 1);
    }
    let _ = history.departures();
    let _ = store.pins().expect("read");
    let _ = store.take_answer(id).expect("read");
    let _ = Store::places(&store.replicas()[0]);
    for sequence in store.sequences().expect("listed") {
        let _ = store.manifest(sequence);
    }
}
