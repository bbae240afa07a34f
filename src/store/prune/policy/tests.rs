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
    (count(), count(), count(), count(), count(), within).prop_map(|(last, hourly, daily, weekly, monthly, within)| {
        Policy { last, hourly, daily, weekly, monthly, within, ..Policy::default() }
    })
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
