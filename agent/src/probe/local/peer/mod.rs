//! Asks an address whether it is there: its neighbors by ARP or neighbor discovery, anybody by an ICMP echo.
//!
//! That nobody answers is found by the time limit of the run alone. Until then the question is repeated, because one packet
//! that is lost is nobody's failure.

mod echo;
mod neighbor;

use core::time::Duration;

pub use echo::Echo;
pub use neighbor::Neighbor;

/// How often a question is repeated that nobody has answered: as often as the kernel itself asks its neighbors.
const REPEAT: Duration = Duration::from_secs(1);
