//! Reads from rtnetlink(7) messages which addresses came and went; everything else is passed over.

use std::net::IpAddr;

use nix::libc::{IFA_ADDRESS, IFA_LOCAL, RTM_DELADDR, RTM_NEWADDR};

/// `struct nlmsghdr`: length, type, flags, sequence number, port.
const HEADER: usize = 16;
/// `struct ifaddrmsg`: family, prefix length, flags, scope, interface index.
const ADDRESS_HEADER: usize = 8;
/// `struct rtattr`: length, type.
const ATTRIBUTE_HEADER: usize = 4;

/// An interface got (or still has) an address, or lost it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AddressEvent {
    pub(crate) address: IpAddr,
    pub(crate) holds: bool,
}

/// The events in one datagram from the kernel. Whatever is cut short or unknown is left out.
pub(crate) fn address_events(datagram: &[u8]) -> Vec<AddressEvent> {
    let messages = chunks(datagram, HEADER, |header| u32_at(header, 0));
    messages.filter_map(event).collect()
}

fn event(message: &[u8]) -> Option<AddressEvent> {
    let holds = match u16_at(message, 4)? {
        RTM_NEWADDR => true,
        RTM_DELADDR => false,
        _ => return None,
    };
    let attributes = message.get(HEADER + ADDRESS_HEADER..)?;
    let find = |wanted: u16| {
        chunks(attributes, ATTRIBUTE_HEADER, |header| {
            u16_at(header, 0).map(u32::from)
        })
        .find(|attribute| u16_at(attribute, 2) == Some(wanted))
        .and_then(|attribute| ip(&attribute[ATTRIBUTE_HEADER..]))
    };
    // IFA_LOCAL is the node's own end of a point-to-point link; IPv6 has only IFA_ADDRESS.
    let address = find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?;
    Some(AddressEvent { address, holds })
}

/// Cuts `bytes` into pieces that each begin with a header telling their own length, aligned to four bytes.
fn chunks(bytes: &[u8], header: usize, length: impl Fn(&[u8]) -> Option<u32>) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::try_from(length(rest)?).ok()?;
        if length < header {
            return None;
        }
        let piece = rest.get(..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(piece)
    })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    v4.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|bytes| u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of `kind` with the given attributes.
    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0; ADDRESS_HEADER];
        for (name, value) in attributes {
            let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap();
            body.extend(length.to_ne_bytes());
            body.extend(name.to_ne_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn each_message_of_a_datagram_is_an_event() {
        let v6 = std::net::Ipv6Addr::LOCALHOST.octets();
        let label: (u16, &[u8]) = (3, b"eth0\0");
        let datagram = [
            message(
                RTM_NEWADDR,
                &[label, (IFA_ADDRESS, &[10, 0, 0, 2]), (IFA_LOCAL, &[10, 0, 0, 1])],
            ),
            message(16, &[]),
            message(RTM_DELADDR, &[(IFA_ADDRESS, &v6)]),
        ]
        .concat();
        let expected = [
            AddressEvent {
                address: "10.0.0.1".parse().unwrap(),
                holds: true,
            },
            AddressEvent {
                address: "::1".parse().unwrap(),
                holds: false,
            },
        ];
        assert_eq!(address_events(&datagram), expected);
    }

    #[test]
    fn a_datagram_cut_short_anywhere_yields_no_event_and_no_panic() {
        let whole = message(RTM_NEWADDR, &[(IFA_LOCAL, &[10, 0, 0, 1])]);
        for length in 0..whole.len() {
            assert!(address_events(&whole[..length]).is_empty(), "{length} bytes");
        }
        assert!(
            address_events(&[0; 64]).is_empty(),
            "a length of zero ends the reading"
        );
    }
}
