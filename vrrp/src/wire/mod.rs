//! Wire formats: VRRP, and the neighbor discovery packets that announce addresses.
//!
//! Parsing never panics and never allocates; every refusal has a typed reason.

pub mod arp;
pub mod ndp;
pub mod vrrp;
