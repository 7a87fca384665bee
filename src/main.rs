//! seedbed
fn main() {}
