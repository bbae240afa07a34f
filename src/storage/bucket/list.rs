//! Listing the names below a prefix, page by page.

use std::borrow::Cow;
use std::ops::ControlFlow;

use futures_util::future::join_all;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta, Result};

use crate::storage::bucket::client::Client;
use crate::storage::bucket::ranges::{Range, Ranges};
use crate::storage::bucket::tag::Tag;
use crate::storage::{Entry, EntryKind};

/// How many pages are listed one after another before ranges are worth a request that may find nothing.
const FIRST_PAGES: usize = 3;

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
///
/// Directories that are named by numbers, as those of checkpoints are, are listed in ranges, several at once: a server says
/// only with each page where the next one begins.
pub(super) async fn list(
    client: &Client,
    prefix: &str,
    after: Option<&str>,
    depth: Depth,
    visit: &mut dyn FnMut(Entry, Option<Tag>),
) -> Result<()> {
    let (mut rest, mut page_count) = (None, 0);
    let entries = |page: ListResult, has_more: bool| {
        page_count += 1;
        if has_more && depth == Depth::All && page_count >= FIRST_PAGES {
            let names: Vec<String> = page.objects.iter().filter_map(|meta| below(prefix, &meta.location)).collect();
            rest = Ranges::after(&names);
        }
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
        if rest.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    pages(client, prefix, after, depth, entries).await?;
    match rest {
        Some(ranges) => list_ranges(client, prefix, ranges, visit).await,
        None => Ok(()),
    }
}

async fn list_ranges(
    client: &Client,
    prefix: &str,
    mut ranges: Ranges,
    visit: &mut dyn FnMut(Entry, Option<Tag>),
) -> Result<()> {
    loop {
        let next = ranges.next();
        let found = join_all(next.iter().map(|range| list_range(client, prefix, range))).await;
        for (range, found) in next.iter().zip(found) {
            let found = found?;
            found.entries.into_iter().for_each(|(entry, tag)| visit(entry, tag));
            match found.end {
                RangeEnd::More { next, page_end } => ranges.go_on(&next, &page_end),
                RangeEnd::Last => return Ok(()),
                RangeEnd::Ignored => {
                    let rest = |page: ListResult, _| {
                        let files = page.objects.iter().filter_map(|meta| Some((file(prefix, meta)?, Tag::of(meta))));
                        files.filter(|(entry, _)| entry.name > range.after).for_each(|(entry, tag)| visit(entry, tag));
                        ControlFlow::Continue(())
                    };
                    return pages(client, prefix, None, Depth::All, rest).await;
                }
            }
        }
    }
}

/// The names in a range.
struct FoundRange {
    entries: Vec<(Entry, Option<Tag>)>,
    end: RangeEnd,
}

enum RangeEnd {
    /// Names come after the range: the first of them, and the last one on its page.
    More { next: String, page_end: String },
    /// No name does.
    Last,
    /// The server ignores where a listing should start, so nothing was listed.
    Ignored,
}

async fn list_range(client: &Client, prefix: &str, range: &Range) -> Result<FoundRange> {
    let mut found = FoundRange { entries: Vec::new(), end: RangeEnd::Last };
    let entries = |page: ListResult, _| {
        let page_end = page.objects.last().and_then(|meta| below(prefix, &meta.location)).unwrap_or_default();
        for meta in page.objects {
            let Some(entry) = file(prefix, &meta) else { continue };
            if entry.name <= range.after {
                found = FoundRange { entries: Vec::new(), end: RangeEnd::Ignored };
                return ControlFlow::Break(());
            }
            if range.up_to.as_ref().is_some_and(|up_to| entry.name > *up_to) {
                found.end = RangeEnd::More { next: entry.name, page_end };
                return ControlFlow::Break(());
            }
            found.entries.push((entry, Tag::of(&meta)));
        }
        ControlFlow::Continue(())
    };
    pages(client, prefix, Some(&format!("{prefix}{}", range.after)), Depth::All, entries).await?;
    Ok(found)
}

/// Hands the names that begin with `prefix` to `visit`, page by page and with whether there are more, until it breaks.
pub(super) async fn pages(
    client: &Client,
    prefix: &str,
    after: Option<&str>,
    depth: Depth,
    mut visit: impl FnMut(ListResult, bool) -> ControlFlow<()>,
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
        let next = page.page_token.filter(|token| !token.is_empty());
        if visit(page.result, next.is_some()).is_break() {
            return Ok(());
        }
        match next {
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
