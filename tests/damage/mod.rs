//! Damage: what `verify` finds, what can be healed, and what every other command makes of it.

mod answers;
mod flips;
mod forged;
mod scene;
mod table;
