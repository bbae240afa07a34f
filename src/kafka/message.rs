//! What a client hands out and takes.

use std::ops::Range;

/// The name and the value of a header.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// A message, as long as the client holds it.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    pub partition: u32,
    pub offset: u64,
    /// The time that the producer or the broker has given it, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: Option<i64>,
    pub key: Option<&'a [u8]>,
    /// `None` for a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers in their order, which may have a name several times. `None` if they are not read.
    pub headers: Option<Vec<Header<'a>>>,
}

/// A message that is sent.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub key: Option<&'a str>,
    /// `None` for a tombstone.
    pub value: Option<&'a str>,
    /// A header, its name and its value.
    pub header: (&'a str, &'a str),
    /// In milliseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
}

/// What a transaction sets beside its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub number: u64,
    /// At most 4 KiB.
    pub text: String,
}

/// The offsets of a partition that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds(pub Range<u64>);

/// What a group has decided about the partitions of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Division {
    /// These belong to the member from now on.
    Given(Vec<u32>),
    /// These have to be released, and belong to the member until then.
    Taken(Vec<u32>),
    /// These belong to another member by now, because the group has not heard from this one in time.
    Lost(Vec<u32>),
}

/// What becomes of the partitions of a member that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// They wait, for as long as the session time-out, for a member with its name.
    Keep,
    /// The others get them at once.
    Leave,
}

/// What a poll has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// A message, which was passed on.
    Message,
    /// The partition has no more messages for now: it ends at this offset, as the broker says from which it is read. A broker
    /// that has just become the leader, or that follows one, may say less than others have said before.
    End { partition: u32, offset: u64 },
    /// This partition has no message at the offset that is to be read next.
    OutOfRange,
    /// Nothing has arrived.
    Nothing,
}
