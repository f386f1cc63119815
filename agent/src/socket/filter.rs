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

/// Instructions before they are encoded: code, jumps, constant.
type Instruction = (u32, u8, u8, u32);

const ACCEPT: u32 = u32::MAX;
const DROP: u32 = 0;

/// The program for a raw VRRP socket: drops `muted` identifiers, passes all others. Its cost does not grow with their
/// number: one of eight words is picked by the identifier's upper bits, one bit of it by the lower.
pub fn vrrp_program(family: Family, muted: &VridSet) -> Vec<SockFilter> {
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
    encode(&program)
}

/// The program for an `AF_PACKET` socket that gets ARP frames: passes those whose sender says that it holds one of
/// `addresses`; all of them if there are too many to list.
pub fn arp_program(addresses: &[Ipv4Addr]) -> Vec<SockFilter> {
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
pub fn neighbor_program(addresses: &[Ipv6Addr]) -> Vec<SockFilter> {
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
fn finish(mut program: Vec<Instruction>, count: usize) -> Vec<SockFilter> {
    if count > MOST_ADDRESSES {
        program = vec![(libc::BPF_RET | libc::BPF_K, 0, 0, ACCEPT)];
    } else {
        program.push((libc::BPF_RET | libc::BPF_K, 0, 0, DROP));
    }
    encode(&program)
}

fn encode(program: &[Instruction]) -> Vec<SockFilter> {
    program
        .iter()
        // Every code above fits sixteen bits; the C headers give them as wider integers.
        .map(|(code, yes, no, constant)| {
            SockFilter::new(u16::try_from(*code).unwrap_or(0), *yes, *no, *constant)
        })
        .collect()
}
