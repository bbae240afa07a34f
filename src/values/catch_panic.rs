//! Calling code of other crates that may panic on hostile input.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// How many calls of [`catch_panic`] are active on this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Calls `work`, and turns a panic in it into an error with the message of the panic.
///
/// What `work` was changing may be half done, so do not use it afterwards.
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

/// Keeps panics that [`catch_panic`] catches off standard error: only its caller reports them.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if DEPTH.get() == 0 {
                print(info);
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
