//! A finding as JSON.

use schemars::JsonSchema;
use serde::Serialize;

use crate::ops::samza::finding::SamzaFinding;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FindingView<'a> {
    code: &'static str,
    severity: &'static str,
    path: &'a str,
    task: Option<&'a str>,
    expected: &'a str,
    found: &'a str,
    next_step: &'static str,
}

impl<'a> From<&'a SamzaFinding> for FindingView<'a> {
    fn from(finding: &'a SamzaFinding) -> FindingView<'a> {
        FindingView {
            code: finding.code.as_str(),
            severity: finding.code.severity().as_str(),
            path: &finding.path,
            task: finding.task.as_deref(),
            expected: &finding.expected,
            found: &finding.found,
            next_step: finding.code.next_step(),
        }
    }
}

/// A file that the system refused to read.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RefusedView<'a> {
    path: &'a str,
    error: &'a str,
}

impl<'a> From<&'a (String, String)> for RefusedView<'a> {
    fn from((path, error): &'a (String, String)) -> RefusedView<'a> {
        RefusedView { path, error }
    }
}
