//! From the latest checkpoint back to a running job: state, positions, outputs, and what to do about damage.

pub mod adapt;
pub mod damaged;
pub mod outputs;
pub mod recover;
pub mod reroute;
