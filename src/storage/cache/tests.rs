use std::fs::FileTimes;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use super::*;

fn key(bytes: &[u8]) -> CacheKey {
    CacheKey::Content(Digest::of(bytes))
}

/// Makes a copy one that was not used for some days.
fn age(cache: &Cache, key: CacheKey, days: u64) {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 - days * 86_400);
    let file = File::options().write(true).open(cache.path(key)).expect("a copy");
    file.set_times(FileTimes::new().set_modified(then)).expect("set");
}

fn taken(cache: &Cache) -> u64 {
    cache.copies().unwrap().iter().map(|copy| copy.bytes).sum()
}

#[test]
fn only_bytes_that_are_proven_are_returned() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(&dir.path().join("a/b"), DEFAULT_MAX_BYTES).unwrap();
    for key in [key(b"some bytes"), CacheKey::Named(Digest::of(b"a name"))] {
        assert_eq!(cache.get(key), None);
        cache.put(key, b"some bytes");
        assert_eq!(cache.get(key).as_deref(), Some(&b"some bytes"[..]));
        let good = fs::read(cache.path(key)).unwrap();
        let damages =
            [Vec::new(), good[..5].to_vec(), [&good[..], b"x"].concat(), good.iter().map(|b| b ^ 1).collect()];
        for damage in damages {
            fs::write(cache.path(key), damage).unwrap();
            assert_eq!(cache.get(key), None);
            assert!(!cache.path(key).exists());
            cache.put(key, b"some bytes");
            assert_eq!(cache.get(key).as_deref(), Some(&b"some bytes"[..]));
        }
    }
}

#[test]
fn the_bound_is_kept_and_what_was_not_used_for_the_longest_time_goes_first() {
    const MAX_BYTES: u64 = 64 * BLOCK_BYTES;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), MAX_BYTES).unwrap();
    let copies: Vec<Vec<u8>> = (0..64_u8).map(|number| vec![number; 4000]).collect();
    copies.iter().for_each(|bytes| cache.put(key(bytes), bytes));
    assert_eq!(taken(&cache), MAX_BYTES);
    (1..).zip(&copies).for_each(|(days, bytes)| age(&cache, key(bytes), days));
    // Used again just now.
    assert!(cache.get(key(&copies[63])).is_some());
    for number in 100..140_u8 {
        cache.put(key(&[number; 4000]), &[number; 4000]);
        assert!(taken(&cache) <= MAX_BYTES, "{}", taken(&cache));
    }
    assert!(cache.get(key(&copies[63])).is_some() && cache.get(key(&copies[0])).is_some());
    assert!(copies[50..63].iter().all(|bytes| cache.get(key(bytes)).is_none()));
    // What would drive out most of the others is not kept.
    let large = vec![7; MAX_BYTES as usize / 2];
    cache.put(key(&large), &large);
    assert_eq!(cache.get(key(&large)), None);
}

#[test]
fn processes_that_share_a_cache_keep_its_bound_together() {
    const MAX_BYTES: u64 = 64 * BLOCK_BYTES;
    let dir = tempfile::tempdir().unwrap();
    let [one, other] = [0, 1].map(|_| Cache::open(dir.path(), MAX_BYTES).unwrap());
    for number in 0..200_u8 {
        one.put(key(&[number; 100]), &[number; 100]);
        other.put(key(&[number; 101]), &[number; 101]);
        // Each counts again after it has written an eighth.
        assert!(taken(&one) <= MAX_BYTES + MAX_BYTES / 4, "{}", taken(&one));
    }
    let shared = [9; 50];
    one.put(key(&shared), &shared);
    assert!(other.get(key(&shared)).is_some());
}

#[test]
fn a_cache_that_is_deleted_is_made_again_for_this_user_only() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("cache");
    let cache = Cache::open(&place, DEFAULT_MAX_BYTES).unwrap();
    for _ in 0..2 {
        cache.put(key(b"x"), b"x");
        assert!(cache.get(key(b"x")).is_some());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&cache.path(key(b"x")))), (0o700, 0o600));
        fs::remove_dir_all(&place).unwrap();
        assert!(cache.get(key(b"x")).is_none());
    }
    fs::write(&place, b"in the way").unwrap();
    cache.put(key(b"x"), b"x");
    assert!(cache.get(key(b"x")).is_none() && Cache::open(&place, 1).is_err());
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o777, 0o770, 0o702] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = Cache::open(dir.path(), DEFAULT_MAX_BYTES).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{mode:o}");
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Cache::open(dir.path(), DEFAULT_MAX_BYTES).is_ok());
}

#[test]
fn temporary_files_of_killed_processes_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), DEFAULT_MAX_BYTES).unwrap();
    cache.put(key(b"x"), b"x");
    let beside = |name: &str| cache.path(key(b"x")).with_file_name(name);
    for (name, days) in [(".tmp-old", 1), (".tmp-new", 0)] {
        fs::write(beside(name), b"y").unwrap();
        let file = File::options().write(true).open(beside(name)).unwrap();
        let then = SystemTime::now() - Duration::from_secs(days * 86_400);
        file.set_times(FileTimes::new().set_modified(then)).unwrap();
    }
    assert_eq!(taken(&cache), 2 * BLOCK_BYTES);
    assert!(!beside(".tmp-old").exists() && beside(".tmp-new").exists());
}
