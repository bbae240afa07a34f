//! Many writers of one name: the server decides, and every writer learns the same.

use std::sync::Barrier;
use std::thread;

use ckpt::storage::StorageError;

use super::path;
use crate::support::bucket::Bucket;

#[test]
fn of_sixteen_writers_of_one_name_one_wins_each_time() {
    let Some(bucket) = Bucket::fresh() else { return };
    // Each has connections of its own, as separate processes have.
    let writers: Vec<_> = (0..16).map(|_| bucket.storage()).collect();
    for round in 0..50 {
        let name = path(&format!("{round}/manifest.yaml"));
        let together = Barrier::new(writers.len());
        let winners: Vec<usize> = thread::scope(|scope| {
            let create = |(number, storage)| {
                let (name, together) = (&name, &together);
                scope.spawn(move || {
                    together.wait();
                    let storage: &ckpt::storage::bucket::BucketStorage = storage;
                    match storage.create(name, &[number as u8; 2000]) {
                        Ok(()) => Some(number),
                        Err(StorageError::Exists { .. }) => None,
                        Err(error) => panic!("{error:?}"),
                    }
                })
            };
            let threads: Vec<_> = writers.iter().enumerate().map(create).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(writers[0].get(&name, 2000).unwrap(), vec![winners[0] as u8; 2000], "round {round}");
    }
}
