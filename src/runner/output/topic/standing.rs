//! What a mark says about the messages of checkpoints.

use crate::format::manifest::StagedMessages;
use crate::kafka::Mark;
use crate::values::digest::Digest;
use crate::values::id::{Sequence, StoreId};

/// The digits of a digest in the header of a message.
const STAMP_DIGITS: usize = 16;

/// The checkpoint whose messages a topic got last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    store: String,
    /// The checkpoint; 0 if the topic was new at the beginning of the chain.
    number: u64,
    /// The digest of its messages, or nothing if the topic was new at the checkpoint.
    sha256: Option<Digest>,
}

impl Sent {
    /// Returns what a topic has once it has `messages` of `store`.
    pub fn all_of(store: &StoreId, messages: &StagedMessages) -> Sent {
        let (number, sha256) = (messages.checkpoint.0, Some(messages.object.digest));
        Sent { store: store.to_string(), number, sha256 }
    }

    /// Returns what a topic has that is new at checkpoint `newest` of `store`.
    pub fn nothing_at(store: &StoreId, newest: Option<Sequence>) -> Sent {
        Sent { store: store.to_string(), number: newest.map_or(0, |newest| newest.0), sha256: None }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    fn text(&self) -> String {
        let sha256 = self.sha256.map_or_else(|| "-".to_owned(), |sha256| sha256.to_string());
        format!("{} {} {sha256}", self.store, self.number)
    }

    pub fn mark(&self) -> Mark {
        Mark { number: self.number, text: self.text() }
    }

    /// Returns the value of the header of each of these messages.
    pub fn stamp(&self) -> String {
        let digest = Digest::of(self.text().as_bytes()).to_string();
        format!("{}-{}", self.number, &digest[..STAMP_DIGITS])
    }

    /// Reads a mark. Returns nothing if somebody else has set it.
    pub fn of_mark(mark: &Mark) -> Option<Sent> {
        let [store, number, sha256] = mark.text.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let sha256 = if sha256 == "-" { None } else { Some(sha256.parse().ok()?) };
        let number = number.parse().ok().filter(|number| *number == mark.number)?;
        Some(Sent { store: store.to_owned(), number, sha256 })
    }
}

/// What a topic has of the messages of a chain.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// All of them; if the mark is of a checkpoint that the state does not descend from, some of that one too.
    Complete { abandoned: Option<Sequence> },
    /// The topic lacks these, the oldest first.
    Missing(Vec<StagedMessages>),
    /// There is no mark: the topic is new, or the mark is gone.
    Unmarked,
    /// Somebody else has set the mark.
    Foreign { text: String },
    /// The mark is of another store.
    OtherStore { store: String },
    /// The mark is of a checkpoint that the store does not have.
    Ahead { sequence: Sequence },
    /// The mark is so old that the checkpoints which followed are unknown.
    Behind { sequence: Sequence },
}

impl Standing {
    /// Returns what `mark` means to a job that has no store yet.
    pub fn without_store(mark: &Mark) -> Standing {
        match Sent::of_mark(mark) {
            Some(sent) => Standing::OtherStore { store: sent.store },
            None => Standing::Foreign { text: mark.text.clone() },
        }
    }
}

/// Decides what a topic with `mark` has of the messages of a chain in `store`. `latest` are those of the checkpoint that
/// the run resumes from, and `newest` is the highest number in use. `staged_by` returns the messages that a checkpoint has
/// staged, if they are known.
pub fn standing(
    store: &StoreId,
    latest: Option<&StagedMessages>,
    newest: Option<Sequence>,
    mark: Option<&Mark>,
    staged_by: impl Fn(u64) -> Option<StagedMessages>,
) -> Standing {
    let Some(mark) = mark else { return Standing::Unmarked };
    let Some(sent) = Sent::of_mark(mark) else { return Standing::Foreign { text: mark.text.clone() } };
    if sent.store != store.as_str() {
        return Standing::OtherStore { store: sent.store };
    }
    let sequence = Sequence(sent.number);
    if sent.number > newest.map_or(0, |newest| newest.0) {
        return Standing::Ahead { sequence };
    }
    let complete = Standing::Complete { abandoned: None };
    let Some(latest) = latest else { return complete };
    if sequence == latest.checkpoint {
        let is_same = sent.sha256 == Some(latest.object.digest);
        return if is_same { complete } else { Standing::Ahead { sequence } };
    }
    if sequence < latest.checkpoint {
        let mut missing = vec![latest.clone()];
        while let Some(oldest) = missing.last().filter(|oldest| oldest.after > sent.number) {
            match staged_by(oldest.after) {
                Some(messages) => missing.push(messages),
                None => return Standing::Behind { sequence },
            }
        }
        let is_known = missing.last().is_some_and(|oldest| oldest.after == sent.number);
        missing.reverse();
        return if is_known { Standing::Missing(missing) } else { Standing::Behind { sequence } };
    }
    // The state was rolled back. A later run has sent what it resumed from, unless that was another branch.
    let mut at = sent.number;
    while at > latest.checkpoint.0 {
        match staged_by(at) {
            Some(messages) => at = messages.after,
            None => return Standing::Complete { abandoned: Some(sequence) },
        }
    }
    let is_sent = at == latest.checkpoint.0;
    if is_sent { Standing::Complete { abandoned: Some(sequence) } } else { Standing::Missing(vec![latest.clone()]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::layout::{ObjectKind, ObjectName};

    fn staged(checkpoint: u64, after: u64) -> StagedMessages {
        let digest = Digest::of(&checkpoint.to_le_bytes());
        StagedMessages {
            topic: "t".to_owned(),
            checkpoint: Sequence(checkpoint),
            after,
            rows: 1,
            object: ObjectName { digest, kind: ObjectKind::Parquet },
            bytes: 1,
        }
    }

    fn store(number: u8) -> StoreId {
        StoreId::new([number; 16])
    }

    /// A chain in which 2, 5, 6 and 9 have staged messages; 9 has rolled back to 2.
    fn known(number: u64) -> Option<StagedMessages> {
        [(2, 0), (5, 2), (6, 5), (9, 2)]
            .iter()
            .find(|(known, _)| *known == number)
            .map(|(at, after)| staged(*at, *after))
    }

    fn of(latest: Option<StagedMessages>, newest: u64, mark: Option<Mark>) -> Standing {
        standing(&store(1), latest.as_ref(), Some(Sequence(newest)), mark.as_ref(), known)
    }

    fn mark(number: u64) -> Option<Mark> {
        Some(Sent::all_of(&store(1), &staged(number, 0)).mark())
    }

    #[test]
    fn what_follows_the_mark_is_missing() {
        let complete = || Standing::Complete { abandoned: None };
        assert_eq!(of(known(6), 7, mark(6)), complete());
        assert_eq!(of(None, 7, mark(6)), complete());
        assert_eq!(of(known(6), 7, mark(5)), Standing::Missing(vec![staged(6, 5)]));
        assert_eq!(of(known(6), 7, mark(2)), Standing::Missing(vec![staged(5, 2), staged(6, 5)]));
        assert_eq!(of(known(6), 7, mark(3)), Standing::Behind { sequence: Sequence(3) });
        let unknown = staged(8, 7);
        assert_eq!(of(Some(unknown.clone()), 8, mark(7)), Standing::Missing(vec![unknown.clone()]));
        assert_eq!(of(Some(unknown), 8, mark(6)), Standing::Behind { sequence: Sequence(6) });
        let new = Sent::nothing_at(&store(1), None).mark();
        assert_eq!(of(known(2), 2, Some(new)), Standing::Missing(vec![staged(2, 0)]));
        assert_eq!(of(known(2), 2, None), Standing::Unmarked);
    }

    #[test]
    fn after_a_roll_back_only_what_was_never_sent_is_missing() {
        let abandoned = |number| Standing::Complete { abandoned: Some(Sequence(number)) };
        assert_eq!(of(known(2), 7, mark(6)), abandoned(6));
        assert_eq!(of(known(5), 7, mark(6)), abandoned(6));
        assert_eq!(of(known(6), 10, mark(9)), Standing::Missing(vec![staged(6, 5)]), "9 was committed without it");
        assert_eq!(of(known(2), 10, mark(9)), abandoned(9));
        assert_eq!(of(known(5), 8, mark(8)), abandoned(8), "8 is pruned");
    }

    #[test]
    fn a_mark_of_something_else_decides_nothing() {
        let other = Sent::all_of(&store(2), &staged(6, 5));
        assert_eq!(of(known(6), 7, Some(other.mark())), Standing::OtherStore { store: store(2).to_string() });
        assert_eq!(of(known(6), 6, mark(7)), Standing::Ahead { sequence: Sequence(7) });
        let replaced = Sent { sha256: Some(Digest::of(b"x")), ..Sent::all_of(&store(1), &staged(6, 5)) };
        assert_eq!(of(known(6), 6, Some(replaced.mark())), Standing::Ahead { sequence: Sequence(6) });
        for text in ["", "x", "a b c", "1 2"] {
            let mark = Mark { number: 2, text: text.to_owned() };
            assert_eq!(of(known(6), 7, Some(mark)), Standing::Foreign { text: text.to_owned() });
        }
        let moved = Mark { number: 5, ..mark(6).unwrap() };
        assert!(matches!(of(known(6), 7, Some(moved)), Standing::Foreign { .. }));
    }

    #[test]
    fn a_mark_reads_as_it_was_written_and_stamps_differ() {
        let all = [
            Sent::nothing_at(&store(1), None),
            Sent::nothing_at(&store(1), Some(Sequence(3))),
            Sent::all_of(&store(1), &staged(6, 5)),
            Sent::all_of(&store(2), &staged(6, 5)),
        ];
        for (place, sent) in all.iter().enumerate() {
            assert_eq!(Sent::of_mark(&sent.mark()).as_ref(), Some(sent));
            assert!(all[..place].iter().all(|other| other.stamp() != sent.stamp()));
        }
    }
}
