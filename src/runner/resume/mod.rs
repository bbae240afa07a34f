//! TODO-DOC

