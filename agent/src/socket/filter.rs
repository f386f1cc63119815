//! Classic BPF programs: what the kernel drops before it wakes the engine. Pure; the sockets attach them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use holdfast_vrrp::{Family, VirtualRouterId};
use socket2::SockFilter;

/// A set of virtual router identifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VridSet([u32; 8]);

impl VridSet {
    /// Adds an identifier.
    pub fn insert(&mut self, id: VirtualRouterId) {
        self.0[usize::from(id.get() >> 5)] |= 1 << (id.get() & 31);
    }

    /// Whether an identifier is in the set.
    pub fn contains(&self, id: VirtualRouterId) -> bool {
        self.0[usize::from(id.get() >> 5)] & (1 << (id.get() & 31)) != 0
    }

    /// The identifiers of this set that are not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = *self;
        for (word, other) in rest.0.iter_mut().zip(other.0) {
            *word &= !other;
        }
        rest
    }
}

impl FromIterator<VirtualRouterId> for VridSet {
    fn from_iter<I: IntoIterator<Item = VirtualRouterId>>(ids: I) -> Self {
        let mut set = Self::default();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

/// More addresses than this are not told apart in the kernel: the program's jumps reach no further.
pub const MOST_ADDRESSES: usize = 50;

/// An instruction before it is encoded: code, jump if true, jump if false, constant.
type Instruction = (u32, u8, u8, u32);

/// A program for a socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program(Vec<Instruction>);

impl Program {
    /// The program as the kernel takes it.
    pub fn encode(&self) -> Vec<SockFilter> {
        self.0
            .iter()
            // Every code fits sixteen bits; the C headers give them as wider integers.
            .map(|(code, yes, no, constant)| {
                SockFilter::new(u16::try_from(*code).unwrap_or(0), *yes, *no, *constant)
            })
            .collect()
    }
}

const ACCEPT: u32 = u32::MAX;
const DROP: u32 = 0;

/// The program for a raw VRRP socket: drops `muted` identifiers, passes all others. Its cost does not grow with their
/// number: one of eight words is picked by the identifier's upper bits, one bit of it by the lower.
pub fn vrrp_program(family: Family, muted: &VridSet) -> Program {
    let mut program: Vec<Instruction> = match family {
        // A raw IPv4 socket gets the IP header, of whatever length; a raw IPv6 socket gets the payload.
        Family::V4 => vec![
            (libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0),
            (libc::BPF_LD | libc::BPF_B | libc::BPF_IND, 0, 0, 1),
        ],
        Family::V6 => vec![(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 1)],
    };
    program.extend([
        (libc::BPF_ST, 0, 0, 0),
        (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, 31),
        (libc::BPF_MISC | libc::BPF_TAX, 0, 0, 0),
        (libc::BPF_LD | libc::BPF_MEM, 0, 0, 0),
        (libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 0, 0, 5),
    ]);
    for (index, word) in (0_u32..).zip(muted.0).filter(|(_, word)| *word != 0) {
        program.extend([
            // The word of another identifier: on to the next.
            (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 5, index),
            (libc::BPF_LD | libc::BPF_IMM, 0, 0, word),
            (libc::BPF_ALU | libc::BPF_RSH | libc::BPF_X, 0, 0, 0),
            (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, 1),
            (libc::BPF_RET | libc::BPF_K, 0, 0, DROP),
            (libc::BPF_RET | libc::BPF_K, 0, 0, ACCEPT),
        ]);
    }
    program.push((libc::BPF_RET | libc::BPF_K, 0, 0, ACCEPT));
    Program(program)
}

/// The program for an `AF_PACKET` socket that gets ARP frames: passes those whose sender says that it holds one of
/// `addresses`; all of them if there are too many to list.
pub fn arp_program(addresses: &[Ipv4Addr]) -> Program {
    // The sender's protocol address stands behind the Ethernet header, ARP's fixed fields and the sender's hardware
    // address.
    const SENDER_ADDRESS: u32 = 14 + 8 + 6;
    let mut program = vec![(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, SENDER_ADDRESS)];
    for address in addresses {
        program.extend([
            (
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                0,
                1,
                u32::from(*address),
            ),
            (libc::BPF_RET | libc::BPF_K, 0, 0, ACCEPT),
        ]);
    }
    finish(program, addresses.len())
}

/// The program for a raw ICMPv6 socket: passes neighbor advertisements about one of `addresses`; about all if there are
/// too many to list.
pub fn neighbor_program(addresses: &[Ipv6Addr]) -> Program {
    const ADVERTISEMENT: u32 = 136;
    const TARGET: u32 = 8;
    let mut program = vec![
        (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 0),
        (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, ADVERTISEMENT),
        (libc::BPF_RET | libc::BPF_K, 0, 0, DROP),
    ];
    for address in addresses {
        let octets = address.octets();
        let words = octets
            .chunks_exact(4)
            .map(|word| word.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet)));
        // Each word that differs leads to the next address: over the rest of the pairs and the final instruction.
        for ((word, offset), over) in words.zip((TARGET..).step_by(4)).zip([7, 5, 3, 1]) {
            program.extend([
                (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset),
                (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, over, word),
            ]);
        }
        program.push((libc::BPF_RET | libc::BPF_K, 0, 0, ACCEPT));
    }
    finish(program, addresses.len())
}

/// The program for a raw ICMP or ICMPv6 socket: passes answers to echo requests with this identifier and nothing else.
pub fn echo_program(family: Family, identifier: u16) -> Program {
    const REPLY_V4: u32 = 0;
    const REPLY_V6: u32 = 129;
    const IDENTIFIER: u32 = 4;
    // A raw IPv4 socket gets the IP header, of whatever length; a raw IPv6 socket gets the payload.
    let (mut program, mode, reply) = match family {
        Family::V4 => (
            vec![(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0)],
            libc::BPF_IND,
            REPLY_V4,
        ),
        Family::V6 => (Vec::new(), libc::BPF_ABS, REPLY_V6),
    };
    program.extend([
        (libc::BPF_LD | libc::BPF_B | mode, 0, 0, 0),
        (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 3, reply),
        (libc::BPF_LD | libc::BPF_H | mode, 0, 0, IDENTIFIER),
        (
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            u32::from(identifier),
        ),
        (libc::BPF_RET | libc::BPF_K, 0, 0, ACCEPT),
        (libc::BPF_RET | libc::BPF_K, 0, 0, DROP),
    ]);
    Program(program)
}

/// The addresses of one family, if they are few enough to be listed in a program.
pub fn listed<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> (Vec<Ipv4Addr>, Vec<Ipv6Addr>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for address in addresses {
        match address {
            IpAddr::V4(address) => v4.push(*address),
            IpAddr::V6(address) => v6.push(*address),
        }
    }
    (v4, v6)
}

/// Ends a program that lists `count` addresses: what matched none is dropped, unless the list would be too long.
fn finish(mut program: Vec<Instruction>, count: usize) -> Program {
    if count > MOST_ADDRESSES {
        program = vec![(libc::BPF_RET | libc::BPF_K, 0, 0, ACCEPT)];
    } else {
        program.push((libc::BPF_RET | libc::BPF_K, 0, 0, DROP));
    }
    Program(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the kernel would pass `packet`: the part of classic BPF that the programs above use.
    fn passes(program: &Program, packet: &[u8]) -> bool {
        let (mut at, mut a, mut x, mut memory) = (0, 0_u32, 0_u32, 0_u32);
        let byte = |at: u32| packet.get(at as usize).map(|byte| u32::from(*byte));
        loop {
            let (code, yes, no, k) = program.0[at];
            at += 1;
            let known = |codes: &[u32]| codes.iter().sum::<u32>() == code;
            // The kernel drops what is too short for a load.
            let load = |value: Option<u32>| value.ok_or(());
            let step = (|| {
                if known(&[libc::BPF_LDX, libc::BPF_B, libc::BPF_MSH]) {
                    x = (load(byte(k))? & 15) * 4;
                } else if known(&[libc::BPF_LD, libc::BPF_B, libc::BPF_IND]) {
                    a = load(byte(x + k))?;
                } else if known(&[libc::BPF_LD, libc::BPF_B, libc::BPF_ABS]) {
                    a = load(byte(k))?;
                } else if known(&[libc::BPF_LD, libc::BPF_H, libc::BPF_IND]) {
                    a = load((0..2).try_fold(0, |sum, n| Some(sum << 8 | byte(x + k + n)?)))?;
                } else if known(&[libc::BPF_LD, libc::BPF_H, libc::BPF_ABS]) {
                    a = load((0..2).try_fold(0, |sum, n| Some(sum << 8 | byte(k + n)?)))?;
                } else if known(&[libc::BPF_LD, libc::BPF_W, libc::BPF_ABS]) {
                    a = load((0..4).try_fold(0, |sum, n| Some(sum << 8 | byte(k + n)?)))?;
                } else if known(&[libc::BPF_LD, libc::BPF_IMM]) {
                    a = k;
                } else if known(&[libc::BPF_LD, libc::BPF_MEM]) {
                    a = memory;
                } else if known(&[libc::BPF_ST]) {
                    memory = a;
                } else if known(&[libc::BPF_MISC, libc::BPF_TAX]) {
                    x = a;
                } else if known(&[libc::BPF_ALU, libc::BPF_AND, libc::BPF_K]) {
                    a &= k;
                } else if known(&[libc::BPF_ALU, libc::BPF_RSH, libc::BPF_K]) {
                    a >>= k;
                } else if known(&[libc::BPF_ALU, libc::BPF_RSH, libc::BPF_X]) {
                    a >>= x;
                } else if known(&[libc::BPF_JMP, libc::BPF_JEQ, libc::BPF_K]) {
                    at += usize::from(if a == k { yes } else { no });
                } else if known(&[libc::BPF_JMP, libc::BPF_JSET, libc::BPF_K]) {
                    at += usize::from(if a & k == 0 { no } else { yes });
                } else {
                    assert!(
                        known(&[libc::BPF_RET, libc::BPF_K]),
                        "the programs here do not use {code:#x}"
                    );
                    return Ok(Some(k != DROP));
                }
                Ok::<_, ()>(None)
            })();
            match step {
                Ok(None) => {}
                Ok(Some(passes)) => return passes,
                Err(()) => return false,
            }
        }
    }

    fn ids(ids: &[u8]) -> VridSet {
        ids.iter().filter_map(|id| VirtualRouterId::new(*id)).collect()
    }

    #[test]
    fn exactly_the_muted_identifiers_are_dropped_whatever_the_length_of_the_ip_header() {
        let muted = ids(&[1, 31, 32, 51, 128, 255]);
        for id in 1..=255_u8 {
            let dropped = muted.contains(VirtualRouterId::new(id).unwrap());
            assert_eq!(
                passes(&vrrp_program(Family::V6, &muted), &[0x31, id]),
                !dropped,
                "{id}"
            );
            for words in 5..=15 {
                let mut packet = vec![0; words * 4 + 2];
                packet[0] = 0x40 | u8::try_from(words).unwrap();
                packet[words * 4 + 1] = id;
                assert_eq!(
                    passes(&vrrp_program(Family::V4, &muted), &packet),
                    !dropped,
                    "{id} behind {words} words"
                );
            }
        }
    }

    #[test]
    fn an_identifier_that_is_wanted_is_never_muted() {
        let muted = ids(&[51, 52]).without(&ids(&[51]));
        assert!(passes(&vrrp_program(Family::V6, &muted), &[0x31, 51]));
        assert!(!passes(&vrrp_program(Family::V6, &muted), &[0x31, 52]));
    }

    #[test]
    fn claims_to_watched_ipv4_addresses_pass_and_others_do_not() {
        let program = arp_program(&[[10, 0, 0, 100].into(), [10, 0, 0, 101].into()]);
        let frame = |sender: [u8; 4]| [[0; 28].as_slice(), &sender, &[0; 10]].concat();
        assert!(passes(&program, &frame([10, 0, 0, 100])));
        assert!(passes(&program, &frame([10, 0, 0, 101])));
        assert!(!passes(&program, &frame([10, 0, 0, 102])));
        assert!(!passes(&program, &[0; 20]));
    }

    #[test]
    fn advertisements_of_watched_ipv6_addresses_pass_and_nothing_else_does() {
        let watched: Vec<Ipv6Addr> = ["fd00::100", "fd00::1:100", "fe80::100"]
            .map(|a| a.parse().unwrap())
            .to_vec();
        let program = neighbor_program(&watched);
        let message =
            |kind: u8, target: Ipv6Addr| [[kind, 0, 0, 0, 0, 0, 0, 0].as_slice(), &target.octets()].concat();
        for address in &watched {
            assert!(passes(&program, &message(136, *address)), "{address}");
            assert!(
                !passes(&program, &message(135, *address)),
                "a solicitation for {address}"
            );
        }
        for other in ["fd00::101", "fd01::100", "fd00::2:100", "fe80::"] {
            assert!(
                !passes(&program, &message(136, other.parse().unwrap())),
                "{other}"
            );
        }
    }

    #[test]
    fn answers_to_ones_own_echo_requests_pass_and_nothing_else_does() {
        let message =
            |kind: u8, identifier: u16| [&[kind, 0, 0, 0][..], &identifier.to_be_bytes(), &[0, 1]].concat();
        let v6 = echo_program(Family::V6, 0x1234);
        assert!(passes(&v6, &message(129, 0x1234)));
        assert!(!passes(&v6, &message(128, 0x1234)), "a request");
        assert!(!passes(&v6, &message(129, 0x1235)), "another's answer");
        assert!(!passes(&v6, &[129]));
        let v4 = echo_program(Family::V4, 0x1234);
        for words in 5..=15 {
            let packet = |message: Vec<u8>| {
                let mut header = vec![0; words * 4];
                header[0] = 0x40 | u8::try_from(words).unwrap();
                [header, message].concat()
            };
            assert!(passes(&v4, &packet(message(0, 0x1234))), "{words}");
            assert!(!passes(&v4, &packet(message(8, 0x1234))), "a request");
            assert!(!passes(&v4, &packet(message(0, 0x1235))), "another's answer");
        }
    }

    #[test]
    fn more_addresses_than_can_be_listed_all_pass() {
        let many: Vec<Ipv4Addr> = (0..=255).map(|n| [10, 0, 1, n].into()).collect();
        assert!(passes(&arp_program(&many), &[0; 42]));
    }
}
