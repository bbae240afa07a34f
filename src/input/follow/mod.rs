//! Input that is followed: files that grow, rotate and appear while they are read.
//!
//! During a run a file is identified by its inode, whatever its name becomes, and after a restart by its fingerprint.
//! The files that have had one name, one after another, are the *generations* of one partition: `app.log`, which was
//! renamed to `app.log.1`, and the new `app.log`. Older generations are read before newer ones. Blocks are numbered as
//! they arrive. A file that was never seen under the name of its partition is a generation only if a number or a date
//! follows that name, and if it is younger than what is known of the partition. Files that were compressed before they
//! were read are read in the compressed files.

mod archive;
mod content;
mod directory;
mod file_id;
mod files;
mod followed;
mod new_files;
mod proof;
mod reader;
mod replaced;
mod resume;
mod rotations;
mod scan;
mod search;
mod tail;

pub use reader::FollowReader;
