//! Several workers commit to one store, without a broker: the commits are the real ones, the storage is simulated, and the
//! records are made up.
//!
//! Whatever partitions each of them has, and however the calls of the workers interleave, each checkpoint has of each partition a
//! state and an offset that a worker had at one cut; no partition goes back; no record counts twice or is lost; and a
//! worker whose partition was taken never changes it again.
//!
//! By default each test tries a sample, chosen by `CKPT_SEED`; `CKPT_FAULTS=all` tries everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ckpt::storage::Storage;
use ckpt::values::id::Sequence;
use jiff::Timestamp;

use crate::crash::sampled;
use crate::support::random::{Random, seed};
use crate::support::turns::{ALL, Fate, Outage, Process};
use crate::support::writers;

mod check;
mod files;
mod worker;

use check::{Chain, Place};
use worker::{Log, Outcome, Records, Term};

/// How many plays a test tries by default.
const SAMPLE: usize = 2;

/// How often a worker tries to start, or to commit, when it fails.
const TRIES: u32 = 4;

/// What a worker does: it has these partitions, and makes this many checkpoints of them; then it has others.
type Terms = &'static [(&'static [u32], u32)];

/// A participant in a scenario.
#[derive(Debug, Clone, Copy)]
enum Actor {
    Worker(&'static str, Terms),
    /// Prunes all but the newest two, with this grace period.
    Prune(Duration),
    /// Commits the checkpoint with this number again.
    RollBack(u64),
}

/// What happens, in order. In the end everybody does the rest, one after another.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// This actor makes that many calls.
    Run(usize, u64),
    /// It dies where it is.
    Kill(usize),
}

use Actor::{Prune, RollBack, Worker};
use Step::{Kill, Run};

/// Does what `terms` say, and starts again when another worker has a task. Gives up if the storage does not answer. What it
/// has in memory at the end of a term, it uses in the next one.
fn work(place: &Arc<dyn Storage>, name: &str, terms: Terms, log: &Arc<Log>) {
    let Ok(new) = log.new_batch(place) else { return };
    let kept = Arc::default();
    for &(share, commits) in terms {
        let (mut left, mut tries) = (commits, TRIES);
        while left > 0 {
            let mut term = match Term::start(Arc::clone(place), name, Some((share, &kept)), new.as_ref(), log) {
                Ok(term) => term,
                Err(error) => {
                    log.failures.lock().expect("no panic").push(error);
                    if tries == 1 {
                        return;
                    }
                    tries -= 1;
                    continue;
                }
            };
            while left > 0 {
                match term.commit() {
                    Outcome::Committed => left -= 1,
                    Outcome::Complete => return,
                    Outcome::Rival => break,
                    Outcome::Failed if tries > 1 => tries -= 1,
                    Outcome::Failed => return,
                }
            }
        }
    }
}

fn act(actor: Actor, place: Arc<dyn Storage>, log: &Arc<Log>) {
    let now = Timestamp::from_second(1_796_000_000).expect("a time");
    let process = writers::Process { places: vec![Arc::clone(&place)], holder: "another", now };
    match actor {
        Worker(name, terms) => work(&place, name, terms, log),
        // They may be refused.
        Prune(grace) => drop(process.prune(grace)),
        RollBack(to) => drop(process.roll_back(Sequence(to))),
    }
}

/// A scenario: its participants, what they do, and which of their calls get no answer.
#[derive(Debug, Clone)]
struct Play {
    actors: Vec<Actor>,
    steps: Vec<Step>,
    outage: Option<(usize, Outage)>,
    records: Records,
    /// Whether the workers publish files.
    publishes: bool,
    /// Whether they read batches.
    in_batches: bool,
    /// Whether no worker may fail to start or to commit.
    none_fails: bool,
}

impl Play {
    fn of(actors: &[Actor], steps: &[Step]) -> Play {
        Play {
            actors: actors.to_vec(),
            steps: steps.to_vec(),
            outage: None,
            records: Records::Counting,
            publishes: false,
            in_batches: false,
            none_fails: false,
        }
    }

    /// Returns the same with files that the workers publish.
    fn publishing(self) -> Play {
        Play { publishes: true, ..self }
    }

    /// Returns the same with workers that read batches.
    fn in_batches(self) -> Play {
        Play { in_batches: true, ..self }
    }

    /// Performs it, and checks the store.
    fn perform(&self, before: &Place) -> Performed {
        let context = format!("{self:?}");
        let mut log = Log::new(self.records, self.publishes);
        log.asked = self.in_batches.then(AtomicU64::default);
        let log = Arc::new(log);
        let place = before.copied();
        let start = |(number, &actor): (usize, &Actor)| {
            let outage = self.outage.clone().filter(|(of, _)| *of == number).map(|(_, outage)| outage);
            let log = Arc::clone(&log);
            Process::start(place.open(), outage, move |place| act(actor, place, &log))
        };
        let (processes, threads): (Vec<_>, Vec<_>) = self.actors.iter().enumerate().map(start).unzip();
        let mut chain = Chain::default();
        let run = |number: usize, calls: u64| {
            processes[number].run(calls);
            for (other, process) in processes.iter().enumerate() {
                if other != number {
                    process.deliver();
                }
            }
        };
        for &step in &self.steps {
            match step {
                Run(number, calls) => run(number, calls),
                Kill(number) => processes[number].kill(),
            }
            chain.look(&place, &log, &context);
        }
        for _ in 0..100 {
            for number in (0..processes.len()).filter(|&number| !processes[number].has_ended()) {
                run(number, ALL);
            }
        }
        assert!(processes.iter().all(Process::has_ended), "{context}: they wait for each other");
        for thread in threads {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        processes.iter().for_each(Process::deliver);
        chain.look(&place, &log, &context);
        let completed = chain.completed();
        check::continue_alone(&place, &log, &mut chain, &context);
        if self.none_fails {
            let failed = log.failures.lock().expect("no panic");
            assert!(failed.is_empty(), "{context}: {failed:?}");
        }
        let calls = processes.iter().map(Process::calls).collect();
        let (rivals, kept) = (log.rivals.load(Ordering::SeqCst), log.kept.load(Ordering::SeqCst));
        Performed { calls, rivals, kept, completed }
    }
}

/// What has happened in a play.
struct Performed {
    /// How many calls each actor made.
    calls: Vec<u64>,
    /// How many commits found a rival.
    rivals: i64,
    /// How many partitions were not loaded at a start, because the worker had them in memory.
    kept: u64,
    /// How many batches were completed before a run alone continued.
    completed: usize,
}

/// Performs `play` for each pair of a call of the first and a call of the second actor: the first one sleeps before its call
/// while the second one works up to its own; then the first one does the rest, and the second one.
fn interleave(name: &str, actors: &[Actor], records: Records, random: &mut Random) {
    for before in Place::both(records) {
        let all = Play { records, ..Play::of(actors, &[]) };
        let calls = all.perform(&before).calls;
        let pairs: Vec<(u64, u64)> =
            (0..=calls[0]).flat_map(|first| (0..=calls[1]).map(move |second| (first, second))).collect();
        let tried = sampled(pairs.len() as u64, SAMPLE, random);
        let mut rivals = 0;
        for &at in &tried {
            let (first, second) = pairs[usize::try_from(at).expect("few")];
            let steps = vec![Run(0, first), Run(1, second), Run(0, ALL), Run(1, ALL)];
            rivals += Play { steps, ..all.clone() }.perform(&before).rivals;
        }
        println!("{name}, {before}: {} of {} interleavings, {rivals} rivals", tried.len(), pairs.len());
    }
}

const APART: [Actor; 2] = [Worker("a", &[(&[0, 1], 2)]), Worker("b", &[(&[2, 3], 2)])];

#[test]
fn workers_with_partitions_of_their_own_lose_nothing_and_never_disturb_each_other() {
    let mut random = Random(seed(0x0960));
    for before in Place::both(Records::Counting) {
        assert_eq!(Play::of(&APART, &[]).perform(&before).rivals, 0);
    }
    interleave("apart", &APART, Records::Counting, &mut random);
}

/// Performs plays, a sample of them or all, in both kinds of places.
fn perform_all(name: &str, sample: usize, records: Records, random: &mut Random, plays: impl Fn(&Place) -> Vec<Play>) {
    for before in Place::both(records) {
        let plays = plays(&before);
        let tried = sampled(plays.len() as u64, sample, random);
        let rivals: i64 =
            tried.iter().map(|&at| plays[usize::try_from(at).expect("few")].perform(&before).rivals).sum();
        println!("{name}, {before}: {} of {} plays, {rivals} rivals", tried.len(), plays.len());
    }
}

/// Returns how many calls each of `actors` makes if nobody disturbs it.
fn calls_of(actors: &[Actor], before: &Place) -> Vec<u64> {
    Play::of(actors, &[]).perform(before).calls
}

const MOVED: [Actor; 2] = [Worker("a", &[(&[0, 1], 1), (&[0], 1)]), Worker("b", &[(&[2, 3], 1), (&[1, 2, 3], 1)])];

#[test]
fn a_partition_that_moves_is_committed_by_one_worker_after_the_other() {
    interleave("moved", &MOVED, Records::Counting, &mut Random(seed(0x0961)));
}

#[test]
fn a_worker_loads_only_the_partitions_that_it_does_not_have_in_memory() {
    for before in Place::both(Records::Counting) {
        // The first one keeps 0, the second one 2 and 3.
        assert_eq!(Play::of(&MOVED, &[]).perform(&before).kept, 3);
    }
}

const FOUGHT_OVER: [Actor; 2] = [Worker("a", &[(&[0, 1, 2, 3], 2)]), Worker("b", &[(&[0, 1, 2, 3], 2)])];

#[test]
fn of_two_workers_that_both_believe_to_have_all_partitions_one_wins_at_a_time() {
    interleave("fought over", &FOUGHT_OVER, Records::Counting, &mut Random(seed(0x0962)));
}

#[test]
fn deltas_that_repeat_byte_for_byte_are_committed_as_others_are() {
    let longer = [Worker("a", &[(&[0, 1], 4)]), Worker("b", &[(&[2, 3], 4)])];
    perform_all("repeating", SAMPLE, Records::Toggling, &mut Random(seed(0x0963)), |before| {
        let all = Play { records: Records::Toggling, ..Play::of(&longer, &[]) };
        let calls = all.perform(before).calls[0];
        let stopped = |at| Play { steps: vec![Run(0, at), Run(1, ALL), Run(0, ALL)], ..all.clone() };
        (0..calls).map(stopped).collect()
    });
}

#[test]
fn a_worker_that_sleeps_while_others_take_its_partitions_and_prune_changes_none_of_them() {
    let prune = |grace| [Worker("a", &[(&[0, 1], 2)]), Worker("b", &[(&[1, 2, 3], 3)]), Prune(grace)];
    perform_all("asleep", 2 * SAMPLE, Records::Counting, &mut Random(seed(0x0964)), |before| {
        let calls = calls_of(&prune(Duration::ZERO), before)[0];
        let mut plays = Vec::new();
        for at in 0..calls {
            for grace in [Duration::ZERO, Duration::from_secs(86_400)] {
                let steps = [Run(0, at), Run(1, ALL), Run(2, ALL), Run(0, ALL)];
                plays.push(Play { none_fails: true, ..Play::of(&prune(grace), &steps) });
            }
        }
        plays
    });
}

#[test]
fn a_worker_whose_checkpoint_is_pruned_while_it_is_loaded_loads_the_next_one() {
    let actors = [Worker("a", &[(&[0, 1], 1)]), Worker("b", &[(&[2, 3], 3)]), Prune(Duration::ZERO)];
    perform_all("loading", 2 * SAMPLE, Records::Counting, &mut Random(seed(0x0968)), |before| {
        let calls = calls_of(&actors, before)[0];
        let pruned = |at| Play::of(&actors, &[Run(0, at), Run(1, ALL), Run(2, ALL), Run(0, ALL)]);
        (0..calls).map(|at| Play { none_fails: true, ..pruned(at) }).collect()
    });
}

#[test]
fn a_number_that_was_used_and_pruned_while_a_worker_slept_before_its_commit_is_not_used_again() {
    let actors = [Worker("a", &[(&[0, 1], 1)]), Worker("b", &[(&[1, 2, 3], 3)]), Prune(Duration::from_secs(86_400))];
    for before in Place::both(Records::Counting) {
        let calls = calls_of(&actors, &before)[0];
        // The commit is one of the last calls.
        for at in calls.saturating_sub(10)..calls {
            Play::of(&actors, &[Run(0, at), Run(1, ALL), Run(2, ALL), Run(0, ALL)]).perform(&before);
        }
    }
}

#[test]
fn a_prune_beside_a_worker_deletes_nothing_that_it_is_about_to_commit() {
    let actors = [Worker("a", &[(&[0, 1, 2, 3], 2)]), Prune(Duration::ZERO), Worker("b", &[(&[3], 1)])];
    perform_all("prune", 2 * SAMPLE, Records::Counting, &mut Random(seed(0x0965)), |before| {
        let calls = calls_of(&actors, before);
        let mut plays = Vec::new();
        for (prune, worker) in (0..calls[1]).flat_map(|prune| (0..calls[0]).map(move |worker| (prune, worker))) {
            plays.push(Play::of(&actors, &[Run(1, prune), Run(0, worker), Run(2, ALL), Run(1, ALL), Run(0, ALL)]));
        }
        plays
    });
}

#[test]
fn another_worker_continues_wherever_one_has_died() {
    let actors = [Worker("a", &[(&[0, 1], 2)]), Worker("b", &[(&[2, 3], 2)]), Worker("a", &[(&[0, 1, 2, 3], 1)])];
    perform_all("death", 2 * SAMPLE, Records::Counting, &mut Random(seed(0x0966)), |before| {
        let calls = calls_of(&actors[..2], before);
        let mut plays = Vec::new();
        for (first, second) in (0..calls[0]).flat_map(|a| (0..calls[1]).map(move |b| (a, b))) {
            plays.push(Play::of(&actors, &[Run(0, first), Run(1, second), Kill(0), Run(2, ALL), Run(1, ALL)]));
        }
        plays
    });
}

#[test]
fn calls_without_an_answer_lose_nothing() {
    let actors = [Worker("a", &[(&[0, 1], 3)]), Worker("b", &[(&[1, 2, 3], 1)])];
    perform_all("unanswered", 4 * SAMPLE, Records::Counting, &mut Random(seed(0x0967)), |before| {
        let calls = calls_of(&actors, before)[0];
        let mut plays = Vec::new();
        for at in 0..calls {
            for fate in [Fate::Lost, Fate::Unanswered, Fate::Late] {
                // On a file system nothing arrives late.
                if fate == Fate::Late && matches!(before, Place::Directory(_)) {
                    continue;
                }
                for length in [1, 2, 5, 12] {
                    let outage = Some((0, Outage { calls: at..at + length, fate }));
                    for turn in [at, at + 1, at + length, at + length + 8] {
                        let steps = vec![Run(0, turn), Run(1, ALL), Run(0, ALL)];
                        plays.push(Play { outage: outage.clone(), steps, ..Play::of(&actors, &[]) });
                    }
                }
            }
        }
        plays
    });
}

#[test]
fn a_restore_beside_workers_in_a_bucket_is_what_they_continue_from() {
    let actors = [Worker("a", &[(&[0, 1], 2)]), Worker("b", &[(&[2, 3], 1)]), RollBack(1)];
    perform_all("restore", 2 * SAMPLE, Records::Counting, &mut Random(seed(0x0968)), |before| {
        let calls = calls_of(&actors, before);
        let mut plays = Vec::new();
        for (worker, restore) in (0..calls[0]).flat_map(|a| (0..calls[2]).map(move |b| (a, b))) {
            plays.push(Play::of(&actors, &[Run(0, worker), Run(2, restore), Run(1, ALL), Run(0, ALL), Run(2, ALL)]));
        }
        plays
    });
}

#[test]
fn three_workers_that_take_turns_at_random_lose_nothing() {
    let actors = [
        Worker("a", &[(&[0, 1], 2), (&[0], 1)]),
        Worker("b", &[(&[1, 2], 2), (&[1, 2, 3], 1)]),
        Worker("c", &[(&[3, 0], 2), (&[3], 1)]),
        Prune(Duration::ZERO),
    ];
    let cases = if crate::crash::tries_all() { 2000 } else { SAMPLE };
    let mut random = Random(seed(0x0969));
    for before in Place::both(Records::Counting) {
        let mut rivals = 0;
        for _ in 0..cases {
            let mut steps: Vec<Step> = (0..12).map(|_| Run(random.below(4) as usize, 1 + random.below(40))).collect();
            if random.below(3) == 0 {
                steps.push(Kill(random.below(3) as usize));
            }
            rivals += Play::of(&actors, &steps).perform(&before).rivals;
        }
        println!("three, {before}: {cases} plays, {rivals} rivals");
    }
}

/// Returns a play for each pair of calls of the first two of `actors`: the first one sleeps, or dies if it is `killed`, before its
/// call; the second one does so before its own; the others do all; and then each does the rest.
fn publishing_plays(actors: &[Actor], before: &Place, killed: bool) -> Vec<Play> {
    let calls = Play::of(actors, &[]).publishing().perform(before).calls;
    let mut plays = Vec::new();
    for (first, second) in (0..calls[0]).flat_map(|a| (0..calls[1]).map(move |b| (a, b))) {
        let mut steps = vec![Run(0, first), Run(1, second)];
        steps.extend(killed.then_some(Kill(0)));
        steps.extend((2..actors.len()).map(|other| Run(other, ALL)));
        steps.extend([Run(1, ALL), Run(0, ALL)]);
        plays.push(Play::of(actors, &steps).publishing());
    }
    plays
}

#[test]
fn the_files_of_a_worker_that_sleeps_or_dies_are_published_once_by_others() {
    let actors = [Worker("a", &[(&[0, 1], 2)]), Worker("b", &[(&[1, 2], 2)]), Worker("c", &[(&[0, 1, 2, 3], 1)])];
    for killed in [false, true] {
        perform_all("files", 4 * SAMPLE, Records::Counting, &mut Random(seed(0x0970)), |before| {
            publishing_plays(&actors, before, killed)
        });
    }
}

/// The calls of a worker that makes one checkpoint around its commit, and after that.
const LAST_CALLS: u64 = 14;

#[test]
fn what_a_worker_has_committed_when_it_dies_is_published_before_the_next_checkpoint() {
    let actors = [Worker("a", &[(&[0, 1], 1)]), Worker("b", &[(&[2, 3], 2)])];
    for before in Place::both(Records::Counting) {
        let calls = calls_of(&actors, &before);
        for at in calls[0].saturating_sub(LAST_CALLS)..calls[0] {
            // The other one has begun before: otherwise it would publish the file when it starts.
            let steps = [Run(1, calls[1] / 2), Run(0, at), Kill(0), Run(1, ALL)];
            Play::of(&actors, &steps).publishing().perform(&before);
        }
    }
}

#[test]
fn a_worker_whose_partitions_a_restore_left_as_they_are_withdraws_the_files_of_others() {
    let actors = [Worker("a", &[(&[0, 1], 1)]), Worker("b", &[(&[2, 3], 1)]), RollBack(3)];
    for before in Place::both(Records::Counting) {
        let calls = calls_of(&actors, &before)[0];
        for at in calls.saturating_sub(LAST_CALLS)..calls {
            let steps = [Run(0, at), Run(1, ALL), Run(2, ALL), Run(0, ALL)];
            Play::of(&actors, &steps).publishing().perform(&before);
        }
    }
}

#[test]
fn files_are_those_of_the_history_after_a_restore_beside_workers_in_a_bucket() {
    let actors = [Worker("a", &[(&[0, 1], 2)]), RollBack(1), Worker("b", &[(&[2, 3], 2)])];
    perform_all("restored files", 4 * SAMPLE, Records::Counting, &mut Random(seed(0x0971)), |before| {
        publishing_plays(&actors, before, false)
    });
}

#[test]
fn files_of_commits_without_an_answer_are_published_if_they_happened() {
    let actors = [Worker("a", &[(&[0, 1], 3)]), Worker("b", &[(&[1, 2, 3], 1)])];
    perform_all("unanswered files", 4 * SAMPLE, Records::Counting, &mut Random(seed(0x0972)), |before| {
        let calls = Play::of(&actors, &[]).publishing().perform(before).calls[0];
        let mut plays = Vec::new();
        for (at, fate) in (0..calls).flat_map(|at| [Fate::Lost, Fate::Unanswered, Fate::Late].map(|fate| (at, fate))) {
            if fate == Fate::Late && matches!(before, Place::Directory(_)) {
                continue;
            }
            for (length, turn) in [(1, at + 1), (2, at + 2), (5, at + 1), (5, at + 5)] {
                let outage = Some((0, Outage { calls: at..at + length, fate }));
                let steps = [Run(0, turn), Run(1, ALL), Run(0, ALL)];
                plays.push(Play { outage, ..Play::of(&actors, &steps).publishing() });
            }
        }
        plays
    });
}

const READERS: [Actor; 3] =
    [Worker("a", &[(&[0, 1], 5)]), Worker("b", &[(&[2, 3], 5)]), Worker("c", &[(&[0, 1, 2, 3], 8)])];

#[test]
fn workers_of_a_batch_read_to_the_ends_that_one_of_them_has_committed() {
    for before in Place::both(Records::Counting) {
        // The first two complete the batch of the first one, and the third one begins the next.
        let one_by_one = [Run(0, ALL), Run(1, ALL), Run(2, ALL)];
        assert_eq!(Play::of(&READERS, &one_by_one).in_batches().perform(&before).completed, 2);
    }
    perform_all("batches", 4 * SAMPLE, Records::Counting, &mut Random(seed(0x0973)), |before| {
        let calls = Play::of(&READERS, &[]).in_batches().perform(before).calls;
        let mut plays = Vec::new();
        for (first, second) in (0..calls[0]).flat_map(|a| (0..calls[1]).map(move |b| (a, b))) {
            for killed in [false, true] {
                let mut steps = vec![Run(0, first), Run(1, second)];
                steps.extend(killed.then_some(Kill(0)));
                steps.extend([Run(2, ALL), Run(1, ALL), Run(0, ALL)]);
                plays.push(Play::of(&READERS, &steps).in_batches());
            }
        }
        plays
    });
}

#[test]
fn workers_of_batches_that_take_turns_at_random_cut_all_partitions_at_one_place() {
    let actors = [READERS[0], READERS[1], READERS[2], RollBack(3)];
    let cases = if crate::crash::tries_all() { 2000 } else { 4 * SAMPLE };
    let mut random = Random(seed(0x0974));
    for before in Place::both(Records::Counting) {
        let (mut rivals, mut completed) = (0, 0);
        for _ in 0..cases {
            let mut steps: Vec<Step> = (0..12).map(|_| Run(random.below(3) as usize, 1 + random.below(60))).collect();
            match random.below(3) {
                0 => steps.push(Kill(random.below(2) as usize)),
                1 => steps.insert(random.below(12) as usize, Run(3, ALL)),
                _ => {}
            }
            let performed = Play::of(&actors, &steps).in_batches().perform(&before);
            (rivals, completed) = (rivals + performed.rivals, completed + performed.completed);
        }
        assert!(completed > 0, "{before}: no batch was completed");
        println!("batches at random, {before}: {cases} plays, {rivals} rivals, {completed} batches");
    }
}
