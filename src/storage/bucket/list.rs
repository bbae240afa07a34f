//! Listing the names below a prefix, page by page.

use std::borrow::Cow;
use std::ops::ControlFlow;

use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta, Result};

use crate::storage::bucket::client::Client;
use crate::storage::bucket::tag::Tag;
use crate::storage::{Entry, EntryKind};

/// Which names are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Those directly below, and the directories there.
    One,
    /// All, each with its path from there.
    All,
}

/// Hands the entries below `prefix`, which is empty or ends with a slash, to `visit`, in the order of their names. With
/// `after`, the server leaves out the names up to that one.
pub(super) async fn list(
    client: &Client,
    prefix: &str,
    after: Option<&str>,
    depth: Depth,
    visit: &mut dyn FnMut(Entry, Option<Tag>),
) -> Result<()> {
    let entries = |page: ListResult| {
        for directory in page.common_prefixes {
            if let Some(name) = below(prefix, &directory) {
                visit(Entry { name, kind: EntryKind::Directory, bytes: 0, modified_seconds: None }, None);
            }
        }
        for meta in page.objects {
            if let Some(entry) = file(prefix, &meta) {
                visit(entry, Tag::of(&meta));
            }
        }
        ControlFlow::Continue(())
    };
    pages(client, prefix, after, depth, entries).await
}

/// Hands the names that begin with `prefix` to `visit`, page by page, until it breaks.
pub(super) async fn pages(
    client: &Client,
    prefix: &str,
    after: Option<&str>,
    depth: Depth,
    mut visit: impl FnMut(ListResult) -> ControlFlow<()>,
) -> Result<()> {
    let mut token: Option<String> = None;
    loop {
        let page = client
            .repeat(0, async |store| {
                let options = PaginatedListOptions {
                    // The token of a later page contains it.
                    offset: after.filter(|_| token.is_none()).map(str::to_owned),
                    delimiter: (depth == Depth::One).then_some(Cow::Borrowed("/")),
                    page_token: token.clone(),
                    ..PaginatedListOptions::default()
                };
                store.list_paginated(Some(prefix).filter(|prefix| !prefix.is_empty()), options).await
            })
            .await?;
        if visit(page.result).is_break() {
            return Ok(());
        }
        match page.page_token.filter(|token| !token.is_empty()) {
            None => return Ok(()),
            next if next == token => {
                let source = "the server lists the same page again and again".into();
                return Err(object_store::Error::Generic { store: "S3", source });
            }
            next => token = next,
        }
    }
}

fn file(prefix: &str, meta: &ObjectMeta) -> Option<Entry> {
    let name = below(prefix, &meta.location)?;
    let modified_seconds = Some(meta.last_modified.timestamp());
    Some(Entry { name, kind: EntryKind::File, bytes: meta.size, modified_seconds })
}

/// Returns the name from the prefix on. An object named as the prefix itself marks a directory, and is left out.
fn below(prefix: &str, path: &Path) -> Option<String> {
    path.as_ref().strip_prefix(prefix).filter(|name| !name.is_empty()).map(str::to_owned)
}
