//! Random stories about places that are cut off from each other: a store and two replicas, each of which may continue
//! as if it were alone, until they meet again.
//!
//! For each place, the model knows every checkpoint of its lineage. Two places diverged if they have given one number
//! to different checkpoints. Then nothing is deleted, copied or repaired across the fork, and otherwise the places
//! can always be made equal again. Whatever happens, every place is whole by itself.

mod deeds;
mod places;
mod story;
mod truth;

use places::Places;
use story::{Deed, PLACES, Step, stories};

use crate::model::{Story, tell_all};

fn tell(story: &Story<Step>) {
    let mut places = Places::new();
    let run = Deed::Run { files: 2, keep: 0, grace: false, knows_all: false };
    places.step(Step { reach: 7, deed: run });
    places.step(Step { reach: 7, deed: run });
    for step in &story.0 {
        places.step(*step);
    }
    places.meet();
}

#[test]
fn places_that_went_on_apart_stay_whole_and_meet_again_after_any_story() {
    tell_all(24, 0xa9a7, stories(), tell);
}

#[test]
fn a_copy_lacks_what_was_pruned_when_it_was_made_even_if_that_is_brought_back_elsewhere() {
    let run = |keep| Deed::Run { files: 1, keep, grace: false, knows_all: false };
    tell(&Story(vec![
        Step { reach: 1, deed: run(0) },
        Step { reach: 2, deed: Deed::MoveAway },
        Step { reach: 7, deed: Deed::Prune { keep: 1, grace: true } },
        Step { reach: 1, deed: run(1) },
        Step { reach: 1, deed: Deed::Copy { to: 1 } },
        Step { reach: 5, deed: Deed::Undo },
    ]));
}

#[test]
fn a_run_that_is_refused_may_have_begun_a_store_in_an_empty_place() {
    let run = Deed::Run { files: 1, keep: 1, grace: false, knows_all: false };
    tell(&Story(vec![
        Step { reach: 4, deed: Deed::MoveAway },
        Step { reach: 2, deed: run },
        Step { reach: 6, deed: Deed::LatestGood { files: 0 } },
    ]));
}

#[test]
fn a_run_that_is_refused_may_have_copied_events_of_the_history() {
    let run = Deed::Run { files: 1, keep: 1, grace: true, knows_all: false };
    tell(&Story(vec![
        Step { reach: 7, deed: run },
        Step { reach: 1, deed: Deed::Prune { keep: 1, grace: false } },
        Step { reach: 7, deed: Deed::LatestGood { files: 0 } },
    ]));
}

#[test]
fn a_place_that_got_no_more_than_the_history_does_not_start_over() {
    let run = |reach, files| Step { reach, deed: Deed::Run { files, keep: 0, grace: false, knows_all: false } };
    let cut_short = |change| Deed::Kill { files: 0, change, moment: 1, aftermath: 0 };
    for change in if crate::crash::tries_all() { 0..40 } else { 14..20 } {
        tell(&Story(vec![
            run(1, 1),
            Step { reach: 1, deed: Deed::Restore { which: 51 } },
            Step { reach: 4, deed: Deed::MoveAway },
            Step { reach: 7, deed: Deed::Prune { keep: 1, grace: false } },
            Step { reach: 5, deed: cut_short(change) },
            run(4, 0),
            // Together with one that has checkpoints, it is filled.
            run(5, 1),
            run(4, 1),
        ]));
    }
}

impl Places {
    /// All places meet. If some diverged, one branch is kept, and the others are copied to stores of their own. A run
    /// resumes from each checkpoint that is left, and from each that was copied.
    fn meet(&mut self) {
        let run = Deed::Run { files: 1, keep: 0, grace: false, knows_all: true };
        let all: Vec<usize> = (0..PLACES).collect();
        while let Some(&(_, other)) = self.truth.forks(&self.stores(&all)).first() {
            self.step(Step { reach: 7, deed: run });
            self.keep_a_copy(other);
            self.step(Step { reach: 1 << other, deed: Deed::MoveAway });
        }
        self.step(Step { reach: 7, deed: run });
        let newest: Vec<_> = self.truth.lineages.iter().map(|lineage| lineage.last_key_value()).collect();
        assert!(newest.iter().all(|other| *other == newest[0]), "the places are not equal: {newest:?}");
        self.resume_from_each(&self.open(&all));
    }
}
