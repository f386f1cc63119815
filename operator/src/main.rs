//! `holdfast-operator`.

fn main() {}
