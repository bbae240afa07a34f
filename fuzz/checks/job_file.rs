//! Job files.

use std::path::Path;

use ckpt::job::JobSpec;
use ckpt::values::yaml;

/// The definition of a parsed job describes the same job; an error has a place in the file.
pub fn check(data: &[u8]) {
    let file = Path::new("job.yaml");
    match JobSpec::from_bytes(data, file) {
        Ok(job) => {
            let definition = job.definition();
            let again = JobSpec::parse(&definition, file).unwrap_or_else(|error| panic!("{error}\n{definition}"));
            assert_eq!(again.definition(), definition);
        }
        Err(error) => {
            let lines = data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 2;
            assert!(error.line >= 1 && error.column >= 1 && error.line <= lines, "{error}");
        }
    }
    if let Ok(text) = yaml::decode(data) {
        // A value that serde accepts survives being written and read.
        if let Ok(value) = yaml::from_str::<serde_json::Value>(text) {
            let written = yaml::to_string(&value);
            assert_eq!(
                yaml::from_str::<serde_json::Value>(&written).unwrap_or_else(|e| panic!("{e}\n{written}")),
                value
            );
        }
    }
}
