//! The run: reads the input in its one order, applies it to keyed state, and checkpoints both together.
//!
//! Each room knows only the rooms below it:
//!
//! ```text
//!            check, import            what a run would do; a first checkpoint of state from elsewhere
//!                  |
//!               pipeline              the threads of a run, from start to end
//!              /        \
//!         resume      checkpoint      from a checkpoint to memory, and back to disk
//!              \        /
//!               messages              what the threads and rooms tell each other: messages, observer,
//!                  |                  lineage, resumable, options, error
//!                output               published files and dead letters
//!                  |
//!               process               aggregates, windows and programs
//!                  |
//!                state                shards and their rows
//! ```
//!
//! Below all of them are small files: rejected records, tickets, encoder slots, and how storages are opened.

pub mod bad_reasons;
pub mod check;
pub mod check_names;
pub mod checkpoint;
pub mod encoder_slots;
pub mod error;
pub mod import;
pub mod job_draft;
pub mod lineage;
pub mod messages;
pub mod observer;
pub mod options;
pub mod output;
pub mod pipeline;
pub mod process;
pub mod rejected;
pub mod resumable;
pub mod resume;
pub mod state;
pub mod storage_opener;
pub mod survey;
pub mod ticket;
pub mod wall_clock;

pub use pipeline::restart::run;
