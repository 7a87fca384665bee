//! From raw text to a measured language model, from one manifest.

#[cfg_attr(not(test), expect(dead_code, reason = "the command `quickstart` calls it"))]
#[expect(unused_imports, reason = "the command `quickstart` calls it")]
mod quickstart;

fn main() {}
