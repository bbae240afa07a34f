//! The examples of the documents print what the documents say. How they are written is told in `tests/support/document.rs`.

use std::fs;

use crate::support::{document, repository};

#[test]
fn the_examples_of_the_documents_are_true() {
    let documents = repository::files("docs").into_iter().filter(|name| name.ends_with(".md"));
    let mut wrong = Vec::new();
    for name in documents.chain(["README.md".to_owned()]) {
        if let Ok(text) = fs::read_to_string(repository::path(&name)) {
            wrong.extend(document::check(&name, &text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
