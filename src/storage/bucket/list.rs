//! Listing the names below a prefix, page by page.

use std::borrow::Cow;

use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{ObjectMeta, Result};

use crate::storage::bucket::client::Client;
use crate::storage::{Entry, EntryKind};

/// Which names are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Those directly below, and the directories there.
    One,
    /// All, each with its path from there.
    All,
}

/// Hands the entries below `prefix`, which is empty or ends with a slash, to `visit`, in the order of their names.
pub(super) async fn list(client: &Client, prefix: &str, depth: Depth, visit: &mut dyn FnMut(Entry)) -> Result<()> {
    let mut token: Option<String> = None;
    loop {
        let page = page(client, prefix, depth, token).await?;
        for directory in page.result.common_prefixes {
            if let Some(name) = below(prefix, &directory) {
                visit(Entry { name, kind: EntryKind::Directory, bytes: 0, modified_seconds: None });
            }
        }
        page.result.objects.into_iter().filter_map(|meta| file(prefix, meta)).for_each(&mut *visit);
        token = page.page_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(());
        }
    }
}

/// Returns the next names that begin with `prefix`.
pub(super) async fn page(
    client: &Client,
    prefix: &str,
    depth: Depth,
    token: Option<String>,
) -> Result<PaginatedListResult> {
    client
        .repeat(0, async |store| {
            let options = PaginatedListOptions {
                delimiter: (depth == Depth::One).then_some(Cow::Borrowed("/")),
                page_token: token.clone(),
                ..PaginatedListOptions::default()
            };
            store.list_paginated(Some(prefix).filter(|prefix| !prefix.is_empty()), options).await
        })
        .await
}

fn file(prefix: &str, meta: ObjectMeta) -> Option<Entry> {
    let name = below(prefix, &meta.location)?;
    let modified_seconds = Some(meta.last_modified.timestamp());
    Some(Entry { name, kind: EntryKind::File, bytes: meta.size, modified_seconds })
}

/// Returns the name from the prefix on. An object named as the prefix itself marks a directory, and is left out.
fn below(prefix: &str, path: &Path) -> Option<String> {
    path.as_ref().strip_prefix(prefix).filter(|name| !name.is_empty()).map(str::to_owned)
}
