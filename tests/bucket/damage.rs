//! Damage to a store in a bucket on a real server: a sample of what `tests/damage/` does in memory.

use super::path;
use super::scene::Scene;

#[test]
fn a_bit_that_is_flipped_in_any_object_of_a_bucket_is_found_and_healed() {
    let Some(scene) = Scene::new("{store: '$BUCKET', replicas: [local]}") else { return };
    let storage = scene.storage();
    let mut names = Vec::new();
    storage.list_deep(None, &mut |entry| names.push(entry.name)).expect("listed");
    names.retain(|name| name.starts_with("objects/") || name.starts_with("checkpoints/"));
    assert!(names.len() > 8, "{names:?}");
    for (number, name) in names.iter().enumerate() {
        let original = storage.get(&path(name), 1 << 20).expect("read");
        let mut flipped = original.to_vec();
        let at = number * 7_919 % flipped.len();
        flipped[at] ^= 1 << (number % 8);
        storage.replace(&path(name), &flipped).expect("written");
        scene.run(&["verify", "$BUCKET"]).expect(1);
        scene.run(&["verify", "--repair", "$BUCKET"]).expect(0);
        assert_eq!(storage.get(&path(name), 1 << 20).expect("read"), original, "{name}");
    }
    scene.has_state("$BUCKET", 6);
}

#[test]
fn the_newest_manifest_is_missed_where_only_its_checksum_list_is_left() {
    let Some(scene) = Scene::new("{store: '$BUCKET'}") else { return };
    scene.run(&["verify", "$BUCKET"]).expect(0);
    let newest = path("checkpoints/00000002/manifest.yaml");
    let manifest = scene.storage().get(&newest, 1 << 20).expect("read");
    scene.storage().delete(&newest).expect("deleted");
    let found = scene.run(&["verify", "$BUCKET"]).expect(1).stdout;
    assert!(found.contains("manifest-missing: `checkpoints/00000002/manifest.yaml`"), "{found}");
    assert!(!found.contains("object-unused"), "{found}");
    scene.storage().create(&newest, &manifest).expect("written");
    scene.has_state("$BUCKET", 6);
    // What a prune deletes is not missed.
    scene.run(&["prune", "$BUCKET", "--keep-last", "1", "--grace", "0s", "--yes"]).expect(0);
    scene.has_state("$BUCKET", 6);
}
