//! Sizes, durations and times as people write them.
