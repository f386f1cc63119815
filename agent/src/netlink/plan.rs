//! Which requests a binding needs, given what the kernel has.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use holdfast_vrrp::Instant;

use super::Binding;
use super::change::{Command, DEAF_LIFETIME, Place, add, deafen, delete, extend};
use super::table::Table;

/// Where a binding's address lies.
pub(super) fn place(binding: &Binding) -> Place {
    Place {
        interface: binding.interface,
        address: binding.address,
        prefix_length: binding.prefix_length,
        peer: None,
    }
}

/// Where the companion (see [`super`]) of a binding's address lies, if it is to have one: an IPv4 host prefix that has a
/// node's address beside it.
fn companion(binding: &Binding) -> Option<Place> {
    let source = binding
        .preferred_source
        .filter(|source| source.is_ipv4() && *source != binding.address)?;
    let wanted = binding.address.is_ipv4() && place(binding).is_host();
    wanted.then_some(Place {
        address: source,
        peer: Some(binding.address),
        ..place(binding)
    })
}

/// The requests that put the binding's address on its interface, or extend its life if it lies there as it should.
pub(super) fn bind(table: &Table, now: Instant, binding: &Binding, lifetime: Duration) -> Vec<Command> {
    let (place, companion) = (place(binding), companion(binding));
    let present: Vec<Place> = table.companions(place.interface, place.address).collect();
    let mut commands = Vec::new();
    // The kernel chooses the route's source when the address is added; a wrong choice is mended only by adding anew.
    // Nor does it give an address its route back that an agent took from it before it died.
    let right = present.iter().eq(companion.iter())
        && (companion.is_none() || table.is_secondary(&place))
        && !table
            .expiry(&place)
            .is_some_and(|expiry| place.address.is_ipv4() && expiry <= now + DEAF_LIFETIME);
    if !right {
        commands.extend(table.has(&place).then(|| delete(&place)));
        commands.extend(present.iter().map(delete));
    }
    if let Some(companion) = &companion {
        // A label of its own, so that programs of old that ask for the interface's address get the node's.
        let label = table.link_name(place.interface).map(|name| format!("{name}:vip"));
        commands.push(add(companion, label.as_deref(), lifetime));
    }
    commands.push(add(&place, binding.label.as_deref(), lifetime));
    commands
}

/// The requests that extend the life of the binding's address, if it is still there.
pub(super) fn renew(table: &Table, binding: &Binding, lifetime: Duration) -> Vec<Command> {
    let places = [companion(binding), Some(place(binding))];
    places
        .iter()
        .flatten()
        .filter(|place| table.has(place))
        .map(|place| extend(place, lifetime))
        .collect()
}

/// The bindings whose addresses may be deaf for a moment before they are taken away, and the others. Over IPv6 a reset needs no
/// address to be sent from; and what is on another interface as well keeps its connections.
pub(super) fn sort(table: &Table, bindings: &[Binding]) -> (Vec<Binding>, Vec<Binding>) {
    let addresses: BTreeSet<IpAddr> = bindings.iter().map(|binding| binding.address).collect();
    let once = table.once(&addresses);
    bindings.iter().cloned().partition(|binding| {
        binding.address.is_ipv4() && once.contains(&binding.address) && table.has(&place(binding))
    })
}

/// The requests after which nothing reaches the binding's address any more, though it is there.
pub(super) fn leave(binding: &Binding) -> Vec<Command> {
    match binding.address {
        IpAddr::V4(address) => vec![
            extend(&place(binding), DEAF_LIFETIME),
            deafen(binding.interface, address),
        ],
        IpAddr::V6(_) => Vec::new(),
    }
}

/// The requests that take the binding's address away.
pub(super) fn unbind(table: &Table, binding: &Binding) -> Vec<Command> {
    let place = place(binding);
    let companions = table.companions(place.interface, place.address);
    core::iter::once(place)
        .chain(companions)
        .map(|place| delete(&place))
        .collect()
}
