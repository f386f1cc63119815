//! Wire formats: VRRP, and the ARP and neighbor discovery packets that announce and defend addresses.
//!
//! Parsing never panics and never allocates, whatever the bytes; every refusal has a typed reason with a sentence
//! and a bounded label. Emitting appends to a buffer of the caller's and cannot fail.

pub mod arp;
mod checksum;
pub mod ethernet;
pub mod ndp;
pub mod vrrp;
