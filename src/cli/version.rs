//! What `ckpt --version` prints.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::json::VERSION;
use crate::cli::json_schema::Document;
use crate::cli::ui::Ui;
use crate::format::FORMAT;
use crate::runner::process::exec::protocol::PROTOCOL;

/// The version of the program, what it was built from, and what it reads and writes.
#[derive(Debug, Serialize, JsonSchema)]
struct VersionView {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    ckpt: &'static str,
    /// Null if it was not recorded.
    commit: Option<&'static str>,
    target: &'static str,
    rustc: &'static str,
    features: Vec<&'static str>,
    store_format: u32,
    #[schemars(with = "Vec<u32>")]
    readable_store_formats: [u32; 1],
    program_protocol: u32,
}

impl VersionView {
    fn new() -> VersionView {
        VersionView {
            version: VERSION,
            ckpt: env!("CARGO_PKG_VERSION"),
            commit: Some(env!("CKPT_BUILD_COMMIT")).filter(|commit| !commit.is_empty()),
            target: env!("CKPT_BUILD_TARGET"),
            rustc: env!("CKPT_BUILD_RUSTC"),
            features: env!("CKPT_BUILD_FEATURES").split(',').filter(|name| !name.is_empty()).collect(),
            store_format: FORMAT,
            readable_store_formats: [FORMAT],
            program_protocol: PROTOCOL,
        }
    }
}

/// What it prints with `--json`.
pub(super) const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<VersionView>];

/// Prints the version; if `is_verbose`, with what the program was built from and the formats that it knows.
pub(super) fn print(is_verbose: bool, ui: &mut Ui) -> Result<(), CliError> {
    let view = VersionView::new();
    if ui.is_json() {
        return ui.json(&view);
    }
    ui.out(format!("ckpt {}", view.ckpt))?;
    if !is_verbose {
        return Ok(());
    }
    let features = if view.features.is_empty() { "none".to_owned() } else { view.features.join(", ") };
    let readable = view.readable_store_formats.map(|format| format.to_string()).join(", ");
    ui.out(format!("commit        {}", view.commit.unwrap_or("not recorded")))?;
    ui.out(format!("target        {}", view.target))?;
    ui.out(format!("rustc         {}", view.rustc))?;
    ui.out(format!("features      {features}"))?;
    ui.out(format!("store format  writes {}, reads {readable}", view.store_format))?;
    ui.out(format!("protocol      {}, for programs", view.program_protocol))
}
