//! The director: it accounts for blocks in their order, decides when a checkpoint is due, and ends the run.

mod accounts;
mod checkpoints;
pub mod direct;
mod finish;
mod status;
mod triggers;
mod turns;
