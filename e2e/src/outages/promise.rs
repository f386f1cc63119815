//! What a step may cost: the promises that it is held against.

use std::time::Duration;

/// What four nodes on two cores make each other wait for.
const HICCUPS: Duration = Duration::from_millis(1500);
/// From the loss of a holder to the first new connection to the next.
const TAKEOVER: Duration = Duration::from_millis(5500);

/// The longest outage that a step may cost.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// For new connections.
    pub new: Duration,
    /// For the established connection.
    pub established: Duration,
    /// For new connections to a second service, once it is there.
    pub service: Duration,
    /// For how long two nodes may hold an address.
    pub held_twice: Duration,
}

impl Promise {
    /// No address moves: nothing but the machine's own hiccups.
    pub const UNDISTURBED: Self = Self::outage(HICCUPS);
    /// The holder is lost: three advertisements of a second and the skew (RFC 9568), and a moment for TLS on a busy machine. What
    /// a client has asked meanwhile its kernel repeats after 0.2, 0.6, 1.4, 3.0 and 6.2 s, and not when the address has moved, after
    /// 3.5 s: only then is its connection reset by the new holder, and made anew.
    pub const FAILOVER: Self = Self {
        established: Duration::from_secs(8),
        ..Self::outage(TAKEOVER)
    };
    /// The same, but the address that is left behind goes only when its lifetime of four seconds has run out.
    pub const AGENT: Self = Self::FAILOVER
        .unanswered()
        .held_twice(Duration::from_millis(2500));
    /// Three probes of at most a second fail, and the address is handed over.
    pub const PROBED: Self = Self::outage(Duration::from_secs(7));
    /// The same, but the API server waits up to two seconds for its own etcd before it says that it is not ready.
    pub const ETCD: Self = Self::outage(Duration::from_secs(9));
    /// The address does not move, and the proxy leads new clients elsewhere as soon as the API server refuses them. One that is
    /// connected to an API server on its way out hears that it is not ready, until three checks, a second apart, have failed.
    pub const BEHIND_THE_PROXY: Self = Self {
        new: Duration::from_millis(2500),
        established: Duration::from_millis(4500),
        ..Self::UNDISTURBED
    };
    /// The holder of the service's address is lost; the control plane's is another's.
    pub const SERVICE_LOST: Self = Self::UNDISTURBED.service(TAKEOVER);
    /// Three probes of the service, a second apart, find nobody, and its address is handed over.
    pub const SERVICE_ENDED: Self = Self::UNDISTURBED.service(Duration::from_secs(5));
    /// The address is handed over, and nobody notices.
    pub const HANDED_OVER: Self = Self::UNDISTURBED;
    /// Nobody can serve until the quorum is back.
    pub const NO_QUORUM: Self = Self::outage(Duration::from_mins(4));
    /// Two who cannot hear each other both hold the address, and who hears both follows the one that took over: the one that is alone
    /// finds its API server without quorum, and keeps the address without a word. If it reminds the neighbors of itself just
    /// before it knows, the other one's second announcement, five seconds after the first, calls them back.
    pub const SPLIT: Self = Self {
        established: Duration::from_secs(12),
        ..Self::outage(Duration::from_secs(10)).held_twice(Duration::from_secs(45))
    };
    /// Kernels are up at once here; kubelets, etcd and API servers start on two cores.
    pub const COLD_START: Self = Self::outage(Duration::from_mins(3));

    /// The same for all connections. One holder at a time, but that a hand-over has two for a moment, so that none is without.
    const fn outage(longest: Duration) -> Self {
        Self {
            new: longest,
            established: longest,
            service: HICCUPS,
            held_twice: Duration::from_millis(500),
        }
    }

    /// And a connection whose answer was under way as the address left may wait until its client gives it up: nobody is there who
    /// could reset it before the address goes.
    const fn unanswered(self) -> Self {
        Self {
            established: Duration::from_secs(50),
            ..self
        }
    }

    /// And an outage of the service as long as this.
    const fn service(self, longest: Duration) -> Self {
        Self {
            service: longest,
            ..self
        }
    }

    /// And two holders for as long as `time`.
    const fn held_twice(self, time: Duration) -> Self {
        Self {
            held_twice: time,
            ..self
        }
    }
}
