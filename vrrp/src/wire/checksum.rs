//! The Internet checksum (RFC 1071), with and without a pseudo-header. Cannot panic.

use core::net::IpAddr;

/// A one's complement sum in the making. Only the last part may have an odd length.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// The sum over the pseudo-header of a packet of `length` bytes: RFC 8200 §8.1, and RFC 793's for IPv4.
    pub(super) fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Self {
        // A VRRP or neighbor discovery packet is far shorter than 64 KiB, so that the sum of the 32-bit length's halves
        // is its low half.
        Self(u64::from(protocol) + length as u64)
            .address(source)
            .address(destination)
    }

    /// This sum with `bytes` added.
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        let words: u64 = words
            .iter()
            .map(|word| u64::from(u16::from_be_bytes(*word)))
            .sum();
        let rest: u64 = rest.iter().map(|byte| u64::from(*byte) << 8).sum();
        Self(self.0 + words + rest)
    }

    /// Whether a packet summed with its checksum field in place is intact.
    pub(super) fn is_intact(self) -> bool {
        self.fold() == u16::MAX
    }

    /// The checksum of a packet summed with its checksum field zero.
    pub(super) fn checksum(self) -> u16 {
        !self.fold()
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.bytes(&address.octets()),
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > u64::from(u16::MAX) {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap_or(u16::MAX)
    }
}
