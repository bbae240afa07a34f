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
