//! Opens connections to the API server: only where the guard allows, and with a peer that has vanished noticed in seconds.

use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use tower::{BoxError, Service};

use super::guard::Guard;

/// How long one address may take to answer the first packet.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection on which nothing is heard is asked after this time, again in this interval, and given up after so many
/// questions: a watch has nothing else to tell a quiet API server from a lost node.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// Dials for a client.
#[derive(Clone, Debug)]
pub struct Dialer {
    tcp: HttpConnector<Resolver>,
    guard: Arc<Guard>,
}

impl Dialer {
    /// A dialer that asks `guard` first.
    pub fn new(guard: Arc<Guard>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver {
            guard: Arc::clone(&guard),
        });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        tcp.set_tcp_user_timeout(Some(KEEPALIVE + KEEPALIVE_RETRIES * KEEPALIVE_INTERVAL));
        Self { tcp, guard }
    }
}

impl Service<Uri> for Dialer {
    type Response = <HttpConnector<Resolver> as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        // An address needs no resolving, so the resolver never sees it.
        if let Some(address) = server.host().and_then(address)
            && let Err(refused) = self.guard.allow(&address.to_string(), &[address])
        {
            return Box::pin(core::future::ready(Err(refused.into())));
        }
        let connection = self.tcp.call(server);
        Box::pin(async { connection.await.map_err(Into::into) })
    }
}

/// The address that stands in the place of a host's name, if one does.
pub fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Resolves names to the addresses that may be dialed.
#[derive(Clone, Debug)]
pub struct Resolver {
    guard: Arc<Guard>,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = Arc::clone(&self.guard);
        Box::pin(async move {
            // The port comes from the server's address, later.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
            let allowed = guard.allow(name.as_str(), &addresses)?;
            let kept: Vec<SocketAddr> = found
                .into_iter()
                .filter(|found| allowed.contains(&found.ip()))
                .collect();
            Ok(kept.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_host_is_an_address_with_and_without_brackets() {
        assert_eq!(address("10.0.0.1"), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(address("[fd00::1]"), Some("fd00::1".parse().unwrap()));
        assert_eq!(address("api.example.org"), None);
    }

    async fn dial(dialer: &mut Dialer, server: &str) -> Result<(), String> {
        let outcome = dialer.call(server.parse().unwrap()).await;
        outcome
            .map(drop)
            .map_err(|error| format!("{:#}", anyhow::Error::from_boxed(error)))
    }

    #[tokio::test]
    async fn an_address_of_this_node_is_not_dialed_by_its_number_nor_by_its_name() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let guard = Arc::new(Guard::default());
        let mut dialer = Dialer::new(Arc::clone(&guard));
        for host in ["127.0.0.1", "localhost"] {
            dial(&mut dialer, &format!("https://{host}:{port}"))
                .await
                .unwrap();
        }
        guard.protect(BTreeSet::from([
            "127.0.0.1".parse().unwrap(),
            "::1".parse().unwrap(),
        ]));
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let error = dial(&mut dialer, &format!("https://{host}:{port}"))
                .await
                .unwrap_err();
            assert!(error.contains("virtual address"), "{host}: {error}");
        }
    }
}
