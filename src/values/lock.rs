//! Locking data that stays valid even if a thread panics while holding the lock.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks `mutex`, also after a thread has panicked while holding it.
///
/// For data that is valid between any two statements: counters, sets, lists. A panic ends the run by other means.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `lock` for reading, also after a thread has panicked while holding it.
pub fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `lock` for writing, also after a thread has panicked while holding it.
pub fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_lock_can_be_taken_after_a_panic() {
        let mutex = Mutex::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut held = lock(&mutex);
            *held = 2;
            std::panic::resume_unwind(Box::new("on purpose"));
        }));
        assert!(panicked.is_err() && mutex.is_poisoned());
        assert_eq!(*lock(&mutex), 2);
        let rw_lock = RwLock::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            *write(&rw_lock) = 2;
            let _held = write(&rw_lock);
            std::panic::resume_unwind(Box::new("on purpose"));
        }));
        assert!(panicked.is_err() && rw_lock.is_poisoned());
        assert_eq!(*read(&rw_lock), 2);
    }
}
