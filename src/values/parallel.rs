//! The same work for many items, on all cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::Sender;

/// How many results of one item may wait for the caller.
const WAITING_RESULTS: usize = 4;

/// Returns the number of threads that share work: one per core that this process may use.
pub fn thread_count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Does `work` for each of `items` on several threads, and returns the results in the order of the items.
///
/// Items are started in order, each by the next free thread.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    map_on(thread_count(), items, work)
}

/// Does the same on `threads` threads: more than there are cores, for work that waits most of the time.
pub fn map_on<T: Sync, R: Send>(threads: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let worker = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else { return done };
                done.push((index, work(item)));
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("workers do not panic")).collect()
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Does two things at once, and returns both results.
pub fn both<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), other)
    })
}

/// Where `work` of [`in_order`] sends the results of one item.
pub struct Outlet<'a, R, E> {
    sender: &'a Sender<Result<R, E>>,
    stop: &'a AtomicBool,
}

impl<R, E> Outlet<'_, R, E> {
    /// Sends a result, and returns whether more are wanted. Blocks while many results of this item wait for the caller.
    pub fn send(&self, result: R) -> bool {
        self.sender.send(Ok(result)).is_ok()
    }

    /// Returns whether more results are wanted.
    pub fn is_open(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Does `work` for each of `items` on several threads, a little ahead of the caller, and hands the results to `visit`
/// in the order of the items, until there are no more, one is an error, or `visit` returns false.
///
/// A thread takes the first item that no other thread has. The caller consumes the items in the same order, so some
/// thread always has the item that the caller waits for.
pub fn in_order<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T, &Outlet<'_, R, E>) -> Result<(), E> + Sync,
    mut visit: impl FnMut(R) -> bool,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        items.iter().map(|_| crossbeam_channel::bounded(WAITING_RESULTS)).unzip();
    let senders: Vec<_> = senders.into_iter().map(|sender| Mutex::new(Some(sender))).collect();
    let worker = || {
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            // Taken out, so that the channel closes when this thread is done with the item.
            let Some(sender) = senders[index].lock().expect("no thread panics while it holds this").take() else {
                return;
            };
            if let Err(error) = work(item, &Outlet { sender: &sender, stop: &stop }) {
                // The caller may be gone, and wants nothing more.
                let _ = sender.send(Err(error));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread_count().min(items.len()) {
            scope.spawn(worker);
        }
        // By value, so that no thread keeps waiting for room in a channel, whatever the reason to stop.
        let outcome = (|| {
            for receiver in receivers {
                for result in receiver {
                    if !visit(result?) {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..1000).collect();
        assert_eq!(map(&items, |n| n * 2), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(map(&[] as &[u64], |n| *n), Vec::<u64>::new());
    }

    #[test]
    fn results_of_many_a_thread_come_in_order_up_to_the_first_error_or_no() {
        let items: Vec<u64> = (0..50).collect();
        let run = |fail: u64, enough: usize| {
            let mut seen = Vec::new();
            let work = |item: &u64, outlet: &Outlet<'_, u64, u64>| {
                for n in 0..20 {
                    if *item == fail && n == 10 {
                        return Err(*item);
                    }
                    if !outlet.send(item * 100 + n) {
                        break;
                    }
                }
                Ok(())
            };
            let outcome = in_order(&items, work, |result| {
                seen.push(result);
                seen.len() < enough
            });
            (outcome, seen)
        };
        let all: Vec<u64> = items.iter().flat_map(|item| (0..20).map(move |n| item * 100 + n)).collect();
        assert_eq!(run(99, usize::MAX), (Ok(()), all.clone()));
        assert_eq!(run(3, usize::MAX), (Err(3), all[..70].to_vec()));
        assert_eq!(run(3, 25), (Ok(()), all[..25].to_vec()));
    }
}
