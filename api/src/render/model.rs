//! From a node's spec to the validated model. Rendering and the rules leave nothing to refuse here but secrets; a spec from
//! elsewhere (a cache, another version's operator) is refused value by value.

use core::net::IpAddr;
use core::str::FromStr;

use holdfast_vrrp as vrrp;
use ipnet::IpNet;
use thiserror::Error;

use super::probes;
use super::secrets::{SecretSource, Secrets};
use crate::model;
use crate::v1alpha1::{
    Address, Announcement, Authentication, AuthenticationType, Bind, Checksum, Family, Mode, NodeGroup, Peer,
    Preemption, PreemptionType, VirtualIPNodeSpec,
};

/// Why a group cannot be run.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("group {group}: {field}: {sentence}")]
pub struct ModelError {
    /// The group's name.
    pub group: String,
    /// The field in the group as the user writes it.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub sentence: String,
}

/// The validated form of a node's whole spec, or every reason why a group of it cannot be run.
pub fn model_node(
    spec: &VirtualIPNodeSpec,
    secrets: Secrets<'_>,
) -> Result<model::NodeSpec, Vec<ModelError>> {
    let (mut node, mut errors) = (model::NodeSpec::default(), Vec::new());
    for group in &spec.groups {
        match model_group(group, secrets) {
            Ok(group) => drop(node.groups.insert(group.name.clone(), group)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(node) } else { Err(errors) }
}

/// The validated form of one group of a node's spec, or the first reason why it cannot be run.
pub fn model_group(group: &NodeGroup, secrets: Secrets<'_>) -> Result<model::NodeGroup, ModelError> {
    let at = |field: &'static str| {
        move |sentence: String| ModelError {
            group: group.name.clone(),
            field,
            sentence,
        }
    };
    let family = group.advertisement.family.into();
    let sources = parse_all::<IpAddr>(&group.source_addresses, "an address")
        .map_err(at("spec.nodeOverrides[].sourceAddress"))?;
    let priority = byte(group.priority)
        .and_then(vrrp::Priority::new)
        .ok_or_else(|| format!("{} is not a number from 1 to 255", group.priority))
        .map_err(at("spec.priority"))?;
    let damping = probes::damping(group.flap_damping).map_err(at("spec.flapDamping"))?;
    let probes = probes::probes(group, priority, damping, secrets).map_err(at("spec.probes"))?;
    Ok(model::NodeGroup {
        name: group.name.clone(),
        uid: group.uid.clone(),
        generation: group.generation,
        virtual_router_id: byte(group.virtual_router_id)
            .and_then(vrrp::VirtualRouterId::new)
            .ok_or_else(|| format!("{} is not a number from 1 to 255", group.virtual_router_id))
            .map_err(at("spec.virtualRouterID"))?,
        interface: group.interface.clone(),
        source_address: sources
            .into_iter()
            .find(|source| vrrp::Family::of(*source) == family),
        addresses: addresses(&group.addresses, family).map_err(at("spec.addresses"))?,
        family,
        priority,
        advertisement: advertisement(group, family).map_err(at("spec.advertisement"))?,
        preemption: preemption(&group.preemption).map_err(at("spec.preemption"))?,
        authentication: authentication(&group.authentication, secrets).map_err(at("spec.authentication"))?,
        announcement: announcement(group.announcement).map_err(at("spec.announcement"))?,
        startup_delay: group.startup_delay.get(),
        probes: probes.run,
        health: probes.policy,
        preferred: group
            .preferred
            .as_ref()
            .map(|preferred| preferred.until.as_ref().map(|until| until.0)),
        sync_group: group.sync_group.clone(),
        may_become_active: group.may_become_active,
        deleted: group.deleted,
    })
}

fn addresses(written: &[Address], family: vrrp::Family) -> Result<Vec<model::Address>, String> {
    let addresses = written.iter().map(|address| {
        let network: IpNet = parse(&address.address, "an address with its prefix length")?;
        Ok(model::Address {
            address: network.addr(),
            prefix_length: network.prefix_len(),
            interface: address.interface.clone(),
            label: address.label.clone(),
            bind: match address.bind {
                Bind::HostPrefix => model::Bind::HostPrefix,
                Bind::AsWritten => model::Bind::AsWritten,
            },
        })
    });
    let addresses: Vec<model::Address> = addresses.collect::<Result<_, String>>()?;
    if addresses
        .iter()
        .any(|address| vrrp::Family::of(address.address) == family)
    {
        Ok(addresses)
    } else {
        Err(format!(
            "none of the addresses is {family}, in which the election is held"
        ))
    }
}

fn advertisement(group: &NodeGroup, family: vrrp::Family) -> Result<model::Advertisement, String> {
    let written = &group.advertisement;
    let version = match written.version {
        2 if family == vrrp::Family::V6 => return Err("VRRPv2 speaks IPv4 only".to_owned()),
        2 => vrrp::Version::V2,
        3 => vrrp::Version::V3,
        other => return Err(format!("{other} is not a version of VRRP: write 2 or 3")),
    };
    let mode = match (written.mode, &written.multicast_group) {
        (Mode::Multicast, Some(address)) => model::Mode::Multicast(parse(address, "an address")?),
        (Mode::Multicast, None) => return Err("the multicast group is missing".to_owned()),
        (Mode::Unicast, _) => model::Mode::Unicast(
            group
                .peers
                .iter()
                .map(|peer| named_peer(peer, family))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(model::Advertisement {
        version,
        interval: vrrp::Interval::new(version, written.interval.get()).map_err(|error| error.to_string())?,
        mode,
        checksum: match written.checksum {
            Checksum::WithPseudoHeader => vrrp::Checksum::WithPseudoHeader,
            Checksum::WithoutPseudoHeader => vrrp::Checksum::WithoutPseudoHeader,
        },
    })
}

fn named_peer(peer: &Peer, family: vrrp::Family) -> Result<model::NamedPeer, String> {
    let addresses = parse_all::<IpAddr>(&peer.addresses, "an address")?;
    let address = addresses
        .into_iter()
        .find(|address| vrrp::Family::of(*address) == family)
        .ok_or_else(|| format!("peer `{}` has no {family} address", peer.name))?;
    let min_ttl = byte(peer.min_ttl).filter(|ttl| *ttl > 0).ok_or_else(|| {
        format!(
            "peer `{}`: minTTL {} is not a number from 1 to 255",
            peer.name, peer.min_ttl
        )
    })?;
    Ok(model::NamedPeer {
        name: peer.name.clone(),
        peer: vrrp::Peer { address, min_ttl },
    })
}

fn preemption(written: &Preemption) -> Result<vrrp::Preemption, String> {
    match (written.type_, written.delay) {
        (PreemptionType::Immediate, _) => Ok(vrrp::Preemption::Immediate),
        (PreemptionType::Never, _) => Ok(vrrp::Preemption::Never),
        (PreemptionType::Delayed, Some(delay)) => Ok(vrrp::Preemption::Delayed(delay.get())),
        (PreemptionType::Delayed, None) => Err("the delay is missing".to_owned()),
    }
}

fn authentication(written: &Authentication, secrets: Secrets<'_>) -> Result<vrrp::Authentication, String> {
    match written.type_ {
        AuthenticationType::None => return Ok(vrrp::Authentication::None),
        AuthenticationType::Password => {}
        AuthenticationType::AH | AuthenticationType::HMAC => {
            return Err(format!(
                "{:?} is not supported yet: use Password with `version: 2`, or None",
                written.type_
            ));
        }
    }
    let source = match (&written.file, &written.secret_ref) {
        (Some(file), None) => SecretSource::File(file.clone()),
        (None, Some(secret)) => SecretSource::password(secret),
        _ => return Err("Password needs exactly one of `file` and `secretRef`".to_owned()),
    };
    let password = secrets(&source)?;
    // keepalived cuts a longer one silently, and two passwords that differ in the ninth byte are then the same.
    let mut padded = [0; 8];
    match password.len() {
        0 => Err("the password is empty: write 1 to 8 bytes".to_owned()),
        1..=8 => {
            padded[..password.len()].copy_from_slice(&password);
            Ok(vrrp::Authentication::Password(padded))
        }
        length => Err(format!(
            "the password has {length} bytes and VRRPv2 carries 8: shorten it on all members (keepalived uses the first 8)"
        )),
    }
}

fn announcement(written: Announcement) -> Result<model::Announcement, String> {
    Ok(model::Announcement {
        count: byte(written.count)
            .filter(|count| (1..=20).contains(count))
            .ok_or_else(|| format!("count {} is not a number from 1 to 20", written.count))?,
        repeat_after: written.repeat_after.get(),
        refresh_interval: written.refresh_interval.get(),
        arp_reply: written.arp_reply,
    })
}

impl From<Family> for vrrp::Family {
    fn from(family: Family) -> Self {
        match family {
            Family::IPv4 => Self::V4,
            Family::IPv6 => Self::V6,
        }
    }
}

pub(super) fn byte(number: i32) -> Option<u8> {
    u8::try_from(number).ok()
}

pub(super) fn parse<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not {what}"))
}

fn parse_all<T: FromStr>(texts: &[String], what: &str) -> Result<Vec<T>, String> {
    texts.iter().map(|text| parse(text, what)).collect()
}
