//! The soak: real jobs that are struck at random moments, again and again, end as if nothing had happened.
//!
//! A [`story::Story`] is a job with its input, and what else may happen to it. It is run once undisturbed. Then
//! *rounds* follow: each takes a fresh directory and runs the job from beginning to end in several *lives*, all but the
//! last of which end with a blow. The result must equal that of the undisturbed run, byte for byte.
//!
//! Every story is a test of a few rounds. `CKPT_SOAK_SECONDS` makes [`for_as_long_as_is_asked_for`] cycle through all
//! stories for that long, and print figures. `CKPT_SEED` chooses what happens; moments depend on the machine as well,
//! so a seed leads to the same kinds of blows, but not to the same instants.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::data::Random;

mod following;
mod input;
mod life;
mod outcome;
mod round;
mod story;

use life::Figures;
use round::Teller;
use story::Story;

/// The minimum number of blows that strike a job in the short form of its test, over one or several rounds.
const BLOWS: u64 = 4;
/// The maximum number of lives that end with a blow in a round: in the short form, and in the long one.
const SHORT_ROUND: u64 = 6;
const LONG_ROUND: u64 = 16;

/// Returns the number in an environment variable.
pub(in crate::cli::run) fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Returns the seed that is asked for, or a new one.
pub(in crate::cli::run) fn seed() -> u64 {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64 % 1_000_000_000;
    variable("CKPT_SEED").unwrap_or_else(clock)
}

/// Runs a round of `story`, and prints how to repeat it if it fails.
fn round(teller: &Teller, story: &Story, seed: u64, most_blows: u64, figures: &mut Figures) {
    let round = AssertUnwindSafe(|| teller.round(story, seed, most_blows, figures));
    if let Err(panic) = catch_unwind(round) {
        println!("the round failed with this seed: CKPT_SEED={seed} cargo test --test suite soak::{}", story.name);
        resume_unwind(panic);
    }
}

/// Strikes the job of a story a few times.
fn shortly(name: &str) {
    let story = story::all().into_iter().find(|story| story.name == name).expect("a story of this name");
    if !story.can_be_tried() {
        return;
    }
    let seed = seed();
    println!("CKPT_SEED={seed}");
    let teller = Teller::new(&story);
    let mut figures = Figures::default();
    let mut random = Random(seed);
    let mut next = seed;
    while figures.blows() < BLOWS {
        round(&teller, &story, next, SHORT_ROUND, &mut figures);
        next = random.next();
    }
    println!("{name}: {figures}");
}

macro_rules! stories {
    ($($name:ident),* $(,)?) => {
        /// The names of the stories, which are also the names of the tests.
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                shortly(stringify!($name));
            }
        )*
    };
}

stories![
    totals,
    tasks_that_change,
    no_key_and_compressed_csv,
    words_and_state_bytes,
    dead_letters,
    changes_in_json,
    changes_in_csv,
    changes_in_parquet,
    windows,
    windows_at_the_end,
    expiry,
    priority,
    priority_and_changes,
    scheduled,
    replicas,
    pruned,
    rolled_back,
    left_behind,
    standard_input,
    plain_program,
    python,
    following,
    store_in_a_bucket,
    replica_in_a_bucket,
];

#[test]
fn every_story_is_a_test() {
    let names: Vec<&str> = story::all().iter().map(|story| story.name).collect();
    assert_eq!(names, NAMES);
}

/// Cycles through all stories, two at a time, until the time is up.
#[test]
fn for_as_long_as_is_asked_for() {
    let Some(seconds) = variable("CKPT_SOAK_SECONDS") else { return };
    let base = seed();
    println!("CKPT_SEED={base} for {seconds} s");
    let stories: Vec<Story> = story::all().into_iter().filter(Story::can_be_tried).collect();
    let figures: Vec<Mutex<Figures>> = stories.iter().map(|_| Mutex::default()).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let turn = AtomicUsize::new(0);
    let tellers: Vec<Teller> = stories.iter().map(Teller::new).collect();
    let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get().clamp(2, 16));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < end {
                    let turn = turn.fetch_add(1, Ordering::Relaxed);
                    let index = turn % stories.len();
                    let story = &stories[index];
                    let mut own = Figures::default();
                    let seed = Random(base ^ turn as u64).next();
                    let done =
                        catch_unwind(AssertUnwindSafe(|| round(&tellers[index], story, seed, LONG_ROUND, &mut own)));
                    if done.is_err() {
                        failures.lock().expect("unpoisoned").push(format!("{} with CKPT_SEED={seed}", story.name));
                    }
                    figures[index].lock().expect("unpoisoned").add(&own);
                }
            });
        }
    });
    let mut total = Figures::default();
    for (story, figures) in stories.iter().zip(&figures) {
        let figures = figures.lock().expect("unpoisoned");
        println!("{:<26} {figures}", story.name);
        total.add(&figures);
    }
    println!("{:<26} {total}", "all");
    let failures = failures.into_inner().expect("unpoisoned");
    assert!(failures.is_empty(), "{} rounds failed, of {base}: {failures:#?}", failures.len());
}
