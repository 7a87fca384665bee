//! Panics, as the program tells them: whoever catches one tells it, and one that nobody catches is told as the bug that it is.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::path::Path;
use std::thread;

use pipelines::panics::{BUG, remember, told};

/// Does `work`, of whose panics nothing is said but what those say who catch them.
///
/// # Errors
/// When it panics, and nothing in it catches that.
pub fn guarded(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    std::panic::set_hook(Box::new(|info| {
        remember(info);
        if !is_caught(info) {
            let said = info.payload_as_str().unwrap_or("no message");
            let place = info.location().map(|place| format!(", at {place}")).unwrap_or_default();
            eprintln!("error: a thread stopped in a way it should not ({said}{place}); {BUG}");
        }
    }));
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|panic| {
        anyhow::bail!("it stopped in a way it should not ({}); {BUG}", told(&*panic))
    })
}

/// Whether somebody tells a panic of this thread. Those of the main thread come to [`guarded`], those of a pool to whoever
/// waits for it. On any other thread that is so for libraries alone, whose panics are caught where they are called: their
/// paths are not relative to the workspace.
fn is_caught(info: &PanicHookInfo<'_>) -> bool {
    let is_ours = info.location().is_some_and(|place| Path::new(place.file()).is_relative());
    thread::current().name() == Some("main") || rayon::current_thread_index().is_some() || !is_ours
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The test that a process of its own runs.
    const CHILD: &str = "panics::tests::child";

    /// What a process says on standard error that panics as `kind` says, and how it ends.
    fn said(kind: &str) -> (String, Option<i32>) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", CHILD, "--nocapture", "--test-threads", "1"]);
        let output = child.env("SEEDBED_PANICS", kind).output().unwrap();
        (String::from_utf8(output.stderr).unwrap(), output.status.code())
    }

    /// Does nothing but in a process that another test started.
    #[test]
    fn child() {
        let Ok(kind) = std::env::var("SEEDBED_PANICS") else { return };
        let work = move || match kind.as_str() {
            "caught" => {
                let caught = catch_unwind(|| panic!("of a parser")).unwrap_err();
                anyhow::bail!("the reader's error: {}", told(&*caught).contains("of a parser"))
            }
            "pool" => rayon::ThreadPoolBuilder::new().build()?.install(|| panic!("of a pool")),
            "thread" => {
                let ended = thread::spawn(|| panic!("of a thread")).join();
                anyhow::bail!("it ended well: {}", ended.is_ok())
            }
            _ => panic!("of nobody"),
        };
        // Tests run on threads of their own.
        let main = thread::Builder::new().name("main".into()).spawn(|| guarded(work)).unwrap();
        eprintln!("error: {:#}", main.join().unwrap().unwrap_err());
        std::process::exit(3);
    }

    #[track_caller]
    fn check(kind: &str, expected: &str) {
        let (said, code) = said(kind);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(expected) && !said.contains("panicked"), "{said}");
    }

    #[test]
    fn a_panic_that_is_caught_is_told_by_whoever_catches_it() {
        let (said, _) = said("caught");
        assert_eq!(said, "error: the reader's error: true\n");
    }

    #[test]
    fn a_panic_that_nobody_catches_is_told_as_a_bug_with_its_place() {
        for (kind, words) in [
            ("nobody", "error: it stopped in a way it should not (of nobody, at src/panics.rs:"),
            ("pool", "error: it stopped in a way it should not (of a pool, at src/panics.rs:"),
            (
                "thread",
                "error: a thread stopped in a way it should not (of a thread, at src/panics.rs:",
            ),
        ] {
            check(kind, words);
            check(kind, BUG);
        }
    }
}
