//! `ckpt restore`: makes an old checkpoint's content the newest one, or writes it to files.

mod error;
mod export;
mod exported_file;
mod rollback;
mod staging;

pub use error::RestoreError;
pub use export::{ExportFormat, ExportPlan, apply_export, plan_export};
pub use exported_file::ExportedFile;
pub use rollback::{RollbackPlan, Seek, apply_rollback, plan_rollback};
