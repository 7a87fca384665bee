//! From raw text to a measured language model, from one manifest.

#[expect(dead_code, reason = "the command `quickstart` calls it")]
mod quickstart;

fn main() {}
