//! `ckpt restore`: makes an old checkpoint's content the newest one, or writes it to files.

mod error;
mod export;
mod rollback;
mod staging;

pub use error::RestoreError;
pub use export::{ExportFormat, ExportPlan, apply_export, plan_export};
pub use rollback::{Forgotten, PositionChanges, RollbackPlan, Seek, apply_rollback, plan_rollback};
pub use staging::ExportedFile;
