//! Starts programs without copying the agent, and finds processes that are there already.
//!
//! `fork` copies the page tables of the whole agent and makes each of its pages a copy on the next write: the engine was seen to
//! stand still for 2 ms in an agent of 20 MB and for 16 ms in one of 200 MB. A child that borrows the agent's memory until it
//! has become the program (`CLONE_VM | CLONE_VFORK`, as `posix_spawn` does it) costs the engine nothing that can be measured.
//! `posix_spawn` itself can neither change the user nor say what was refused.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::descriptors::Limit;

/// A program to start.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its path.
    pub path: &'a CStr,
    /// Its arguments; the first is its name.
    pub arguments: &'a [CString],
    /// Its environment, each `NAME=value`.
    pub environment: &'a [CString],
    /// What it reads.
    pub input: BorrowedFd<'a>,
    /// Where its output and its errors go.
    pub output: BorrowedFd<'a>,
    /// Whom it runs as; `None`: as the agent does.
    pub credentials: Option<&'a Credentials>,
    /// How many descriptors it may have open.
    pub descriptors: Limit,
}

/// Whom a program runs as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// The user.
    pub user: u32,
    /// The user's group.
    pub group: u32,
    /// The other groups that the user belongs to.
    pub groups: Vec<u32>,
}

/// A program that was started.
#[derive(Debug)]
pub struct Started {
    /// Its process, which is also its process group and its session.
    pub process: i32,
    /// The same as a descriptor, which is readable when the process has ended. Whoever holds it has to wait for the process.
    pub descriptor: OwnedFd,
}

/// What was refused on the way.
#[derive(Debug)]
pub struct Refused {
    /// By which step.
    pub step: Step,
    /// Why.
    pub error: io::Error,
}

/// The steps of starting a program that can be refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A new process.
    Process,
    /// Its surroundings: session, folder, input and output.
    Surroundings,
    /// Becoming another user.
    User,
    /// Becoming the program.
    Program,
}

/// Starts a program: in a session of its own, so that it has no terminal and all its children can be ended together; in the
/// folder `/`; with the usual mask for new files; with no descriptor but input, output and errors; with no signal blocked or
/// ignored; and as killable as any program, should the agent be protected when memory runs out. The scheduler's and the memory's
/// privileges of the agent's threads are not inherited by design (`SCHED_RESET_ON_FORK`, mlockall(2)).
///
/// Waits until the child has become the program, which takes as long as the disk does.
pub fn spawn(program: &Program<'_>) -> Result<Started, Refused> {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect()
    };
    let (arguments, environment) = (pointers(program.arguments), pointers(program.environment));
    let mut child = Child {
        path: program.path.as_ptr(),
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
        input: program.input.as_raw_fd(),
        output: program.output.as_raw_fd(),
        credentials: program
            .credentials
            .map_or(ptr::null(), |credentials| &raw const *credentials),
        descriptors: libc::rlimit {
            rlim_cur: program.descriptors.soft,
            rlim_max: program.descriptors.hard,
        },
        signals: block_signals(),
        refused: (Step::Process, 0),
    };
    let mut stack = vec![StackBlock([0; 16]); STACK_LEN / size_of::<StackBlock>()];
    // SAFETY: takes numbers only.
    let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
    let mut descriptor: RawFd = -1;
    // SAFETY: the child runs `become_program` on `stack` (which grows down from its end, aligned as its blocks are) with `child`
    // as its argument, both of which live until this call returns; the call returns when the child has ended or has become the
    // program (`CLONE_VFORK`), and never touches its memory again. `descriptor` takes what `CLONE_PIDFD` gives.
    let process = unsafe {
        libc::clone(
            become_program,
            stack.as_mut_ptr_range().end.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD,
            (&raw mut child).cast(),
            &raw mut descriptor,
        )
    };
    let cloned = io::Error::last_os_error();
    restore_signals(&child.signals);
    // The kernel notes at the memory, which was the agent's too, that whoever used it has changed its user: that keeps the user
    // out of the child, and would from now on keep an agent that is not root out of its own files in /proc.
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, dumpable) };
    if process < 0 {
        return Err(Refused {
            step: Step::Process,
            error: cloned,
        });
    }
    // SAFETY: the kernel has just opened it for this call and gave it to nobody else.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    // SAFETY: the child has written it or not before this call went on; nobody else writes it.
    let (step, errno) = unsafe { (&raw const child.refused).read_volatile() };
    if errno == 0 {
        return Ok(Started { process, descriptor });
    }
    // SAFETY: the child has ended, nobody else waits for it, and no pointer is passed.
    unsafe { libc::waitpid(process, ptr::null_mut(), 0) };
    Err(Refused {
        step,
        error: io::Error::from_raw_os_error(errno),
    })
}

/// A descriptor of a process, which is readable when the process has ended.
pub fn pidfd_open(process: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) };
    let descriptor = RawFd::try_from(descriptor).map_err(|_| io::ErrorKind::InvalidData)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for this call and gave it to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Enough for `become_program`, which calls nothing but the kernel.
const STACK_LEN: usize = 32 << 10;

/// A piece of stack, aligned as calls need it.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct StackBlock([u8; 16]);

/// What the child needs: plain pointers, because it must not allocate.
struct Child {
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    input: RawFd,
    output: RawFd,
    credentials: *const Credentials,
    descriptors: libc::rlimit,
    /// The signals that were blocked before.
    signals: libc::sigset_t,
    /// What the child could not do, and its `errno`; 0 if it could do everything.
    refused: (Step, c_int),
}

/// Runs in the child, with the agent's memory: everything here is a system call, and nothing is allocated, locked or unwound.
extern "C" fn become_program(child: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes a `Child` that nobody else touches before this has ended.
    let child = unsafe { &mut *child.cast::<Child>() };
    // SAFETY: every pointer in it is valid as long as `spawn` waits, and it does.
    let step = unsafe { attempt(child) };
    // SAFETY: this thread's `errno`, which the step has just set.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: a field of the same value.
    unsafe { (&raw mut child.refused).write_volatile((step, errno)) };
    // SAFETY: takes a number; runs nothing of the agent's.
    unsafe { libc::_exit(127) }
}

/// The step that was refused; does not return otherwise.
///
/// # Safety
/// The pointers in `child` have to be valid, and this process has to be one that may become a program.
unsafe fn attempt(child: &Child) -> Step {
    /// The highest number of a signal.
    const SIGNALS: c_int = 64;
    // SAFETY: for the whole function: system calls with numbers, or with pointers that the caller says are valid.
    unsafe {
        // The agent's handlers must not run here, where they would write to the agent's memory; what it ignores the program need
        // not. Those that cannot be changed are refused, which is as well.
        for signal in 1..=SIGNALS {
            libc::signal(signal, libc::SIG_DFL);
        }
        if libc::setsid() < 0
            || libc::chdir(c"/".as_ptr()) < 0
            || libc::dup2(child.input, libc::STDIN_FILENO) < 0
            || libc::dup2(child.output, libc::STDOUT_FILENO) < 0
            || libc::dup2(child.output, libc::STDERR_FILENO) < 0
            || libc::setrlimit(libc::RLIMIT_NOFILE, &raw const child.descriptors) < 0
        {
            return Step::Surroundings;
        }
        libc::umask(0o022);
        // Now, not when it becomes the program: the kernel lets the agent go on a moment before it closes what is to be closed
        // then, and until then this process, too, has the agent's lock and sockets. What the agent was given by whoever started it
        // would stay open for ever. A kernel that is too old for it (5.9) does both.
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
        be_killable();
        if let Some(credentials) = child.credentials.as_ref() {
            // Not by the C library's functions, which would change all threads of the agent.
            let refused = libc::syscall(
                libc::SYS_setgroups,
                credentials.groups.len(),
                credentials.groups.as_ptr(),
            ) < 0
                || libc::syscall(
                    libc::SYS_setresgid,
                    credentials.group,
                    credentials.group,
                    credentials.group,
                ) < 0
                || libc::syscall(
                    libc::SYS_setresuid,
                    credentials.user,
                    credentials.user,
                    credentials.user,
                ) < 0;
            if refused {
                return Step::User;
            }
        }
        let mut none: libc::sigset_t = child.signals;
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::execve(child.path, child.arguments, child.environment);
        Step::Program
    }
}

/// Takes back the protection that the agent may have when memory runs out: it is the agent's, not its programs'. The kernel keeps
/// this apart from the agent's own value, although the memory is still the same.
///
/// # Safety
/// As [`attempt`].
unsafe fn be_killable() {
    // SAFETY: as above; the buffer is as long as is said.
    unsafe {
        let file = libc::open(
            c"/proc/self/oom_score_adj".as_ptr(),
            libc::O_RDWR | libc::O_CLOEXEC,
        );
        if file >= 0 {
            let mut sign = [0_u8; 1];
            if libc::read(file, sign.as_mut_ptr().cast(), 1) == 1 && sign == *b"-" {
                libc::write(file, c"0".as_ptr().cast(), 1);
            }
            libc::close(file);
        }
    }
}

/// Blocks every signal for the calling thread; the answer is what was blocked before. A handler must not run in the child.
fn block_signals() -> libc::sigset_t {
    // SAFETY: plain data, for which all zeros is a valid value; the pointers are to valid sets that outlive the calls.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_signals(signals: &libc::sigset_t) {
    // SAFETY: the pointer is to a valid set that outlives the call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, signals, ptr::null_mut()) };
}
