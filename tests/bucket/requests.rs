//! Each request of the client, against a real server.

use ckpt::storage::StorageError;
use ckpt::values::relpath::RelPath;

use crate::support::Env;
use crate::support::bucket::Bucket;

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

#[test]
fn what_is_created_is_read_back_and_not_replaced_by_another_create() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = bucket.storage();
    let file = path("a/file");
    storage.create(&file, b"first").unwrap();
    assert!(storage.create(&file, b"second").unwrap_err().is_exists());
    assert_eq!(storage.get(&file, 5).unwrap(), "first");
    assert!(matches!(storage.get(&file, 4), Err(StorageError::TooLarge { limit: 4, found: 5, .. })));
    storage.replace(&file, b"third").unwrap();
    assert_eq!((storage.get(&file, 5).unwrap(), storage.size(&file).unwrap()), ("third".into(), 5));
    storage.delete(&file).unwrap();
    assert!(storage.get(&file, 5).unwrap_err().is_not_found());
    assert!(storage.size(&file).unwrap_err().is_not_found());
}

#[test]
fn prefixes_are_separate_and_commands_get_the_same_environment() {
    let (Some(mut one), Some(other)) = (Bucket::fresh(), Bucket::fresh()) else { return };
    one.storage().create(&path("file"), b"x").unwrap();
    assert!(other.storage().list(None).unwrap().is_empty());
    let endpoint = one.variable("AWS_ENDPOINT_URL").to_owned();
    let mut env = Env::new();
    one.set("AWS_REGION", "eu-west-1").unset("AWS_SECRET_ACCESS_KEY").reach_from(&mut env);
    let seen = env.shell("echo $AWS_ENDPOINT_URL $AWS_REGION $AWS_SECRET_ACCESS_KEY").expect(0);
    assert_eq!(seen.stdout, format!("{endpoint} eu-west-1\n"));
}
