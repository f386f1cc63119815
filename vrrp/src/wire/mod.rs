//! Wire formats: VRRP, the ARP and neighbor discovery packets that announce and defend addresses, and echo requests.
//!
//! Parsing never panics and never allocates, whatever the bytes; every refusal has a typed reason with a sentence
//! and a bounded label. Emitting appends to a buffer of the caller's and cannot fail.

pub mod arp;
mod checksum;
pub mod echo;
pub mod ethernet;
pub mod ndp;
pub mod vrrp;

/// The next `N` bytes, which are taken off `bytes`; `None`, and nothing taken, if there are fewer.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}
