//! What the scheduler and memory management are asked for.

use std::io;

use super::check;

/// Gives the calling thread real-time priority (`SCHED_FIFO`); its children do not inherit it.
pub fn set_realtime(priority: i32) -> io::Result<()> {
    // The kernel's own call and structure: musl's function refuses, because the call is about a thread where POSIX asks
    // for a process.
    // SAFETY: 0 is the calling thread; the pointer is to the structure's only field, which outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0,
            libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK,
            &raw const priority,
        )
    };
    check(result as libc::c_int)
}

/// Locks the process's pages into memory as they are touched, those of today and of tomorrow.
///
/// On touching, not at once: otherwise every thread's whole stack would be memory in use.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: takes flags only.
    check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) })
}

/// Gives freed memory back to the system. Holds each thread's allocator for a moment: to be called before there is an
/// engine, or never. musl's allocator does so by itself.
pub fn release_freed_memory() {
    // SAFETY: takes no pointer, and may be called at any time.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}
