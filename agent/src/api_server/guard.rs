//! Keeps the agent from reaching the API server through a virtual address that this node may hold: it would talk to itself,
//! or to nobody, just when it matters.

use core::net::IpAddr;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Which addresses are never dialed, and what was.
#[derive(Debug, Default)]
pub struct Guard {
    addresses: Mutex<Addresses>,
    /// The host that was refused last, until another one was dialed.
    refused: watch::Sender<Option<String>>,
    /// Counts how often what was dialed became an address of this node.
    severed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Addresses {
    /// The virtual addresses of the groups that this node runs.
    own: BTreeSet<IpAddr>,
    /// Where connections that may still be open lead.
    dialed: BTreeSet<IpAddr>,
}

/// A connection that was not made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{host} is a virtual address of a group that this node runs, and is not dialed: give the agent an endpoint of this \
     node's own with --api-server (https://127.0.0.1:6443)"
)]
pub struct Refused {
    /// The host as it is written.
    pub host: String,
}

impl Guard {
    /// From now on these are the virtual addresses of this node. Connections that lead to one of them are to be given up.
    pub fn protect(&self, own: BTreeSet<IpAddr>) {
        let mut addresses = self.addresses();
        let severed = !own.is_disjoint(&addresses.dialed);
        if severed {
            addresses.dialed.clear();
        }
        addresses.own = own;
        drop(addresses);
        if severed {
            self.severed.send_modify(|count| *count += 1);
        }
    }

    /// Of the addresses of `host`, those that may be dialed; refused if none is left of any.
    pub fn allow(&self, host: &str, found: &[IpAddr]) -> Result<BTreeSet<IpAddr>, Refused> {
        let mut addresses = self.addresses();
        let allowed: BTreeSet<IpAddr> = found
            .iter()
            .filter(|address| !addresses.own.contains(&address.to_canonical()))
            .copied()
            .collect();
        addresses.dialed.extend(allowed.iter().map(IpAddr::to_canonical));
        drop(addresses);
        let refused = (allowed.is_empty() && !found.is_empty()).then(|| host.to_owned());
        self.refused.send_if_modified(|before| {
            let changed = *before != refused;
            before.clone_from(&refused);
            changed
        });
        match refused {
            None => Ok(allowed),
            Some(host) => Err(Refused { host }),
        }
    }

    /// Follows which host is refused, if one is.
    pub fn refused(&self) -> watch::Receiver<Option<String>> {
        self.refused.subscribe()
    }

    /// Changes whenever open connections are to be given up.
    pub fn severed(&self) -> watch::Receiver<u64> {
        self.severed.subscribe()
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        // Every write leaves both sets whole.
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn guard(own: &[&str]) -> Guard {
        let guard = Guard::default();
        guard.protect(own.iter().map(|text| ip(text)).collect());
        guard
    }

    #[test]
    fn an_address_of_this_node_is_refused_however_it_is_written() {
        let guard = guard(&["10.0.0.100", "fd00::100"]);
        for address in ["10.0.0.100", "::ffff:10.0.0.100", "fd00::100"] {
            let refused = guard.allow("api.example.org", &[ip(address)]).unwrap_err();
            assert!(refused.to_string().contains("--api-server"), "{refused}");
            assert_eq!(guard.refused().borrow().as_deref(), Some("api.example.org"));
        }
        guard.allow("10.0.0.11", &[ip("10.0.0.11")]).unwrap();
        assert_eq!(*guard.refused().borrow(), None, "the refusal is over");
    }

    #[test]
    fn of_a_name_with_several_addresses_the_others_are_dialed() {
        let guard = guard(&["10.0.0.100"]);
        let allowed = guard.allow("api", &[ip("10.0.0.100"), ip("10.0.0.11")]).unwrap();
        assert_eq!(allowed, BTreeSet::from([ip("10.0.0.11")]));
    }

    #[test]
    fn what_was_dialed_is_given_up_when_it_becomes_an_address_of_this_node() {
        let guard = guard(&["10.0.0.7"]);
        guard.allow("10.0.0.100", &[ip("10.0.0.100")]).unwrap();
        let mut severed = guard.severed();
        guard.protect(BTreeSet::from([ip("10.0.0.8")]));
        assert!(!severed.has_changed().unwrap());
        guard.protect(BTreeSet::from([ip("10.0.0.100")]));
        assert!(severed.has_changed().unwrap());
        severed.mark_unchanged();
        guard.protect(BTreeSet::from([ip("10.0.0.100"), ip("10.0.0.9")]));
        assert!(!severed.has_changed().unwrap(), "once is enough");
    }
}
