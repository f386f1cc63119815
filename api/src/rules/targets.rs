//! Checks of whom a probe asks: hosts, ports, sockets, addresses, and that it is not the group itself.

use core::net::IpAddr;

use ipnet::IpNet;

use super::addresses::is_readable;
use super::cel::Cel;
use super::places::{hosts, probes};
use super::probes::each;
use super::{Finding, is_mapped, is_usable, is_virtual};
use crate::model::probe::Host;
use crate::v1alpha1::{Family, VirtualIPGroup};

pub(super) const HOST: Cel = Cel::new(
    &[
        "spec.probes[].httpGet.host",
        "spec.probes[].tcpSocket.host",
        "spec.probes[].grpc.host",
        "spec.probes[].mysql.host",
        "spec.probes[].presetOptions.host",
    ],
    // The last label of a name is no number, or 10.0.0.300 would be one.
    r"isIP(self) || self.matches('^([A-Za-z0-9_-]+[.])*[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*[.]?$') || self.matches('^\\[?[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\\]?$')",
)
.value("self");

pub(super) fn host(group: &VirtualIPGroup) -> Vec<Finding> {
    of_hosts(group, |written| Host::read(written).is_none())
}

pub(super) fn host_name(group: &VirtualIPGroup) -> Vec<Finding> {
    of_hosts(group, |written| {
        matches!(Host::read(written), Some(Host::Name(_)))
    })
}

fn of_hosts(group: &VirtualIPGroup, is_found: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, probe) in probes(group) {
        let those = hosts(probe).into_iter().filter(|(_, written)| is_found(written));
        found.extend(those.map(|(place, written)| Finding::at(format!("{path}.{place}")).value(written)));
    }
    found
}

/// Addresses in brackets and IPv4 addresses written as IPv6 are left to the operator.
pub(super) const NOT_VIRTUAL: Cel = Cel::new(
    &["spec"],
    "!has(self.probes) || !self.probes.exists(p, $asks_virtual(p))",
)
.field(".probes")
.index("self.probes.transformList(i, p, $asks_virtual(p), i)[0]")
.value("self.probes[$index].name");

pub(super) fn not_virtual(group: &VirtualIPGroup) -> Vec<Finding> {
    let is_own = |address: IpAddr| is_virtual(&group.spec, address);
    let mut found = Vec::new();
    for (path, probe) in probes(group) {
        let peer = probe.peer.as_ref().map(|peer| ("peer.address", &*peer.address));
        let asked = hosts(probe).into_iter().chain(peer);
        let own = asked.filter(|(_, written)| match Host::read(written) {
            Some(Host::Address(address)) => is_own(address),
            _ => false,
        });
        found.extend(own.map(|(place, _)| Finding::at(format!("{path}.{place}")).value(&probe.name)));
    }
    found
}

pub(super) const TCP: Cel = Cel::new(&["spec.probes[].tcpSocket"], "has(self.port) != has(self.socket)")
    .value("(has(self.port) ? 'both' : 'neither')");

pub(super) fn tcp(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "tcpSocket", |probe| {
        let action = probe.tcp_socket.as_ref()?;
        match (action.port, &action.socket) {
            (Some(_), None) | (None, Some(_)) => None,
            (Some(_), Some(_)) => Some(Finding::default().value("both")),
            (None, None) => Some(Finding::default().value("neither")),
        }
    })
}

pub(super) const SOCKET_HOST: Cel = Cel::new(
    &["spec.probes[].tcpSocket", "spec.probes[].presetOptions"],
    "!has(self.host) || !has(self.socket)",
)
.field(".host");

pub(super) fn socket_host(group: &VirtualIPGroup) -> Vec<Finding> {
    let mut found = each(group, "tcpSocket.host", |probe| {
        let action = probe.tcp_socket.as_ref()?;
        (action.host.is_some() && action.socket.is_some()).then(Finding::default)
    });
    found.extend(each(group, "presetOptions.host", |probe| {
        let options = probe.preset_options.as_ref()?;
        (options.host.is_some() && options.socket.is_some()).then(Finding::default)
    }));
    found
}

pub(super) const PEER: Cel = Cel::new(&["spec.probes[].peer.address"], "$usable(self)").value("self");

pub(super) fn peer(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "peer.address", |probe| {
        let written = &probe.peer.as_ref()?.address;
        (!written.parse().is_ok_and(is_usable)).then(|| Finding::default().value(written))
    })
}

pub(super) const DESTINATION: Cel =
    Cel::new(&["spec.probes[].route.destination"], "isCIDR(self)").value("self");

pub(super) fn destination(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "route.destination", |probe| {
        let written = &probe.route.as_ref()?.destination;
        (!is_destination(written)).then(|| Finding::default().value(written))
    })
}

pub(super) const GATEWAY: Cel = Cel::new(
    &["spec.probes[].route"],
    "!has(self.gateway) || !isCIDR(self.destination) \
     || isIP(self.gateway) && ip(self.gateway).family() == cidr(self.destination).ip().family()",
)
.field(".gateway")
.value("self.gateway")
.other("(cidr(self.destination).ip().family() == 4 ? 'IPv4' : 'IPv6')");

pub(super) fn gateway(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "route.gateway", |probe| {
        let route = probe.route.as_ref()?;
        let (written, destination) = (route.gateway.as_ref()?, &route.destination);
        let family = Family::of(destination.parse::<IpNet>().ok()?.addr());
        let is_right = written
            .parse()
            .is_ok_and(|gateway| Family::of(gateway) == family && !is_mapped(gateway));
        let is_known = is_destination(destination);
        (is_known && !is_right).then(|| Finding::default().value(written).other(family))
    })
}

fn is_destination(written: &str) -> bool {
    let network = written.parse::<IpNet>();
    is_readable(written) && network.is_ok_and(|network| !is_mapped(network.addr()))
}
