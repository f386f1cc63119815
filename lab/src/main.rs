//! Placeholder while the lab is built.
fn main() {}
