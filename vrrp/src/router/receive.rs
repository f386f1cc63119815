//! Which packets are believed: every reason to drop one, in order, and what the believed ones say.

use core::net::IpAddr;

use super::VirtualRouter;
use crate::config::{Authentication, Config, Transport};
use crate::evidence::DropReason;
use crate::io::Received;
use crate::types::{Interval, Version};
use crate::wire::vrrp;

/// What a believed advertisement says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    /// The sender's address in the election.
    pub(super) router: IpAddr,
    /// Its priority; 0 says that it leaves.
    pub(super) priority: u8,
    /// The interval at which it advertises.
    pub(super) interval: Interval,
    /// Whether it lists the addresses that this router has.
    pub(super) same_addresses: bool,
}

impl VirtualRouter {
    /// Judges a packet (RFC 9568 §7.1, RFC 3768 §7.1). Looks at nothing but the configuration and whether the router
    /// takes part, and changes nothing: a dropped packet leaves no trace but its count.
    pub(super) fn judge(&self, received: &Received<'_>) -> Result<Heard, DropReason> {
        if !self.listens() {
            return Err(DropReason::NotParticipating);
        }
        let config = &self.config;
        if config.source == Some(received.source) {
            return Err(DropReason::OwnAddress);
        }
        let min_ttl = admit(&config.transport, received)?;
        if received.ttl < min_ttl {
            return Err(DropReason::Ttl {
                ttl: received.ttl,
                min: min_ttl,
            });
        }
        let packet = vrrp::parse(
            received.payload,
            config.version,
            received.source,
            received.destination,
        )?;
        if packet.virtual_router_id != config.virtual_router_id {
            return Err(DropReason::OtherVirtualRouter {
                theirs: packet.virtual_router_id.get(),
                ours: config.virtual_router_id.get(),
            });
        }
        if config.version == Version::V2 {
            authenticate(&config.authentication, packet.authentication)?;
            // RFC 3768 §7.1; VRRPv3 adopts the other interval instead.
            if packet.interval != config.interval {
                return Err(DropReason::IntervalMismatch {
                    theirs: packet.interval.get(),
                    ours: config.interval.get(),
                });
            }
        }
        Ok(Heard {
            router: received.source,
            priority: packet.priority,
            interval: packet.interval,
            same_addresses: lists_addresses_of(config, &packet.addresses),
        })
    }
}

/// Whether the packet came by the way that `transport` describes, and the smallest TTL with which it is believed.
fn admit(transport: &Transport, received: &Received<'_>) -> Result<u8, DropReason> {
    match transport {
        Transport::Multicast(group) if received.destination == *group => Ok(u8::MAX),
        Transport::Multicast(_) => Err(DropReason::WrongDestination),
        Transport::Unicast(_) if received.destination.is_multicast() => Err(DropReason::WrongDestination),
        Transport::Unicast(peers) => {
            let peer = peers.iter().find(|peer| peer.address == received.source);
            peer.map(|peer| peer.min_ttl).ok_or(DropReason::UnknownPeer)
        }
    }
}

/// RFC 3768 §5.3.6 and §7.1: the type and, for a password, all eight bytes are this router's own.
fn authenticate(own: &Authentication, theirs: vrrp::Authentication) -> Result<(), DropReason> {
    let same = match (own, theirs) {
        (Authentication::None, vrrp::Authentication::None) => true,
        (Authentication::Password(own), vrrp::Authentication::Password(theirs)) => *own == theirs,
        _ => false,
    };
    if same {
        Ok(())
    } else {
        Err(DropReason::AuthenticationMismatch)
    }
}

fn lists_addresses_of(config: &Config, theirs: &vrrp::Addresses<'_>) -> bool {
    config.advertised().eq(theirs.clone())
        || config.advertised().count() == theirs.len()
            && theirs
                .clone()
                .all(|address| config.advertised().any(|own| own == address))
}
