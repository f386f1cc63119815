//! Probes that look at the node itself: programs, processes, files, interfaces, routes, and who answers on the link.

mod exec;
mod file;
mod interface;
mod kernel;
mod output;
mod peer;
mod process;
mod processes;
mod program;
mod route;
mod security;
mod turn;
mod user;
mod walk;
mod watch;

pub use exec::Exec;
pub use file::File;
pub use interface::Interface;
pub use peer::{Echo, Neighbor};
pub use process::Process;
pub use processes::Processes;
pub use route::Route;

use holdfast_api::model::probe as model;

use super::access::Access;
use super::check::Check;

/// What the probes of an agent see together, so that not each of them looks for itself.
#[derive(Clone, Default, Debug)]
pub struct Node {
    processes: Processes,
}

/// What looks for `check` on this node; `None` if that is to be asked of somebody by a protocol.
pub fn build(check: &model::Check, access: &Access, node: &Node) -> Option<Box<dyn Check>> {
    Some(match check {
        model::Check::Exec(exec) => Box::new(Exec::new(exec.clone(), access)),
        model::Check::Process(process) => Box::new(Process::new(process.clone(), node.processes.clone())),
        model::Check::File(file) => Box::new(File::new(file.clone())),
        model::Check::Interface(name) => Box::new(Interface::new(name.clone())),
        model::Check::Route(route) => Box::new(Route::new(route.clone())),
        model::Check::Peer(peer) => match peer.method {
            model::PeerMethod::Neighbor => Box::new(Neighbor::new(peer.address, peer.interface.clone())),
            model::PeerMethod::Icmp => Box::new(Echo::new(peer.address, peer.interface.clone())),
        },
        model::Check::Http(_) | model::Check::Tcp(_) | model::Check::Grpc(_) | model::Check::Mysql(_) => {
            return None;
        }
    })
}
