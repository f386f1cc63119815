//! Real-time priority and locked memory for the engine's thread, where the system allows them.

use crate::sys;

/// Above everything ordinary, below the kernel's own real-time threads.
const REAL_TIME_PRIORITY: i32 = 10;

/// Asks for both for the calling thread and returns what was refused, each in a sentence.
pub fn raise() -> Vec<String> {
    let mut refused = Vec::new();
    if let Err(error) = sys::set_realtime(REAL_TIME_PRIORITY) {
        refused.push(format!(
            "real-time priority was refused ({error}): a busy node may delay advertisements; grant CAP_SYS_NICE"
        ));
    }
    if let Err(error) = sys::lock_memory() {
        refused.push(format!(
            "locking memory was refused ({error}): a node short of memory may delay advertisements; grant CAP_IPC_LOCK"
        ));
    }
    refused
}
