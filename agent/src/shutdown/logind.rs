//! What logind offers on the bus, as far as it is used here
//! (<https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.login1.html>).

use core::time::Duration;

use zbus::{Connection, OwnedFd};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// logind.
#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
pub trait Manager {
    /// Has something wait for as long as the answer is open.
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;

    /// A shutdown begins, or is called off.
    #[zbus(signal)]
    fn prepare_for_shutdown(&self, start: bool) -> zbus::Result<()>;

    /// Whether one has begun.
    #[zbus(property(emits_changed_signal = "false"))]
    fn preparing_for_shutdown(&self) -> zbus::Result<bool>;
}

/// A connection to the bus at this address.
pub async fn connect(address: &str) -> zbus::Result<Connection> {
    let connection = zbus::connection::Builder::address(address)
        .method_timeout(ANSWER)
        .build();
    tokio::time::timeout(ANSWER, connection)
        .await
        .unwrap_or_else(|_| Err(zbus::Error::Failure("the bus does not answer".to_owned())))
}

/// Has shutdowns wait for as long as the answer is open, and logind's patience lasts.
pub async fn inhibit(manager: &ManagerProxy<'_>) -> zbus::Result<OwnedFd> {
    manager
        .inhibit(
            "shutdown",
            "holdfast-agent",
            "hands virtual addresses over to other nodes first",
            "delay",
        )
        .await
}
