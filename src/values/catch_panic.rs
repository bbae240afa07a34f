//! Calls into code of others that may panic on hostile input.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// How many calls of [`catch_panic`] this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Calls `work` and turns a panic inside it into an error: what the panic said.
///
/// What `work` has changed may be left half done, so it is not to be used afterwards.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    silence();
    DEPTH.set(DEPTH.get() + 1);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "no reason given".to_owned())
    })
}

/// Sees to it that a panic which [`catch_panic`] catches is told by its caller alone, and not on standard error.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if DEPTH.get() == 0 {
                tell(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_text() {
        assert_eq!(catch_panic(|| 7), Ok(7));
        assert_eq!(catch_panic(|| panic!("so {}", "what")).map(|(): ()| ()), Err("so what".to_owned()));
        assert_eq!(catch_panic(|| catch_panic(|| panic!("inner")).map(|(): ()| ())), Ok(Err("inner".to_owned())));
        assert_eq!(DEPTH.get(), 0);
    }
}
