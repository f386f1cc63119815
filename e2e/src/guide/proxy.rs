//! The two proxies that the guide puts in front of the API servers, and what it calls theirs.

/// A proxy that leads clients to any API server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proxy {
    /// HAProxy, which asks each API server whether it is ready.
    Haproxy,
    /// nginx, which asks nobody.
    Nginx,
}

impl Proxy {
    /// Its program, its container and its Pod.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }

    /// The preset of probes that looks at it.
    pub const fn preset(self) -> &'static str {
        match self {
            Self::Haproxy => "HAProxy",
            Self::Nginx => "Nginx",
        }
    }

    /// Where a node has its configuration.
    pub const fn configuration(self) -> &'static str {
        match self {
            Self::Haproxy => "/etc/haproxy/haproxy.cfg",
            Self::Nginx => "/etc/nginx/apiserver.conf",
        }
    }

    /// Where a node has its Pod.
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Haproxy => "/etc/kubernetes/manifests/haproxy.yaml",
            Self::Nginx => "/etc/kubernetes/manifests/nginx.yaml",
        }
    }
}
