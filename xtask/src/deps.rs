//! The programs that targets need beside Rust: which Debian package brings each, and how they get here.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{process, system};

/// What is about to be done, which decides what has to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// `make demo`
    Demo,
    /// `make test-fast`
    FastTests,
    /// `make test-lab`
    LabTests,
    /// `make test-api`
    ApiTests,
    /// `make bench`
    Bench,
    /// `make fuzz`
    Fuzz,
    /// `make images`
    Images,
    /// `make images-arm64` on a machine of another kind
    ImagesArm64,
    /// `make e2e`
    Cluster,
}

impl Purpose {
    /// Every purpose.
    #[cfg(test)]
    pub const ALL: [Self; 9] = [
        Self::Demo,
        Self::FastTests,
        Self::LabTests,
        Self::ApiTests,
        Self::Bench,
        Self::Fuzz,
        Self::Images,
        Self::ImagesArm64,
        Self::Cluster,
    ];

    /// What a person types for it.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Demo => "make demo",
            Self::FastTests => "make test-fast",
            Self::LabTests => "make test-lab",
            Self::ApiTests => "make test-api",
            Self::Bench => "make bench",
            Self::Fuzz => "make fuzz",
            Self::Images => "make images",
            Self::ImagesArm64 => "make images-arm64",
            Self::Cluster => "make e2e",
        }
    }
}

/// One program, the package that brings it, and who needs it.
struct Tool {
    /// A program's name, or the absolute path of a file that is never on `PATH`.
    program: &'static str,
    /// The package's name in Debian and Ubuntu.
    package: &'static str,
    /// The service that the package starts by itself, and that nobody here asked for.
    service: Option<&'static str>,
    /// What cannot be done without it.
    needed_for: &'static [Purpose],
    /// What it is for.
    why: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        program: "ip",
        package: "iproute2",
        service: None,
        needed_for: &[
            Purpose::Demo,
            Purpose::LabTests,
            Purpose::ApiTests,
            Purpose::Bench,
            Purpose::Cluster,
        ],
        why: "networks out of namespaces",
    },
    Tool {
        program: "nft",
        package: "nftables",
        service: None,
        needed_for: &[Purpose::LabTests, Purpose::ApiTests, Purpose::Cluster],
        why: "loss in one direction",
    },
    Tool {
        program: "sysctl",
        package: "procps",
        service: None,
        needed_for: &[Purpose::LabTests],
        why: "settings of a namespace's kernel",
    },
    Tool {
        program: "keepalived",
        package: "keepalived",
        service: Some("keepalived"),
        needed_for: &[Purpose::LabTests, Purpose::Bench],
        why: "the peer that Holdfast is tested and measured against",
    },
    Tool {
        program: "/usr/lib/frr/vrrpd",
        package: "frr",
        service: Some("frr"),
        needed_for: &[Purpose::LabTests],
        why: "a second peer, for VRRPv3",
    },
    Tool {
        program: "tshark",
        package: "tshark",
        service: None,
        needed_for: &[Purpose::LabTests],
        why: "an independent judge of every packet sent",
    },
    Tool {
        program: "nginx",
        package: "nginx-light",
        service: Some("nginx"),
        needed_for: &[Purpose::LabTests, Purpose::Bench, Purpose::Cluster],
        why: "a service to watch, stop and hang; a proxy in front of API servers",
    },
    Tool {
        program: "/usr/lib/nginx/modules/ngx_stream_module.so",
        package: "libnginx-mod-stream",
        service: None,
        needed_for: &[Purpose::Cluster],
        why: "what makes nginx a proxy of API servers",
    },
    Tool {
        program: "haproxy",
        package: "haproxy",
        service: Some("haproxy"),
        needed_for: &[Purpose::LabTests, Purpose::Cluster],
        why: "a service to watch, stop and hang; a proxy in front of API servers",
    },
    Tool {
        program: "mariadbd",
        package: "mariadb-server",
        service: Some("mariadb"),
        needed_for: &[Purpose::LabTests],
        why: "a service to watch that asks for a login",
    },
    Tool {
        program: "dbus-daemon",
        package: "dbus",
        service: None,
        needed_for: &[Purpose::FastTests],
        why: "the bus on which a node says that it shuts down",
    },
    Tool {
        program: "runc",
        package: "runc",
        service: None,
        needed_for: &[Purpose::Cluster],
        why: "containers of a real cluster",
    },
    Tool {
        program: "/usr/lib/cni/bridge",
        package: "containernetworking-plugins",
        service: None,
        needed_for: &[Purpose::Cluster],
        why: "the network of a real cluster's pods",
    },
    Tool {
        program: "c++",
        package: "g++",
        service: None,
        needed_for: &[Purpose::Fuzz],
        why: "libFuzzer is C++",
    },
    Tool {
        program: "musl-gcc",
        package: "musl-tools",
        service: None,
        needed_for: &[Purpose::Images],
        why: "the C in ring, for a program without shared libraries",
    },
    Tool {
        program: "aarch64-linux-gnu-gcc",
        package: "gcc-aarch64-linux-gnu",
        service: None,
        needed_for: &[Purpose::ImagesArm64],
        why: "the C in ring, for 64-bit ARM",
    },
    Tool {
        program: "/usr/aarch64-linux-gnu/include/string.h",
        package: "libc6-dev-arm64-cross",
        service: None,
        needed_for: &[Purpose::ImagesArm64],
        why: "the headers that this C asks for",
    },
];

/// Makes sure that everything for `purposes` is there: installs it as root on a machine with apt, and otherwise fails
/// with the one command that does.
pub fn ensure(purposes: &[Purpose]) -> Result<()> {
    let missing = missing(purposes, is_installed);
    if missing.is_empty() {
        return Ok(());
    }
    let can_install = system::find_program("apt-get").is_some();
    if !(can_install && system::is_root()) {
        bail!("{}", instruction(purposes, &missing, can_install));
    }
    install(&missing)?;
    match self::missing(purposes, is_installed).first() {
        None => Ok(()),
        Some(tool) => bail!(
            "the package {} was installed but brought no {}",
            tool.package,
            tool.program
        ),
    }
}

/// The table as Markdown, for CONTRIBUTING.md.
pub fn markdown() -> String {
    let mut table = String::from("| program | package | needed for | why |\n|---|---|---|---|\n");
    for tool in TOOLS {
        let needed_for: Vec<_> = tool
            .needed_for
            .iter()
            .map(|purpose| format!("`{}`", purpose.target()))
            .collect();
        let row = [
            format!("`{}`", tool.program),
            tool.package.to_owned(),
            needed_for.join(", "),
            tool.why.to_owned(),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {} |", row.join(" | "));
    }
    table
}

fn missing(purposes: &[Purpose], is_installed: impl Fn(&Tool) -> bool) -> Vec<&'static Tool> {
    let needed = TOOLS
        .iter()
        .filter(|tool| tool.needed_for.iter().any(|purpose| purposes.contains(purpose)));
    needed.filter(|tool| !is_installed(tool)).collect()
}

fn is_installed(tool: &Tool) -> bool {
    let path = Path::new(tool.program);
    if path.is_absolute() {
        path.is_file()
    } else {
        system::find_program(tool.program).is_some()
    }
}

fn instruction(purposes: &[Purpose], missing: &[&Tool], has_apt: bool) -> String {
    let targets: Vec<_> = purposes.iter().map(|purpose| purpose.target()).collect();
    let programs: Vec<_> = missing.iter().map(|tool| tool.program).collect();
    let packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    let (targets, programs, packages) = (targets.join(" and "), programs.join(", "), packages.join(" "));
    if has_apt {
        format!("{targets} needs {programs}; install with: sudo apt-get install -y {packages}")
    } else {
        format!(
            "{targets} needs {programs}; install what your distribution calls (Debian's names): {packages}"
        )
    }
}

fn install(tools: &[&Tool]) -> Result<()> {
    let packages: Vec<_> = tools.iter().map(|tool| tool.package).collect();
    println!("installing what is missing: {}", packages.join(" "));
    let apt = || {
        let mut apt = system::command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-qq", "-o", "Dpkg::Use-Pty=0"]);
        apt
    };
    process::run(apt().arg("update")).context("cannot refresh the list of packages")?;
    process::run(
        apt()
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages),
    )
    .context("cannot install packages")?;
    for service in tools.iter().filter_map(|tool| tool.service) {
        silence(service)?;
    }
    Ok(())
}

/// Stops a service that its package has just started: the lab starts what it needs, in namespaces of its own.
fn silence(service: &str) -> Result<()> {
    if !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    process::run(system::command("systemctl").args(["disable", "--now", service]))
        .with_context(|| format!("cannot stop {service}, which its package started"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(purpose: Purpose) -> Vec<&'static str> {
        missing(&[purpose], |_| false)
            .iter()
            .map(|tool| tool.package)
            .collect()
    }

    #[test]
    fn the_demo_asks_for_no_peer_to_be_measured_against() {
        assert_eq!(packages(Purpose::Demo), ["iproute2"]);
    }

    #[test]
    fn the_lab_tests_ask_for_both_peers_and_the_judge() {
        let packages = packages(Purpose::LabTests);
        for package in ["keepalived", "frr", "tshark"] {
            assert!(packages.contains(&package), "{package} is not among {packages:?}");
        }
    }

    #[test]
    fn what_is_installed_is_not_missing() {
        let missing = missing(&[Purpose::LabTests], |tool| tool.program != "tshark");
        assert_eq!(
            missing.iter().map(|tool| tool.program).collect::<Vec<_>>(),
            ["tshark"]
        );
    }

    #[test]
    fn a_tool_needed_twice_is_asked_for_once() {
        let missing = missing(&[Purpose::Demo, Purpose::LabTests], |tool| {
            tool.package != "iproute2"
        });
        assert_eq!(missing.len(), 1);
    }

    #[test]
    fn an_ordinary_user_is_told_one_command() {
        let missing = missing(&[Purpose::LabTests], |tool| {
            !matches!(tool.package, "keepalived" | "frr")
        });
        assert_eq!(
            instruction(&[Purpose::LabTests], &missing, true),
            "make test-lab needs keepalived, /usr/lib/frr/vrrpd; install with: sudo apt-get install -y keepalived frr"
        );
    }

    #[test]
    fn every_tool_is_named_once_and_needed_by_somebody() {
        for (index, tool) in TOOLS.iter().enumerate() {
            assert!(
                !tool.needed_for.is_empty(),
                "{} is needed by nobody",
                tool.program
            );
            assert!(
                TOOLS[..index].iter().all(|other| other.program != tool.program),
                "{} is twice",
                tool.program
            );
        }
    }
}
