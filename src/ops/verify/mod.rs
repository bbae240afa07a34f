//! `ckpt verify`: proves that everything that was committed still exists, in every replica.
//!
//! Every checkpoint's own files are read first: they name the objects that must exist. Then each object is checked
//! once in each replica, however many checkpoints share it. A finding never stops the rest.

mod agreement;
mod bare;
mod chains;
mod check;
mod choice;
mod compare;
mod line_ends;
mod needs;
mod object;
mod object_table;
mod objects;
mod options;
mod places;
mod pruned;
mod read_object;
pub(super) mod records;
mod refused_rows;
mod replicas;
mod report;
mod roots;
mod rows;
mod second_look;
mod segment_rows;
mod strays;

pub use choice::{Choice, ReadTimes, Sample};
pub use options::{Depth, Options};
pub(super) use places::{is_of_store, places};
pub use replicas::{verify, verify_with};
pub use report::Report;
