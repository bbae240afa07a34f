//! The files that name the contents of a store: manifests, store files, lists of replicas, `SHA256SUMS`, names and
//! paths.

use ckpt::format::layout::{self, ObjectName};
use ckpt::format::manifest::Manifest;
use ckpt::format::replicas_file::ReplicasFile;
use ckpt::format::store_file::StoreFile;
use ckpt::values::relpath::RelPath;

/// A value that was read is written as the same value; a valid path leads only downward.
pub fn check(data: &[u8]) {
    if let Ok(manifest) = Manifest::from_yaml(data) {
        let yaml = manifest.to_yaml();
        assert_eq!(Manifest::from_yaml(yaml.as_bytes()).expect("written"), manifest);
    }
    if let Ok(file) = StoreFile::from_yaml(data) {
        assert_eq!(StoreFile::from_yaml(file.to_yaml().as_bytes()).expect("written"), file);
    }
    if let Ok(file) = ReplicasFile::from_yaml(data) {
        assert!(file.places.len() <= ReplicasFile::MAX_PLACES && file.min_copies <= file.places.len());
        assert_eq!(ReplicasFile::from_yaml(file.to_yaml().as_bytes()).expect("written"), file);
    }
    let last = layout::parse_manifest_sum(data);
    if let Some((objects, manifest)) = layout::parse_sums(data) {
        assert_eq!(last, Some(manifest));
        assert_eq!(layout::sums_text(objects, manifest).as_bytes(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    for line in text.lines().take(20) {
        if let Ok(name) = line.parse::<ObjectName>() {
            assert_eq!(name.to_string(), line);
            assert!(name.path().as_str().starts_with("objects/sha256/"));
        }
        if let Ok(path) = RelPath::new(line) {
            assert!(
                !path.as_str().starts_with('/')
                    && path.as_str().split('/').all(|name| name != ".." && !name.is_empty())
            );
        }
        for number in
            [layout::parse_pin(line).map(|pin| pin.0), layout::parse_event(line), layout::parse_attempts(line)]
        {
            assert!(number.is_none_or(|number| number > 0));
        }
    }
}
