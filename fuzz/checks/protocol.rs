//! What a program sends to a run.

use ckpt::runner::process::exec::protocol::{AnswerSummary, read_answer};
use serde_json::Value;

/// Whatever is accepted as an answer is also JSON to an independent reader, with the same contents.
pub fn check(data: &[u8]) {
    let Ok(AnswerSummary { kind, changed, deleted, emitted, rejected }) = read_answer(data) else { return };
    let tree: Value = match serde_json::from_slice(data) {
        Ok(tree) => tree,
        // Values are stored as they are written, and parsed when they are put into the state.
        Err(error) => {
            let text = error.to_string();
            assert!(
                ["number", "recursion", "surrogate", "hex escape"].iter().any(|known| text.contains(known)),
                "{text}"
            );
            return;
        }
    };
    assert_eq!(tree["type"], kind);
    let count = |field: &str| tree[field].as_array().map_or(0, Vec::len);
    assert_eq!((count("changed"), count("deleted"), count("emit")), (changed, deleted, emitted));
    assert_eq!(count("rejected"), rejected);
}
