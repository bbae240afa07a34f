//! The keys of a program's state in memory, which begin with their task.

/// The number of bytes of the task that precedes each key of a program's state in memory.
pub const TASK_BYTES: usize = 4;

/// Returns the key in a shard of a key of a program's state. It includes the task, because two tasks may have equal
/// keys.
pub fn shard_key(task: u32, key: &[u8]) -> Vec<u8> {
    let mut bytes = task.to_be_bytes().to_vec();
    bytes.extend_from_slice(key);
    bytes
}

/// Splits the key in a shard into the task and the key of a program's state.
pub fn split_key(key: &[u8]) -> (u32, &[u8]) {
    let (task, key) = key.split_first_chunk().expect("a key of a program's state begins with its task");
    (u32::from_be_bytes(*task), key)
}
