//! The one system call the lab makes that no crate offers: real-time priority for the threads that measure.

#![allow(
    unsafe_code,
    reason = "sched_setscheduler(2) has no safe wrapper (docs/adr/0004-unsafe.md)"
)]

use nix::libc;

/// Lets the calling thread run before ordinary ones, so that a busy machine does not look like a silent node.
///
/// An ordinary user may not have that; then the thread measures as well as it can, and
/// [`Report::control_silence`](crate::Report::control_silence) tells how well that is.
pub(crate) fn prefer_this_thread() {
    // The lowest real-time priority: an agent that has one itself goes first.
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: `parameters` outlives the call, which only reads it; 0 means the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const parameters) };
}
