//! Records that come after all their windows were closed.
