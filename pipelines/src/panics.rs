//! What a panic said, and where, for whoever catches it: `catch_unwind` gives the message alone, and nothing of the place.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

/// What is asked of whoever meets a panic that is none of a parser that is known for them.
pub const BUG: &str = "this is a bug in seedbed: please report it";

/// Panics that are remembered: more than threads are likely to panic at once.
const REMEMBERED: usize = 64;

/// Messages and places of the last panics. A panic of a thread of a pool is caught on another thread, so none of them has
/// its own.
static LAST: Mutex<VecDeque<(String, String)>> = Mutex::new(VecDeque::new());

/// Remembers what a panic says, and where. To be called by the hook of the program.
pub fn remember(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".into(), ToString::to_string);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.truncate(REMEMBERED - 1);
    last.push_front((message(info.payload()), place));
}

/// What the panic that was caught as `payload` said, and where if it is remembered.
pub fn told(payload: &(dyn Any + Send)) -> String {
    let message = message(payload);
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match last.iter().find(|(said, _)| *said == message) {
        Some((_, place)) => format!("{message}, at {place}"),
        None => message,
    }
}

fn message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, set_hook, take_hook};

    use super::*;

    #[test]
    fn message_and_place_are_told_where_a_panic_is_caught() {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            remember(info);
            before(info);
        }));
        let caught = catch_unwind(|| panic!("one of {}", 7)).unwrap_err();
        assert!(told(&*caught).starts_with("one of 7, at pipelines/src/panics.rs:"));
        let in_pool = || -> () {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            pool.install(|| panic!("in a pool"))
        };
        let caught = catch_unwind(in_pool).unwrap_err();
        assert!(told(&*caught).starts_with("in a pool, at pipelines/src/panics.rs:"));
        assert_eq!(told(&"elsewhere"), "elsewhere");
        assert_eq!(told(&7), "no message");
    }
}
