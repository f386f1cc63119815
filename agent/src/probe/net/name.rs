//! Looks names up, anew for each run: what a name meant earlier is told to people and never dialed.

use core::net::IpAddr;
use std::io;
use std::net::ToSocketAddrs as _;
use std::sync::Arc;

use super::aside::Aside;
use super::failure::{Failure, quote};

/// Of a name with more addresses the rest is not tried.
const MOST_ADDRESSES: usize = 8;

/// What looks a name up, and may hang.
pub type LookUp = fn(&str) -> io::Result<Vec<IpAddr>>;

/// A name, and what it meant.
#[derive(Debug)]
pub struct Name {
    look_up: LookUp,
    host: Arc<str>,
    lookup: Aside<io::Result<Vec<IpAddr>>>,
    known: Vec<IpAddr>,
}

impl Name {
    /// Of a host, as this node knows it.
    pub fn new(name: &str) -> Self {
        Self::known_to(look_up, name)
    }

    /// Of a host, as `look_up` knows it.
    pub fn known_to(look_up: LookUp, name: &str) -> Self {
        Self {
            look_up,
            host: name.into(),
            lookup: Aside::default(),
            known: Vec::new(),
        }
    }

    /// Its addresses, at least one.
    pub async fn addresses(&mut self) -> Result<&[IpAddr], Failure> {
        let (look_up, host) = (self.look_up, Arc::clone(&self.host));
        let found = self.lookup.run(move || look_up(&host)).await;
        match found.and_then(|found| found) {
            Ok(found) if !found.is_empty() => {
                self.known = found;
                Ok(&self.known)
            }
            Ok(_) => Err(self.unresolved("it has no address")),
            Err(error) => Err(self.unresolved(&reason(&error))),
        }
    }

    /// What is to be said while it is looked up.
    pub fn pending(&self) -> String {
        format!("the name {} has not been resolved{}", self.host, self.before())
    }

    fn unresolved(&self, reason: &str) -> Failure {
        Failure::could_not_run(format!(
            "the name {} cannot be resolved: {reason}{}",
            self.host,
            self.before()
        ))
    }

    fn before(&self) -> String {
        match self.known.first() {
            Some(address) => format!(" (it was {address} before)"),
            None => String::new(),
        }
    }
}

fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    // The port is the caller's.
    for found in (name, 0).to_socket_addrs()? {
        if !addresses.contains(&found.ip()) && addresses.len() < MOST_ADDRESSES {
            addresses.push(found.ip());
        }
    }
    Ok(addresses)
}

fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let bare = text.strip_prefix("failed to lookup address information: ");
    quote(bare.unwrap_or(&text).as_bytes())
}

#[cfg(test)]
mod tests {
    use holdfast_health::Outcome;

    use super::*;

    #[tokio::test]
    async fn a_name_that_nobody_has_could_not_be_run_and_what_it_was_is_said() {
        let mut name = Name::new("holdfast.invalid");
        let failure = name.addresses().await.unwrap_err();
        assert_eq!(failure.outcome, Outcome::CouldNotRun);
        assert!(
            failure
                .message
                .starts_with("the name holdfast.invalid cannot be resolved: "),
            "{failure:?}"
        );
        assert!(!failure.message.contains("failed to lookup"), "{failure:?}");
        name.known = vec!["10.0.0.7".parse().unwrap()];
        let failure = name.addresses().await.unwrap_err();
        assert!(
            failure.message.ends_with("(it was 10.0.0.7 before)"),
            "{failure:?}"
        );
        assert_eq!(
            name.pending(),
            "the name holdfast.invalid has not been resolved (it was 10.0.0.7 before)"
        );
    }

    #[tokio::test]
    async fn this_nodes_own_name_is_known() {
        let mut name = Name::new("localhost");
        let found = name.addresses().await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
