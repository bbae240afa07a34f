//! From the latest checkpoint back to a running job: its state, positions and outputs, and what to do about damage.

pub mod adapt;
pub mod ahead;
pub mod damaged;
pub mod load;
pub mod outputs;
pub mod recover;
pub mod reroute;
pub mod share;
pub mod undecided;
