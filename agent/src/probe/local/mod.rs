//! Probes that look at the node itself: programs, processes, files, interfaces, routes, and who answers on the link.

mod exec;
mod output;
mod process;
mod processes;
mod program;
mod security;
mod turn;
mod user;

pub use exec::Exec;
pub use process::Process;
pub use processes::Processes;
