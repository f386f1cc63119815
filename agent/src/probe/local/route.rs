//! Looks for a route: passes while there is one to exactly this destination that leads somewhere.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_api::model::probe as model;
use holdfast_health::{Outcome, Run};

use super::kernel;
use super::turn::Turns;
use crate::probe::check::{Check, Scene};

const HELD_UP: &str = "an earlier run still waits for the kernel to show its routes";

/// Looks for a route again and again.
#[derive(Debug)]
pub struct Route {
    wanted: model::Route,
    turns: Turns,
}

impl Route {
    /// One like this.
    pub fn new(wanted: model::Route) -> Self {
        Self {
            wanted,
            turns: Turns::default(),
        }
    }
}

impl Check for Route {
    fn run<'a>(&'a mut self, _scene: &'a Scene) -> BoxFuture<'a, Run> {
        let wanted = self.wanted.clone();
        self.turns
            .work(HELD_UP, move || look(&wanted).unwrap_or_else(|run| run))
            .map(|result| result.unwrap_or_else(|run| run))
            .boxed()
    }
}

fn look(wanted: &model::Route) -> Result<Run, Run> {
    let unknown = |error| {
        Run::new(
            Outcome::CouldNotRun,
            format!("the kernel does not show routes: {error}"),
        )
    };
    let interface = match &wanted.interface {
        Some(name) => {
            let link = kernel::link(name).map_err(unknown)?;
            let missing = || Run::new(Outcome::Failed, format!("{name} does not exist"));
            Some(link.ok_or_else(missing)?.index)
        }
        None => None,
    };
    let is_v4 = wanted.destination.addr().is_ipv4();
    let routes = kernel::routes(is_v4, wanted.table, |route| leads_to(route, wanted)).map_err(unknown)?;
    Ok(judge(wanted, interface, &routes))
}

/// Whether the route's destination is the one that is wanted.
fn leads_to(route: &kernel::Route, wanted: &model::Route) -> bool {
    let destination = wanted.destination.trunc();
    let is_default = route.destination.is_none() && destination.prefix_len() == 0;
    route.prefix_length == destination.prefix_len()
        && (is_default || route.destination == Some(destination.addr()))
}

/// What is to be said about the routes to the destination.
fn judge(wanted: &model::Route, interface: Option<u32>, routes: &[kernel::Route]) -> Run {
    let name = name(wanted);
    let mut why = format!("there is no route {name}");
    for route in routes {
        match route.kind {
            libc::RTN_BLACKHOLE | libc::RTN_UNREACHABLE | libc::RTN_PROHIBIT | libc::RTN_THROW => {
                why = format!("the route {name} refuses all packets");
                continue;
            }
            _ => {}
        }
        for hop in &route.hops {
            let is_wanted = interface.is_none_or(|interface| hop.interface == interface)
                && wanted.gateway.is_none_or(|gateway| hop.gateway == Some(gateway));
            if !is_wanted {
                continue;
            }
            if !hop.down {
                return Run::new(Outcome::Passed, "");
            }
            why = format!("the route {name} leads through a link that is down");
        }
    }
    Run::new(Outcome::Failed, why)
}

/// The route in the words of `ip route`.
fn name(wanted: &model::Route) -> String {
    /// The table that is meant where none is named.
    const MAIN: u32 = 254;
    let via = wanted.gateway.map(|gateway| format!(" via {gateway}"));
    let dev = wanted
        .interface
        .as_ref()
        .map(|interface| format!(" dev {interface}"));
    let table = (wanted.table != MAIN).then(|| format!(" in table {}", wanted.table));
    let [via, dev, table] = [via, dev, table].map(Option::unwrap_or_default);
    format!("to {}{via}{dev}{table}", wanted.destination.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::local::kernel::Hop;

    fn wanted(destination: &str, interface: Option<&str>, gateway: Option<&str>) -> model::Route {
        model::Route {
            destination: destination.parse().unwrap(),
            interface: interface.map(Into::into),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            table: 254,
        }
    }

    fn hop(interface: u32, gateway: Option<&str>) -> Hop {
        Hop {
            interface,
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            down: false,
        }
    }

    fn route(kind: u8, hops: &[Hop]) -> kernel::Route {
        kernel::Route {
            destination: None,
            prefix_length: 0,
            table: 254,
            kind,
            hops: hops.to_vec(),
        }
    }

    fn words(wanted: &model::Route, interface: Option<u32>, routes: &[kernel::Route]) -> String {
        judge(wanted, interface, routes).message
    }

    #[test]
    fn a_route_has_to_lead_where_it_is_wanted_to_lead_on_one_way() {
        let any = wanted("0.0.0.0/0", None, None);
        let exact = wanted("0.0.0.0/0", Some("eth1"), Some("192.0.2.1"));
        let two_ways = route(
            libc::RTN_UNICAST,
            &[hop(2, Some("198.51.100.1")), hop(3, Some("192.0.2.1"))],
        );
        let crossed = route(
            libc::RTN_UNICAST,
            &[hop(3, Some("198.51.100.1")), hop(2, Some("192.0.2.1"))],
        );
        assert_eq!(words(&any, None, core::slice::from_ref(&two_ways)), "");
        assert_eq!(words(&exact, Some(3), &[crossed.clone(), two_ways]), "");
        assert_eq!(
            words(&exact, Some(3), &[crossed]),
            "there is no route to 0.0.0.0/0 via 192.0.2.1 dev eth1"
        );
        assert_eq!(words(&any, None, &[]), "there is no route to 0.0.0.0/0");
        let table = model::Route { table: 100, ..any };
        assert_eq!(
            words(&table, None, &[]),
            "there is no route to 0.0.0.0/0 in table 100"
        );
    }

    #[test]
    fn a_route_that_refuses_or_whose_link_is_down_leads_nowhere() {
        let any = wanted("0.0.0.0/0", None, None);
        for kind in [
            libc::RTN_BLACKHOLE,
            libc::RTN_UNREACHABLE,
            libc::RTN_PROHIBIT,
            libc::RTN_THROW,
        ] {
            // Some of them name an interface: lo.
            let refusing = route(kind, &[hop(1, None)]);
            assert_eq!(
                words(&any, None, &[refusing]),
                "the route to 0.0.0.0/0 refuses all packets"
            );
        }
        let down = Hop {
            down: true,
            ..hop(2, None)
        };
        assert_eq!(
            words(&any, None, &[route(libc::RTN_UNICAST, &[down])]),
            "the route to 0.0.0.0/0 leads through a link that is down"
        );
        let one_of_two = route(libc::RTN_UNICAST, &[down, hop(3, None)]);
        assert_eq!(words(&any, None, &[one_of_two]), "");
    }

    #[test]
    fn only_exactly_this_destination_is_one() {
        let to = |destination: Option<&str>, prefix_length| kernel::Route {
            destination: destination.map(|destination| destination.parse().unwrap()),
            prefix_length,
            ..route(libc::RTN_UNICAST, &[])
        };
        let ten = wanted("10.1.2.3/8", None, None);
        assert!(leads_to(&to(Some("10.0.0.0"), 8), &ten), "host bits say nothing");
        assert!(!leads_to(&to(Some("10.0.0.0"), 16), &ten));
        assert!(!leads_to(&to(Some("11.0.0.0"), 8), &ten));
        assert!(!leads_to(&to(None, 0), &ten));
        for default in ["0.0.0.0/0", "::/0"] {
            assert!(leads_to(&to(None, 0), &wanted(default, None, None)));
            assert!(!leads_to(&to(Some("10.0.0.0"), 8), &wanted(default, None, None)));
        }
        assert!(leads_to(&to(Some("::"), 0), &wanted("::/0", None, None)));
    }
}
