//! The command line: arguments, words, tables, JSON, progress and exit codes.
