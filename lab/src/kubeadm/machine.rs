//! A node of a real cluster: a machine with file system, processes and host name of its own, on the lab's switch.
//!
//! Its process 1 is this program once more. The machine's root is the real one, with an overlay that takes all it
//! writes; `/run` is new at each start, as after a boot. Killing process 1 is pulling the plug: the kernel kills all
//! that runs in the machine, containers too, and unmounts what it had mounted.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{self, Output, Stdio},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::{
        signal::{SigSet, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{chdir, pivot_root},
};

use super::cgroup::Cgroup;
use crate::{
    command,
    error::{Doing as _, Error, Result},
    lab::wait_until,
    node::Node,
    process::Process,
    sandbox,
};

/// What [`sandbox::STAGE`] says to process 1 of a machine.
pub(crate) const STAGE: &str = "machine";
/// The folder that holds what the machine writes.
const FOLDER: &str = "HOLDFAST_LAB_MACHINE";
/// The machine's name.
const NAME: &str = "HOLDFAST_LAB_MACHINE_NAME";
/// Folders of the real root that are mounts there and are needed here, separated by colons.
const VISIBLE: &str = "HOLDFAST_LAB_MACHINE_VISIBLE";
/// The file that process 1 makes in the new `/run` when all is mounted.
const READY: &str = "run/machine-ready";
/// What holds mounts that are handed on to containers, or an overlay's upper layer, which an overlay cannot.
const PLAIN_FOLDERS: [&str; 3] = ["var/lib/kubelet", "var/lib/containerd", "var/lib/etcd"];
const PATIENCE: Duration = Duration::from_secs(30);

/// A machine, running or switched off.
#[derive(Debug)]
pub struct Machine {
    node: Node,
    folder: PathBuf,
    visible: Vec<PathBuf>,
    /// `unshare`, whose only child is the machine's process 1; `None` while the machine is off.
    running: Option<Running>,
    cgroup: Cgroup,
}

#[derive(Debug)]
struct Running {
    unshare: Process,
    /// Process 1 of the machine, as it is numbered out here.
    init: i32,
}

impl Machine {
    /// Starts a machine in `node` that sees `visible` of the file systems mounted out here, besides the root itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an ordinary user, and where there are no cgroups.
    pub fn start(node: &Node, visible: &[PathBuf]) -> Result<Self> {
        if sandbox::is_rootless() {
            return Err(Error::Invalid(
                "containers of a real cluster need root: run it with sudo".to_owned(),
            ));
        }
        command::require_tools(&["unshare", "nsenter"])?;
        let folder = node.folder().join("machine");
        fs::create_dir(&folder).doing(|| format!("create {}", folder.display()))?;
        let mut machine = Self {
            node: node.clone(),
            folder,
            visible: visible.to_vec(),
            running: None,
            cgroup: Cgroup::create(&sandbox::id(), node.name())?,
        };
        machine.power_on()?;
        Ok(machine)
    }

    /// The machine's place on the switch.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its name, which is the node's.
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// The cgroup below which its kubelet is to stay.
    pub fn cgroup(&self) -> String {
        self.cgroup.path()
    }

    /// Boots it, with the disk as it was.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what process 1 said when it ended, or if the machine is on.
    pub fn power_on(&mut self) -> Result<()> {
        if self.running.is_some() {
            return Err(Error::Invalid(format!("{} is on already", self.name())));
        }
        self.node.restore_network()?;
        // Good as long as this process is, even if a new one was built in its place.
        let program = format!("/proc/{}/exe", process::id());
        let visible = env::join_paths(&self.visible)
            .map_err(|error| Error::Invalid(format!("a folder's name has a colon: {error}")))?;
        let variables = [
            format!("{}={STAGE}", sandbox::STAGE),
            format!("{FOLDER}={}", self.folder.display()),
            format!("{NAME}={}", self.name()),
            format!("{VISIBLE}={}", visible.display()),
        ];
        let mut arguments = vec![
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "env",
        ];
        arguments.extend(variables.iter().map(String::as_str));
        arguments.push(&program);
        let mut unshare = self.node.spawn("unshare", &arguments)?;
        let name = self.name().to_owned();
        let mut init = None;
        wait_until(&format!("{name} has booted"), PATIENCE, || {
            if let Some(status) = unshare.ended()? {
                return Err(Error::Invalid(format!(
                    "{name} did not boot ({status}): {}",
                    unshare.log()?.trim()
                )));
            }
            init = only_child(unshare.pid());
            Ok(init.is_some_and(|init| root_of(init).join(READY).exists()))
        })?;
        self.running = init.map(|init| Running { unshare, init });
        Ok(())
    }

    /// Pulls its plug: nothing in it runs for another moment.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is off.
    pub fn power_off(&mut self) -> Result<()> {
        let off = || Error::Invalid(format!("{} is off already", self.node.name()));
        let mut running = self.running.take().ok_or_else(off)?;
        running.unshare.kill()?;
        wait_until("a killed machine is gone", PATIENCE, || {
            Ok(!Path::new("/proc").join(running.init.to_string()).exists())
        })?;
        self.node.forget_network()
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// Where `path` of the machine is found out here.
    ///
    /// # Errors
    /// [`Error::Invalid`] while the machine is off.
    pub fn path(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = path.as_ref();
        Ok(root_of(self.init()?).join(path.strip_prefix("/").unwrap_or(path)))
    }

    /// Writes a file of the machine at one stroke, with the folders above it.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be written.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(path)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).doing(|| format!("create {}", folder.display()))?;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.new"));
        fs::write(&beside, content).doing(|| format!("write {}", beside.display()))?;
        fs::rename(&beside, &path).doing(|| format!("rename {} to {}", beside.display(), path.display()))
    }

    /// Reads a file of the machine.
    ///
    /// # Errors
    /// [`Error::System`] when there is none.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = self.path(path)?;
        fs::read_to_string(&path).doing(|| format!("read {}", path.display()))
    }

    /// Starts a program in the machine; its output goes to a file of the node's folder.
    ///
    /// # Errors
    /// [`Error::Invalid`] while the machine is off.
    pub fn spawn(&self, program: &str, args: &[&str]) -> Result<Process> {
        let inside = self.enter()?;
        let inside: Vec<&str> = inside.iter().map(String::as_str).chain([program]).collect();
        self.node.spawn("nsenter", &[&inside, args].concat())
    }

    /// Runs a program in the machine to its end, however it ends.
    ///
    /// # Errors
    /// [`Error::Invalid`] while the machine is off.
    pub fn exec(&self, program: &str, args: &[&str]) -> Result<Output> {
        self.exec_with(program, args, Stdio::null())
    }

    /// Runs a program in the machine and returns its standard output.
    ///
    /// # Errors
    /// [`Error::Command`] when it ends with anything but success.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let output = self.exec(program, args)?;
        command::checked(program, args, Ok(output))
    }

    /// Runs a program in the machine with a file from out here as its standard input.
    ///
    /// # Errors
    /// [`Error::Command`] when it ends with anything but success.
    pub fn run_with_file(&self, program: &str, args: &[&str], input: &Path) -> Result<String> {
        let file = File::open(input).doing(|| format!("open {}", input.display()))?;
        let output = self.exec_with(program, args, Stdio::from(file))?;
        command::checked(program, args, Ok(output))
    }

    fn exec_with(&self, program: &str, args: &[&str], input: Stdio) -> Result<Output> {
        let inside = self.enter()?;
        let inside: Vec<&str> = inside.iter().map(String::as_str).chain([program]).collect();
        let mut prepared = command::prepare("nsenter", &[&inside, args].concat());
        prepared.stdin(input);
        self.node.netns().run(|| {
            prepared
                .output()
                .map_err(|error| command::not_started(program, args, error))
        })
    }

    /// The arguments of `nsenter` that lead into the machine. The network is entered already.
    fn enter(&self) -> Result<Vec<String>> {
        let target = self.init()?.to_string();
        let flags = ["--mount", "--uts", "--ipc", "--pid", "--"];
        Ok(["--target".to_owned(), target]
            .into_iter()
            .chain(flags.map(str::to_owned))
            .collect())
    }

    fn init(&self) -> Result<i32> {
        let running = self.running.as_ref();
        running
            .map(|running| running.init)
            .ok_or_else(|| Error::Invalid(format!("{} is off", self.name())))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.is_on() {
            self.power_off().ok();
        }
    }
}

/// The machine's root, seen from out here.
fn root_of(init: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{init}/root"))
}

fn only_child(pid: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Process 1 of a machine: mounts its file system, and then collects orphans until it is killed.
pub(crate) fn init() -> Result<i32> {
    let variable = |name: &str| {
        env::var(name).map_err(|_| Error::Invalid(format!("a machine was started without {name}")))
    };
    let folder = PathBuf::from(variable(FOLDER)?);
    fs::write("/proc/sys/kernel/hostname", variable(NAME)?).doing(|| "set the host name".to_owned())?;
    let visible: Vec<PathBuf> = env::split_paths(&variable(VISIBLE)?).collect();
    let root = mount_root(&folder, &visible)?;
    enter_root(&root)?;
    File::create(Path::new("/").join(READY)).doing(|| format!("create /{READY}"))?;
    let signals = SigSet::from_iter([Signal::SIGCHLD]);
    signals.thread_block().doing(|| "block signals".to_owned())?;
    loop {
        signals.wait().doing(|| "wait for children".to_owned())?;
        while !matches!(
            waitpid(None, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD)
        ) {}
    }
}

/// The real root under an overlay, with what a machine has of its own mounted in it; returns where.
fn mount_root(folder: &Path, visible: &[PathBuf]) -> Result<PathBuf> {
    let (root, upper, work) = (folder.join("root"), folder.join("disk"), folder.join("work"));
    for folder in [&root, &upper, &work] {
        fs::create_dir_all(folder).doing(|| format!("create {}", folder.display()))?;
    }
    let options = format!(
        "lowerdir=/,upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    // The overlay of the boot before may still be on its way out.
    let mut attempts = 100;
    loop {
        match mount(
            Some("overlay"),
            &root,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        ) {
            Err(Errno::EBUSY) if attempts > 0 => {
                attempts -= 1;
                thread::sleep(Duration::from_millis(50));
            }
            result => break result.doing(|| format!("mount an overlay on {}", root.display()))?,
        }
    }
    for (file_system, place, options) in [
        ("proc", "proc", None),
        ("tmpfs", "run", Some("mode=0755")),
        ("tmpfs", "tmp", Some("mode=1777")),
    ] {
        let target = root.join(place);
        mount(
            Some(file_system),
            &target,
            Some(file_system),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            options,
        )
        .doing(|| format!("mount {}", target.display()))?;
    }
    for place in ["dev", "sys"] {
        bind(&Path::new("/").join(place), &root.join(place))?;
    }
    for place in PLAIN_FOLDERS {
        let own = folder.join("plain").join(place);
        fs::create_dir_all(&own).doing(|| format!("create {}", own.display()))?;
        bind(&own, &root.join(place))?;
    }
    for place in visible {
        bind(place, &root.join(place.strip_prefix("/").unwrap_or(place)))?;
    }
    // Nobody in a machine of the lab asks a name server.
    let resolver = root.join("etc/resolv.conf");
    fs::remove_file(&resolver).ok();
    fs::write(&resolver, "").doing(|| format!("write {}", resolver.display()))?;
    Ok(root)
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).doing(|| format!("create {}", to.display()))?;
    mount(
        Some(from),
        to,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )
    .doing(|| format!("mount {} on {}", from.display(), to.display()))
}

/// Makes `root` the root of this mount namespace, and forgets the real one.
fn enter_root(root: &Path) -> Result<()> {
    let step = |result: nix::Result<()>, what: &str| {
        result.doing(|| format!("{what} {} the root of a machine", root.display()))
    };
    step(chdir(root), "make")?;
    // The old root is put over the new one, and taken away from there.
    step(pivot_root(".", "."), "make")?;
    step(umount2(".", MntFlags::MNT_DETACH), "leave the old root for")?;
    step(chdir("/"), "enter")?;
    // As an init system does: what is mounted here reaches containers that ask for it.
    step(
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_SHARED,
            None::<&str>,
        ),
        "share",
    )
}
