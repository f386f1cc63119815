//! The wire formats against bytes that other implementations sent, against themselves, and against nonsense.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod arp;
mod corpus;
mod ndp;
mod vrrp_emit;
mod vrrp_parse;

/// What the fuzz targets do with their bytes, and the helpers they share with these tests.
#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

/// The bytes that `digits` spell, two hexadecimal digits each; spaces are for the reader.
fn hex(digits: &str) -> Vec<u8> {
    let digits: String = digits.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}
