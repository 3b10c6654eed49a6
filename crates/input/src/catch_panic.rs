//! Panics of libraries that work on what comes from outside become errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread's panics are somebody's error.
    static FENCED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` returns, or what it panicked with. Its panic prints nothing; what it was in the middle of must not be used any
/// more, unless it is only read.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !FENCED.get() {
                usual(panic);
            }
        }));
    });
    let before = FENCED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    FENCED.set(before);
    done.map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        said.unwrap_or("a library gave up").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_next_call_is_none_the_worse() {
        assert_eq!(catch_panic(|| 7), Ok(7));
        assert_eq!(catch_panic(|| -> u8 { panic!("no {}", 3) }), Err("no 3".to_owned()));
        assert_eq!(catch_panic(|| -> u8 { panic!("at all") }), Err("at all".to_owned()));
        assert_eq!(catch_panic(|| 8), Ok(8));
    }
}
