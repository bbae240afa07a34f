//! YAML: documents of untrusted origin, with the line and column of everything in them.
