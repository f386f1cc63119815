//! Probes that look at the node itself: programs, processes, files, interfaces, routes, and who answers on the link.

mod exec;
mod file;
mod output;
mod process;
mod processes;
mod program;
mod security;
mod turn;
mod user;
mod walk;
mod watch;

pub use exec::Exec;
pub use file::File;
pub use process::Process;
pub use processes::Processes;
