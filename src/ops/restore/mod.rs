//! `ckpt restore`: makes an old checkpoint's content the newest one, or writes it to files.

mod error;
mod export;
mod exported_file;
mod job_output;
#[cfg(feature = "s3")]
mod prefix;
mod rollback;
mod segment_copy;
mod staging;
mod target;

pub use error::RestoreError;
pub use export::{ExportFormat, ExportPlan, apply_export, plan_export};
pub use exported_file::ExportedFile;
pub use rollback::{Forgotten, PositionChanges, RollbackPlan, Seek, apply_rollback, plan_rollback};
