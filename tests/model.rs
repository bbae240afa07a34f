//! Random stories about a store, compared with a model that keeps full copies of everything.
//!
//! A story is a list of steps: runs of a real job, runs that die at some change to their storage, damage, verification,
//! repair, prunes and their undoing, pins, copies, restores and seeks, on a store with two replicas on simulated disks.
//! For every checkpoint, the model knows the whole state and how far each input was applied, in plain maps. After each
//! step the store must match the model. A story that fails is shortened and printed.
//!
//! `CKPT_MODEL_CASES` or `PROPTEST_CASES` sets the number of stories, 64 by default; `CKPT_SEED` chooses them.

use std::fmt;

use ckpt::format::layout;
use ckpt::values::id::Sequence;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::support::random::{seed, variable};

mod apart;
mod oracle;
mod steps;
mod story;
mod world;

use story::{Step, stories};
use world::World;

/// A list of steps, printed as a story.
#[derive(Clone)]
struct Story<S>(Vec<S>);

impl<S: fmt::Debug> fmt::Debug for Story<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            write!(f, "\n  {}. {step:?}", number + 1)?;
        }
        Ok(())
    }
}

/// Tells `cases` of `stories`, unless the environment sets their number, and panics with the shortest that fails.
fn tell_all<S: fmt::Debug + Clone>(
    cases: u32,
    otherwise: u64,
    stories: impl Strategy<Value = Story<S>>,
    tell: impl Fn(&Story<S>),
) {
    let cases = variable("CKPT_MODEL_CASES").or(variable("PROPTEST_CASES")).map_or(cases, |cases| cases as u32);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 600, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed(otherwise).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&stories, |story| {
        tell(&story);
        Ok(())
    });
    match outcome {
        Ok(()) => println!("{cases} stories"),
        Err(TestError::Fail(reason, story)) => panic!("{reason}\nthe shortest story:{story:?}"),
        Err(error) => panic!("{error}"),
    }
}

fn tell(story: &Story<Step>) {
    let mut world = World::new();
    for step in &story.0 {
        world.step(*step);
    }
    // Whatever happened, only what was damaged is damaged, and the job continues to its end.
    world.step(Step::Verify);
    world.step(Step::Repair);
    world.step(Step::Run { files: 1 });
    world.step(Step::Verify);
    world.resume_from_each();
}

#[test]
fn the_store_is_what_a_model_with_full_copies_says_after_any_story() {
    tell_all(64, 0x5eed, stories(), tell);
}

#[test]
fn operations_right_after_a_dead_run_find_unequal_replicas_and_leave_them_whole() {
    for change in (0..60).step_by(if crate::crash::tries_all() { 1 } else { 7 }) {
        for next in [Step::Restore { which: 0 }, Step::Prune { keep: 1 }, Step::Copy, Step::Pin { which: 200 }] {
            let die = Step::Kill { files: 3, change, moment: 2, aftermath: 0 };
            tell(&Story(vec![Step::Run { files: 2 }, die, next, Step::Verify]));
        }
    }
}

#[test]
fn a_file_that_a_crash_kept_from_being_published_is_part_of_the_history_again_after_two_rollbacks() {
    for change in if crate::crash::tries_all() { 20..60 } else { 28..34 } {
        let die = |files, change| Step::Kill { files, change, moment: 0, aftermath: 0 };
        tell(&Story(vec![
            Step::Run { files: 2 },
            Step::Run { files: 2 },
            die(2, change),
            Step::Restore { which: 144 },
            die(1, 6),
            Step::Seek { which: 238, input: 0, record: 0 },
        ]));
    }
}

#[test]
fn a_prune_after_a_rollback_leaves_the_next_run_what_it_needs_for_its_output() {
    let run = |files| Step::Run { files };
    let seek = |which, input, record| Step::Seek { which, input, record };
    // What was withdrawn after the first rollback belongs to the history again after the second one.
    tell(&Story(vec![
        run(3),
        run(3),
        seek(13, 176, 45),
        Step::Kill { files: 3, change: 27, moment: 1, aftermath: 0 },
        Step::Restore { which: 242 },
        Step::Prune { keep: 1 },
        run(2),
    ]));
    // No run came between two rollbacks.
    tell(&Story(vec![
        run(2),
        run(2),
        Step::Restore { which: 78 },
        run(0),
        seek(189, 219, 241),
        Step::Prune { keep: 2 },
        seek(41, 230, 116),
        Step::Prune { keep: 1 },
        run(3),
    ]));
}

#[test]
fn a_restore_makes_replicas_equal_that_a_dead_run_left_unequal() {
    let mut world = World::new();
    world.step(Step::Run { files: 3 });
    world.step(Step::Run { files: 1 });
    let latest = layout::checkpoint_dir(Sequence(world.known_newest())).to_string();
    for path in [format!("{latest}/manifest.yaml"), format!("{latest}/SHA256SUMS"), latest] {
        world.disks[1].damage(&path, None);
    }
    world.step(Step::Restore { which: 0 });
    world.step(Step::Verify);
}

#[test]
fn two_damaged_files_of_a_replica_are_healed_whichever_they_are() {
    let mut world = World::new();
    world.step(Step::Checkpoint { files: 0 });
    world.step(Step::Kill { files: 1, change: 45, moment: 2, aftermath: 2 });
    world.step(Step::Restore { which: 166 });
    // One of them may hide what is wrong with the other one: without its index, a checkpoint has nothing to compare with.
    for (first, second) in (0..20).flat_map(|first| (0..20).map(move |second| (first, second))) {
        for (first_goes, second_goes) in [(false, true), (false, false), (true, true)] {
            world.damage(1, first, first_goes);
            world.damage(1, second, second_goes);
            world.repair();
        }
    }
}

#[test]
fn a_manifest_with_another_number_in_it_is_healed_and_nothing_is_hopeless() {
    let mut world = World::new();
    world.step(Step::Run { files: 2 });
    let path = layout::manifest(Sequence(world.known_newest())).to_string();
    let whole = world.disks[1].files()[&path].clone();
    let digits: Vec<usize> = (0..whole.len()).filter(|&at| whole[at].is_ascii_digit()).collect();
    for &digit in digits.iter().rev().step_by(if crate::crash::tries_all() { 1 } else { 4 }) {
        let mut bytes = whole.clone();
        bytes[digit] ^= 1;
        world.disks[1].damage(&path, Some(&bytes));
        world.repair();
        assert_eq!(world.disks[1].files()[&path], whole);
    }
}

#[test]
fn a_manifest_that_names_another_object_is_healed_and_its_child_is_not_blamed() {
    let mut world = World::new();
    world.step(Step::Run { files: 2 });
    world.step(Step::Run { files: 1 });
    let path = layout::manifest(Sequence(world.known_newest() - 1)).to_string();
    let whole = world.disks[1].files()[&path].clone();
    let text = String::from_utf8(whole.clone()).expect("text");
    let names: Vec<usize> = text.match_indices("object: ").map(|(at, _)| at + "object: ".len()).collect();
    assert!(names.len() >= 3, "{text}");
    for at in names {
        let mut bytes = whole.clone();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        world.disks[1].damage(&path, Some(&bytes));
        world.repair();
        assert_eq!(world.disks[1].files()[&path], whole);
    }
}
