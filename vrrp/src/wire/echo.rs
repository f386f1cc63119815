//! Echo requests and their answers, as `ping` sends them (RFC 792, RFC 4443 §4). Nothing here can panic on any input.

use super::checksum::Sum;
use super::take;
use crate::Family;

/// What makes an answer the answer to one request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Echo {
    /// Who asks.
    pub identifier: u16,
    /// Which of its questions this is.
    pub sequence: u16,
    /// What has to come back as it is.
    pub payload: [u8; Self::PAYLOAD_LEN],
}

impl Echo {
    /// The length in bytes of what has to come back: as much as `ping` sends.
    pub const PAYLOAD_LEN: usize = 56;

    /// Appends the request to `out` as a message of ICMP, or of ICMPv6 without its checksum, which the kernel fills in.
    pub fn emit_request(&self, family: Family, out: &mut Vec<u8>) {
        let start = out.len();
        let kind = match family {
            Family::V4 => 8,
            Family::V6 => 128,
        };
        out.extend_from_slice(&[kind, 0, 0, 0]);
        out.extend_from_slice(&self.identifier.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.payload);
        let checksum = match family {
            Family::V4 => Sum::default()
                .bytes(out.get(start..).unwrap_or_default())
                .checksum(),
            Family::V6 => 0,
        };
        if let Some(field) = out.get_mut(start + 2..start + 4) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
    }

    /// What the answer in `message`, of ICMP or ICMPv6, answers; `None` if it is no answer to anything that is asked here. The
    /// kernel has checked an ICMPv6 message's checksum.
    pub fn parse_reply(family: Family, message: &[u8]) -> Option<Self> {
        let reply = match family {
            Family::V4 => 0,
            Family::V6 => 129,
        };
        let mut rest = message;
        let [kind, code, _, _] = take(&mut rest)?;
        let is_intact = family == Family::V6 || Sum::default().bytes(message).is_intact();
        if kind != reply || code != 0 || !is_intact {
            return None;
        }
        Some(Self {
            identifier: u16::from_be_bytes(take(&mut rest)?),
            sequence: u16::from_be_bytes(take(&mut rest)?),
            payload: rest.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo {
        identifier: 0x1234,
        sequence: 7,
        payload: [0xab; Echo::PAYLOAD_LEN],
    };

    /// The answer that a host would give.
    fn answer(family: Family) -> Vec<u8> {
        let mut message = Vec::new();
        ECHO.emit_request(family, &mut message);
        match family {
            // The checksum of a message whose first word is less by 8 in its upper byte.
            Family::V4 => {
                message[0] = 0;
                message[2..4].fill(0);
                let checksum = Sum::default().bytes(&message).checksum();
                message[2..4].copy_from_slice(&checksum.to_be_bytes());
            }
            Family::V6 => message[0] = 129,
        }
        message
    }

    #[test]
    fn a_request_is_a_whole_message_behind_whatever_was_there() {
        let mut out = vec![1, 2, 3];
        ECHO.emit_request(Family::V4, &mut out);
        assert_eq!(out.len(), 3 + 8 + Echo::PAYLOAD_LEN);
        assert_eq!(out[3..5], [8, 0]);
        assert_eq!(out[7..11], [0x12, 0x34, 0, 7]);
        assert!(Sum::default().bytes(&out[3..]).is_intact());
        let mut out = Vec::new();
        ECHO.emit_request(Family::V6, &mut out);
        assert_eq!(out[..8], [128, 0, 0, 0, 0x12, 0x34, 0, 7]);
    }

    #[test]
    fn an_answer_says_what_it_answers_and_what_is_none_does_not() {
        for family in [Family::V4, Family::V6] {
            let whole = answer(family);
            assert_eq!(Echo::parse_reply(family, &whole), Some(ECHO));
            let mut request = Vec::new();
            ECHO.emit_request(family, &mut request);
            assert_eq!(Echo::parse_reply(family, &request), None);
            for length in 0..whole.len() {
                assert_eq!(Echo::parse_reply(family, &whole[..length]), None, "{length}");
            }
            let longer = [whole.as_slice(), &[0, 0]].concat();
            assert_eq!(Echo::parse_reply(family, &longer), None);
        }
        let mut damaged = answer(Family::V4);
        damaged[20] ^= 1;
        assert_eq!(Echo::parse_reply(Family::V4, &damaged), None);
    }
}
