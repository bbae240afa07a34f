//! The retention policy: which checkpoints are kept. A pure function of the facts.
//!
//! Checkpoints are ordered by their recorded numbers. Times come from clocks, and clocks can be wrong, so a time is
//! trusted only as far as it agrees with the numbers: the largest set of checkpoints whose times never go backwards is
//! in order, the others are not. The rules about time count only those in order. A checkpoint that is out of order is
//! thinned by its own time, and never replaces one that is in order.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::values::id::Sequence;
use crate::values::units::{exact_bytes, exact_duration};

/// Which checkpoints are to be kept: those that any rule keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Keep all checkpoints: only leftovers are removed.
    pub all: bool,
    /// Keep that many of the newest; 0 is not a rule.
    pub last: u64,
    /// Keep the newest of each of the last that many hours that have any; 0 is not a rule.
    pub hourly: u64,
    /// The same for days.
    pub daily: u64,
    /// The same for weeks, which begin on Monday.
    pub weekly: u64,
    /// The same for months.
    pub monthly: u64,
    /// Keep those that are at most that much older than the newest.
    pub within: Option<Duration>,
    /// Keep the newest, as long as all that they need together has at most that many bytes.
    pub bytes: Option<u64>,
}

/// A policy that cannot be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy is empty: no keep rule is given")]
    Empty,
    /// No existing checkpoint matches any of the rules.
    #[error("the policy keeps nothing: no checkpoint matches any keep rule")]
    KeepsNothing,
}

impl Policy {
    /// Fails with [`PolicyError::Empty`] if there is no rule.
    pub fn check(&self) -> Result<(), PolicyError> {
        let Policy { all, last, hourly, daily, weekly, monthly, within, bytes } = self;
        let counts = [last, hourly, daily, weekly, monthly].into_iter().any(|&count| count > 0);
        if *all || counts || within.is_some() || bytes.is_some_and(|bytes| bytes > 0) {
            Ok(())
        } else {
            Err(PolicyError::Empty)
        }
    }
}

impl fmt::Display for Policy {
    /// Writes the rules as options of `ckpt prune`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules = Vec::new();
        if self.all {
            rules.push("--keep-all".to_owned());
        }
        let Policy { last, hourly, daily, weekly, monthly, .. } = *self;
        for (name, count) in
            [("last", last), ("hourly", hourly), ("daily", daily), ("weekly", weekly), ("monthly", monthly)]
        {
            if count > 0 {
                rules.push(format!("--keep-{name} {count}"));
            }
        }
        rules.extend(self.within.map(|within| format!("--keep-within {}", exact_duration(within))));
        rules.extend(self.bytes.map(|bytes| format!("--keep-bytes {}", exact_bytes(bytes))));
        f.pad(&rules.join(" "))
    }
}

/// Why a checkpoint is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// It is the latest.
    Latest,
    /// The latest is missing an object, and this is the newest that is not.
    Whole,
    /// The job was rolled back, and its next run needs to know it to put the output files in order.
    Rollback,
    Pinned,
    /// [`Policy::all`].
    All,
    /// [`Policy::last`].
    Last,
    /// [`Policy::hourly`].
    Hourly,
    /// [`Policy::daily`].
    Daily,
    /// [`Policy::weekly`].
    Weekly,
    /// [`Policy::monthly`].
    Monthly,
    /// [`Policy::within`].
    Within,
    /// [`Policy::bytes`].
    Bytes,
}

impl Rule {
    /// Returns the word for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Latest => "latest",
            Rule::Whole => "newest whole",
            Rule::Rollback => "rollback",
            Rule::Pinned => "pinned",
            Rule::All => "all",
            Rule::Last => "last",
            Rule::Hourly => "hourly",
            Rule::Daily => "daily",
            Rule::Weekly => "weekly",
            Rule::Monthly => "monthly",
            Rule::Within => "within",
            Rule::Bytes => "bytes",
        }
    }

    /// Tells whether it is a rule of a [`Policy`], and not one that always applies.
    fn is_of_policy(self) -> bool {
        !matches!(self, Rule::Latest | Rule::Whole | Rule::Rollback | Rule::Pinned)
    }
}

/// What must be known of a checkpoint to decide about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub sequence: Sequence,
    /// When its cut was taken, as recorded.
    pub created: Timestamp,
    /// The bytes of the objects that it needs and no newer one does.
    pub bytes: u64,
    /// Whether every object that it needs exists.
    pub is_whole: bool,
}

/// Returns the rules that keep each of `candidates`, which ascend by number; no rule for one that is removed.
///
/// `now` replaces the newest time if that is in the future; hours, days, weeks and months are those of `zone`. The
/// newest checkpoint is always kept, and so are `pins`. Fails if the policy has no rule, and if its rules keep none of
/// the candidates.
pub fn decide(
    candidates: &[Candidate],
    pins: &BTreeSet<Sequence>,
    policy: &Policy,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Vec<Vec<Rule>>, PolicyError> {
    policy.check()?;
    let mut kept: Vec<Vec<Rule>> = vec![Vec::new(); candidates.len()];
    let Some(newest) = candidates.len().checked_sub(1) else { return Ok(kept) };
    kept[newest].push(Rule::Latest);
    if !candidates[newest].is_whole
        && let Some(whole) = candidates.iter().rposition(|candidate| candidate.is_whole)
    {
        kept[whole].push(Rule::Whole);
    }
    for (rules, candidate) in kept.iter_mut().zip(candidates) {
        if pins.contains(&candidate.sequence) {
            rules.push(Rule::Pinned);
        }
        if policy.all {
            rules.push(Rule::All);
        }
    }
    let last = usize::try_from(policy.last).unwrap_or(usize::MAX);
    kept.iter_mut().rev().take(last).for_each(|rules| rules.push(Rule::Last));
    let in_order = in_order(candidates);
    let periods = [
        (Rule::Hourly, policy.hourly, Period::Hour),
        (Rule::Daily, policy.daily, Period::Day),
        (Rule::Weekly, policy.weekly, Period::Week),
        (Rule::Monthly, policy.monthly, Period::Month),
    ];
    for (rule, count, period) in periods {
        for at in newest_of_periods(candidates, &in_order, count, |time| period.of(time, zone)) {
            kept[at].push(rule);
        }
    }
    if let Some(within) = policy.within {
        let oldest = oldest_within(candidates, &in_order, within, now);
        kept[oldest..].iter_mut().for_each(|rules| rules.push(Rule::Within));
    }
    if let Some(limit) = policy.bytes {
        let mut sum = 0u64;
        for (rules, candidate) in kept.iter_mut().zip(candidates).rev() {
            sum = sum.saturating_add(candidate.bytes);
            if sum > limit {
                break;
            }
            rules.push(Rule::Bytes);
        }
    }
    if kept.iter().flatten().any(|rule| rule.is_of_policy()) { Ok(kept) } else { Err(PolicyError::KeepsNothing) }
}

/// Tells which candidates are in order: a largest set whose times never go backwards.
fn in_order(candidates: &[Candidate]) -> Vec<bool> {
    // For each length, the candidate that ends the subsequence of that length with the earliest time.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(candidates.len());
    for (at, candidate) in candidates.iter().enumerate() {
        let length = ends.partition_point(|&end| candidates[end].created <= candidate.created);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut in_order = vec![false; candidates.len()];
    let mut next = ends.last().copied();
    while let Some(at) = next {
        in_order[at] = true;
        next = before[at];
    }
    in_order
}

/// Returns the newest candidate of each of the last `count` periods that have any.
fn newest_of_periods<P: Eq + std::hash::Hash>(
    candidates: &[Candidate],
    in_order: &[bool],
    count: u64,
    period: impl Fn(Timestamp) -> P,
) -> Vec<usize> {
    let mut newest = Vec::new();
    let (mut seen, mut seen_out_of_order) = (HashSet::new(), HashSet::new());
    for (at, candidate) in candidates.iter().enumerate().rev() {
        if seen.len() as u64 >= count {
            break;
        }
        let period = period(candidate.created);
        let is_first = if in_order[at] {
            seen.insert(period)
        } else {
            !seen.contains(&period) && seen_out_of_order.insert(period)
        };
        if is_first {
            newest.push(at);
        }
    }
    newest
}

/// Returns the oldest candidate in order that is at most `within` older than the newest in order.
fn oldest_within(candidates: &[Candidate], in_order: &[bool], within: Duration, now: Timestamp) -> usize {
    let newest = in_order.iter().rposition(|&in_order| in_order).map_or(now, |newest| candidates[newest].created);
    // Before the earliest possible time, everything is within.
    let first = newest.min(now).checked_sub(within).unwrap_or(Timestamp::MIN);
    let is_within = |&at: &usize| in_order[at] && candidates[at].created >= first;
    (0..candidates.len()).find(is_within).unwrap_or(candidates.len())
}

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Hour,
    Day,
    Week,
    Month,
}

impl Period {
    /// Returns what distinguishes the period of `time` from all others of its kind.
    fn of(self, time: Timestamp, zone: &TimeZone) -> [i64; 3] {
        let local = zone.to_datetime(time);
        let (year, month, day) = (i64::from(local.year()), i64::from(local.month()), i64::from(local.day()));
        match self {
            // The hour that occurs twice when clocks are set back is two hours.
            Period::Hour => {
                let offset = i64::from(zone.to_offset(time).seconds());
                [(time.as_second() + offset).div_euclid(3600), offset, 0]
            }
            Period::Day => [year, month, day],
            Period::Week => {
                let week = local.date().iso_week_date();
                [i64::from(week.year()), i64::from(week.week()), 0]
            }
            Period::Month => [year, month, 0],
        }
    }
}

#[cfg(test)]
mod tests;
