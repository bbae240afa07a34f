//! Which checkpoints are kept: a pure function of what is there and of what somebody wants.
//!
//! Checkpoints are ordered by their recorded numbers. Times come from clocks, and clocks can be wrong, so a time is
//! believed only as far as it agrees with the numbers: the largest set of checkpoints whose times never go backwards is
//! in order, the others are not. The rules about time count only those in order. One that is out of order is thinned as
//! its own time says, and never takes the place of one that is in order.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::values::id::Sequence;
use crate::values::units::{exact_bytes, exact_duration};

/// What somebody wants to keep. A checkpoint that any of the rules keeps is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Everything: only leftovers go.
    pub all: bool,
    /// So many of the newest; 0 is no rule.
    pub last: u64,
    /// The newest of each of the last so many hours that have any; 0 is no rule.
    pub hourly: u64,
    /// The same for days.
    pub daily: u64,
    /// The same for weeks, which begin on Mondays.
    pub weekly: u64,
    /// The same for months.
    pub monthly: u64,
    /// Those that are at most so much older than the newest.
    pub within: Option<Duration>,
    /// The newest, as long as all that they need together has at most so many bytes.
    pub bytes: Option<u64>,
}

/// A policy that can not be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It has no rule.
    #[error("the policy is empty: it says of nothing that it is to be kept")]
    Empty,
    /// No checkpoint that is there satisfies any of its rules.
    #[error("the policy keeps nothing: not even the latest checkpoint satisfies it")]
    KeepsNothing,
}

impl Policy {
    /// Fails with [`PolicyError::Empty`] when there is no rule.
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

/// What keeps a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// It is the latest.
    Latest,
    /// The latest lacks an object, and this is the newest that lacks none.
    Whole,
    /// Somebody pinned it.
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
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Latest => "latest",
            Rule::Whole => "newest whole",
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

    /// Tells whether it is a rule of a [`Policy`], and not one that always holds.
    fn is_of_policy(self) -> bool {
        !matches!(self, Rule::Latest | Rule::Whole | Rule::Pinned)
    }
}

/// What has to be known of a checkpoint to decide about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub sequence: Sequence,
    /// When its cut was taken, as recorded.
    pub created: Timestamp,
    /// The bytes of the objects that it needs and no newer one does.
    pub bytes: u64,
    /// Whether every object that it needs is there.
    pub is_whole: bool,
}

/// Returns the rules that keep each of `candidates`, which ascend by number; none for one that can go.
///
/// `now` stands in for the newest time when that is yet to come; hours, days, weeks and months are those of `zone`.
/// The newest is always kept, and so are `pins`. Fails when the policy has no rule, and when its rules keep none of the
/// candidates.
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
    // For each length, the candidate that ends the subsequence of that length with the earliest end.
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
        let is_first = match in_order[at] {
            true => seen.insert(period),
            false => !seen.contains(&period) && seen_out_of_order.insert(period),
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
    // Before the first time that there is, everything is within.
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
    /// Returns what tells the period of `time` from all others of its kind.
    fn of(self, time: Timestamp, zone: &TimeZone) -> [i64; 3] {
        let local = zone.to_datetime(time);
        let (year, month, day) = (i64::from(local.year()), i64::from(local.month()), i64::from(local.day()));
        match self {
            // The hour that is there twice when clocks go back is two hours.
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
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    const BEGIN: i64 = 1_700_000_000;

    fn candidates(seconds: &[i64]) -> Vec<Candidate> {
        let candidate = |(at, &second): (usize, &i64)| Candidate {
            sequence: Sequence(at as u64 + 1),
            created: Timestamp::from_second(BEGIN + second).unwrap(),
            bytes: 10,
            is_whole: true,
        };
        seconds.iter().enumerate().map(candidate).collect()
    }

    /// Decides at the time of the newest, and returns the numbers that are kept by anything but being the latest.
    fn kept(candidates: &[Candidate], policy: Policy) -> Vec<u64> {
        let now = candidates.iter().map(|candidate| candidate.created).max().unwrap();
        let rules = decide(candidates, &BTreeSet::new(), &policy, now, &TimeZone::UTC).unwrap();
        let by_policy = |rules: &Vec<Rule>| rules.iter().any(|rule| rule.is_of_policy());
        candidates.iter().zip(&rules).filter(|(_, rules)| by_policy(rules)).map(|(c, _)| c.sequence.0).collect()
    }

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn each_rule_keeps_what_its_name_says() {
        // Every twenty minutes for ten days.
        let times: Vec<i64> = (0..720).map(|i| i * 1200).collect();
        let all = candidates(&times);
        let policy = Policy::default();
        assert_eq!(kept(&all, Policy { last: 3, ..policy.clone() }), [718, 719, 720]);
        assert_eq!(kept(&all, Policy { within: Some(Duration::from_secs(2400)), ..policy.clone() }), [718, 719, 720]);
        assert_eq!(kept(&all, Policy { bytes: Some(39), ..policy.clone() }), [718, 719, 720]);
        assert_eq!(kept(&all, Policy { all: true, ..policy.clone() }).len(), 720);
        for (policy, period, count) in [
            (Policy { hourly: 5, ..policy.clone() }, Period::Hour, 5),
            (Policy { daily: 4, ..policy.clone() }, Period::Day, 4),
            (Policy { weekly: 2, ..policy.clone() }, Period::Week, 2),
            (Policy { monthly: 9, ..policy.clone() }, Period::Month, 1),
        ] {
            let numbers = kept(&all, policy);
            assert_eq!(numbers.len(), count, "{period:?}");
            assert_eq!(numbers.last(), Some(&720));
            for number in numbers {
                let of = |number: u64| period.of(all[number as usize - 1].created, &TimeZone::UTC);
                assert!(number == 720 || of(number) != of(number + 1), "{number} is not the newest of its {period:?}");
            }
        }
    }

    #[test]
    fn hours_and_days_without_a_checkpoint_do_not_count() {
        let all = candidates(&[0, 5 * DAY, 9 * DAY, 9 * DAY + 60]);
        assert_eq!(kept(&all, Policy { daily: 3, ..Policy::default() }), [1, 2, 4]);
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = |text: &str| -> i64 { text.parse::<Timestamp>().unwrap().as_second() - BEGIN };
        let all = candidates(&[at("2026-11-22T22:30:00Z"), at("2026-11-22T23:30:00Z")]);
        let policy = Policy { daily: 2, ..Policy::default() };
        let count = |zone: &TimeZone| {
            let rules = decide(&all, &BTreeSet::new(), &policy, all[1].created, zone).unwrap();
            rules.iter().filter(|rules| rules.contains(&Rule::Daily)).count()
        };
        assert_eq!((count(&TimeZone::UTC), count(&zone)), (1, 2));
        let twice = candidates(&[at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z")]);
        assert_ne!(Period::Hour.of(twice[0].created, &zone), Period::Hour.of(twice[1].created, &zone));
    }

    #[test]
    fn the_latest_the_newest_whole_and_the_pinned_are_always_kept() {
        let mut all = candidates(&[0, 1, 2, 3, 4]);
        (all[4].is_whole, all[3].is_whole) = (false, false);
        let policy = Policy { last: 1, ..Policy::default() };
        let rules = decide(&all, &BTreeSet::from([Sequence(2)]), &policy, all[4].created, &TimeZone::UTC).unwrap();
        assert_eq!(
            rules,
            [vec![], vec![Rule::Pinned], vec![Rule::Whole], vec![], vec![Rule::Latest, Rule::Last]],
            "what a damaged latest needs is not all that is left"
        );
    }

    #[test]
    fn a_policy_that_keeps_nothing_is_refused() {
        let all = candidates(&[0, 1]);
        let decide = |policy: &Policy, candidates: &[Candidate]| {
            decide(candidates, &BTreeSet::from([Sequence(1)]), policy, all[1].created, &TimeZone::UTC)
        };
        assert_eq!(decide(&Policy::default(), &all), Err(PolicyError::Empty));
        assert_eq!(decide(&Policy { bytes: Some(0), ..Policy::default() }, &all), Err(PolicyError::Empty));
        assert_eq!(decide(&Policy { bytes: Some(9), ..Policy::default() }, &all), Err(PolicyError::KeepsNothing));
        assert_eq!(decide(&Policy { bytes: Some(9), ..Policy::default() }, &[]), Ok(vec![]));
        assert!(decide(&Policy { within: Some(Duration::ZERO), ..Policy::default() }, &all).is_ok());
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_while_costs_no_day() {
        // Ten days; in the middle the clock stood in the past for a while, then in the future.
        let mut times: Vec<i64> = (0..40).map(|i| i * DAY / 4).collect();
        let right = candidates(&times);
        for (at, wrong) in [(10, -600), (11, -599), (12, -598), (25, 5000), (26, 5001), (39, 9000)] {
            times[at] = wrong * DAY;
        }
        let all = candidates(&times);
        for policy in [
            Policy { daily: 5, ..Policy::default() },
            Policy { hourly: 12, weekly: 1, ..Policy::default() },
            Policy { within: Some(Duration::from_secs(5 * 86_400)), ..Policy::default() },
        ] {
            let now = right[39].created;
            let numbers = |all: &[Candidate], now| -> BTreeSet<usize> {
                let rules = decide(all, &BTreeSet::new(), &policy, now, &TimeZone::UTC).unwrap();
                (0..all.len()).filter(|&at| rules[at].iter().any(|rule| rule.is_of_policy())).collect()
            };
            let (right, wrong) = (numbers(&right, now), numbers(&all, now));
            let oldest = right.first().unwrap();
            assert!(wrong.first().unwrap() <= &(oldest + 4), "{policy}: {wrong:?} {right:?}");
            assert!(wrong.len() >= right.len(), "{policy}: {wrong:?} {right:?}");
        }
    }

    #[test]
    fn a_policy_prints_as_options() {
        let policy = Policy {
            last: 3,
            monthly: 12,
            within: Some(Duration::from_secs(36 * 3600)),
            bytes: Some(10 << 30),
            ..Policy::default()
        };
        let text = "--keep-last 3 --keep-monthly 12 --keep-within 1d12h --keep-bytes 10GiB";
        assert_eq!(policy.to_string(), text);
    }

    fn policies() -> impl Strategy<Value = Policy> {
        let count = || 0u64..6;
        let within = proptest::option::of((0..40 * DAY as u64).prop_map(Duration::from_secs));
        (count(), count(), count(), count(), count(), within).prop_map(
            |(last, hourly, daily, weekly, monthly, within)| Policy {
                last,
                hourly,
                daily,
                weekly,
                monthly,
                within,
                ..Policy::default()
            },
        )
    }

    /// Times of which most go forwards.
    fn times() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![8 => 0..2 * DAY, 1 => -30 * DAY..30 * DAY, 1 => Just(0)];
        proptest::collection::vec(step, 1..40).prop_map(|steps| {
            let add = |sum: &mut i64, step: i64| {
                *sum += step;
                Some(*sum)
            };
            steps.into_iter().scan(0, add).collect()
        })
    }

    fn indexes(all: &[Candidate], policy: &Policy, rule: Rule) -> Vec<u64> {
        let now = Timestamp::from_second(BEGIN).unwrap() + SignedDuration::from_hours(24 * 4000);
        let rules = decide(all, &BTreeSet::new(), policy, now, &TimeZone::UTC).unwrap();
        all.iter().zip(rules).filter(|(_, rules)| rules.contains(&rule)).map(|(c, _)| c.sequence.0).collect()
    }

    proptest! {
        #[test]
        fn times_in_order_are_thinned_as_a_naive_walk_does(mut times in times(), policy in policies()) {
            prop_assume!(policy.check().is_ok());
            times.sort();
            let all = candidates(&times);
            for (rule, count, period) in [
                (Rule::Hourly, policy.hourly, Period::Hour),
                (Rule::Daily, policy.daily, Period::Day),
                (Rule::Weekly, policy.weekly, Period::Week),
                (Rule::Monthly, policy.monthly, Period::Month),
            ] {
                let mut last = None;
                let mut expected = Vec::new();
                for candidate in all.iter().rev() {
                    let period = Some(period.of(candidate.created, &TimeZone::UTC));
                    if period != last && (expected.len() as u64) < count {
                        expected.push(candidate.sequence.0);
                    }
                    last = period;
                }
                expected.reverse();
                prop_assert_eq!(indexes(&all, &policy, rule), expected);
            }
            if let Some(within) = policy.within {
                let first = *times.last().unwrap() - within.as_secs() as i64;
                let expected: Vec<u64> = (1..).zip(&times).filter(|&(_, &time)| time >= first).map(|(n, _)| n).collect();
                prop_assert_eq!(indexes(&all, &policy, Rule::Within), expected);
            }
        }

        #[test]
        fn what_is_out_of_order_changes_nothing_for_what_is_in_order(times in times(), policy in policies()) {
            prop_assume!(policy.check().is_ok());
            let all = candidates(&times);
            let in_order = in_order(&all);
            let only: Vec<Candidate> = all.iter().zip(&in_order).filter(|(_, ok)| **ok).map(|(c, _)| *c).collect();
            let is_in = |number: &u64| in_order[*number as usize - 1];
            for rule in [Rule::Hourly, Rule::Daily, Rule::Weekly, Rule::Monthly, Rule::Within] {
                let of_all: Vec<u64> = indexes(&all, &policy, rule).into_iter().filter(is_in).collect();
                prop_assert_eq!(of_all, indexes(&only, &policy, rule));
            }
        }

        #[test]
        fn the_newest_are_kept_by_number_whatever_the_times(times in times(), last in 1u64..50) {
            let policy = Policy { last, ..Policy::default() };
            let count = times.len() as u64;
            let expected: Vec<u64> = (count.saturating_sub(last) + 1..=count).collect();
            prop_assert_eq!(indexes(&candidates(&times), &policy, Rule::Last), expected);
        }

        #[test]
        fn a_larger_policy_keeps_more(times in times(), policy in policies(), more in policies()) {
            prop_assume!(policy.check().is_ok());
            let larger = Policy {
                last: policy.last + more.last,
                hourly: policy.hourly + more.hourly,
                daily: policy.daily + more.daily,
                weekly: policy.weekly + more.weekly,
                monthly: policy.monthly + more.monthly,
                within: policy.within.max(more.within),
                ..policy.clone()
            };
            let all = candidates(&times);
            for rule in [Rule::Last, Rule::Hourly, Rule::Daily, Rule::Weekly, Rule::Monthly, Rule::Within] {
                let larger: BTreeSet<u64> = indexes(&all, &larger, rule).into_iter().collect();
                prop_assert!(indexes(&all, &policy, rule).iter().all(|number| larger.contains(number)));
            }
        }

        #[test]
        fn the_order_is_a_largest_one(times in proptest::collection::vec(0i64..8, 0..9)) {
            let all = candidates(&times);
            let found = in_order(&all);
            let chosen: Vec<i64> = times.iter().zip(&found).filter(|(_, ok)| **ok).map(|(time, _)| *time).collect();
            prop_assert!(chosen.is_sorted());
            let subset = |bits: u32| (0..times.len()).filter(move |at| bits >> at & 1 == 1);
            let sorted = |bits: &u32| subset(*bits).map(|at| times[at]).is_sorted();
            let largest = (0..1u32 << times.len()).filter(sorted).map(u32::count_ones).max();
            prop_assert_eq!(Some(chosen.len() as u32), largest);
        }
    }
}
