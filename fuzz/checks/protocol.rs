//! What a program says to a run.

use ckpt::runner::process::exec::protocol::{AnswerSummary, read_answer};
use serde_json::Value;

/// What is taken as an answer is JSON to a second reader too, and holds what that finds in it.
pub fn check(data: &[u8]) {
    let Ok(AnswerSummary { kind, changed, deleted, emitted }) = read_answer(data) else { return };
    let tree: Value = match serde_json::from_slice(data) {
        Ok(tree) => tree,
        // Values are taken as they are written, and looked into when they are put into the state.
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
}
