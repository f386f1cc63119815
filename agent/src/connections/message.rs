//! Netlink's envelope: a request around a body, and the kernel's messages out of a datagram. No IO.

use netlink_packet_core::{NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};
use nix::errno::Errno;

/// A request to the kernel, ready but for its flags and number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request(Vec<u8>);

/// The length of `nlmsghdr`.
const HEADER: usize = 16;

/// A request of that kind around `body`.
pub fn request(kind: u16, body: &[u8]) -> Request {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    Request(bytes)
}

impl Request {
    /// The bytes, with that number for the answer and these `flags` added.
    pub fn bytes(mut self, sequence: u32, flags: u16) -> Vec<u8> {
        self.0[6..8].copy_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// One message of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer<'a> {
    /// Something that was asked for.
    Body(&'a [u8]),
    /// What became of the request with that number.
    Done {
        /// The request's.
        sequence: u32,
        /// Why it was not carried out.
        result: Result<(), Errno>,
    },
    /// The end of what was asked for, or why it ends here.
    End(Result<(), Errno>),
}

/// Reads a datagram; what is not whole is left out.
pub fn answers(mut bytes: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    core::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(bytes).ok()?;
        let length = usize::try_from(message.length()).ok()?;
        let body = bytes.get(HEADER..length)?;
        let (kind, sequence) = (message.message_type(), message.sequence_number());
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(match kind {
            NLMSG_ERROR => Answer::Done {
                sequence,
                result: result(body),
            },
            NLMSG_DONE => Answer::End(result(body)),
            _ => Answer::Body(body),
        })
    })
}

/// The kernel's error numbers are negative; a message too short for one tells of none.
fn result(body: &[u8]) -> Result<(), Errno> {
    match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(code) if code < 0 => Err(Errno::from_raw(code.saturating_neg())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(messages: &[(u16, &[u8])]) -> Vec<u8> {
        let one = |(kind, body): &(u16, &[u8])| request(*kind, body).bytes(7, 0);
        messages.iter().flat_map(one).collect()
    }

    #[test]
    fn the_messages_of_a_datagram_are_read_in_their_order() {
        let refused = (-libc::EPERM).to_ne_bytes();
        let bytes = datagram(&[
            (20, b"four"),
            (20, b"five!"),
            (NLMSG_ERROR, &[0; 4]),
            (NLMSG_ERROR, &refused),
            (NLMSG_DONE, &[]),
            (NLMSG_DONE, &refused),
        ]);
        let read: Vec<Answer<'_>> = answers(&bytes).collect();
        let done = |result| Answer::Done { sequence: 7, result };
        assert_eq!(
            read,
            [
                Answer::Body(b"four"),
                Answer::Body(b"five!"),
                done(Ok(())),
                done(Err(Errno::EPERM)),
                Answer::End(Ok(())),
                Answer::End(Err(Errno::EPERM)),
            ]
        );
    }

    #[test]
    fn no_cut_or_changed_datagram_makes_the_reader_panic_or_hang() {
        let whole = datagram(&[(20, b"four"), (NLMSG_ERROR, &[0; 4]), (NLMSG_DONE, &[])]);
        for length in 0..whole.len() {
            for value in [0, 1, 15, 16, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[length] = value;
                assert!(answers(&changed).count() <= whole.len());
            }
            assert!(answers(&whole[..length]).count() <= 3);
        }
    }
}
