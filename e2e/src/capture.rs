//! What went over the wire, recorded by dumpcap and judged by tshark: programs that nobody here wrote.

use std::{fs, path::PathBuf};

use crate::{Result, pair::PATIENCE};
use holdfast_lab::{INTERFACE, Node, Process, command, wait_until};

/// A capture that is running.
#[derive(Debug)]
pub struct Capture {
    node: Node,
    dumpcap: Process,
    file: PathBuf,
}

/// A capture that has ended.
#[derive(Debug)]
pub struct Captured {
    file: PathBuf,
}

impl Capture {
    /// Records every VRRP, ARP and neighbor discovery packet that reaches the node.
    ///
    /// # Errors
    /// When dumpcap is not installed or does not begin.
    pub fn start(node: &Node) -> Result<Self> {
        // tcpdump would do, but not for root of a user namespace: it changes to a user that does not exist there.
        command::require_tools(&["dumpcap", "tshark"])?;
        let file = node.folder().join("capture.pcapng");
        let path = file.display().to_string();
        let filter = "ip proto 112 or ip6 proto 112 or arp or icmp6";
        let dumpcap = node.spawn("dumpcap", &["-i", INTERFACE, "-f", filter, "-w", &path])?;
        wait_until("dumpcap listens", PATIENCE, || {
            // It names the file once the socket is open.
            Ok(dumpcap.log()?.contains("File:"))
        })?;
        Ok(Self {
            node: node.clone(),
            dumpcap,
            file,
        })
    }

    /// Ends it.
    ///
    /// # Errors
    /// When dumpcap does not end, or has written nothing.
    pub fn stop(mut self) -> Result<Captured> {
        self.dumpcap.stop(PATIENCE)?;
        if fs::metadata(&self.file)?.len() == 0 {
            return Err(format!("dumpcap in {} wrote nothing", self.node.name()).into());
        }
        Ok(Captured { file: self.file })
    }
}

impl Captured {
    /// The packets that a display filter lets through, with these fields of each.
    ///
    /// Checksums are checked; that of VRRPv3 over IPv4 with the pseudo-header, as keepalived and FRR send it.
    ///
    /// # Errors
    /// When tshark refuses the filter.
    pub fn packets(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
        let path = self.file.display().to_string();
        let mut arguments = vec![
            "-n",
            "-r",
            &path,
            "-o",
            "ip.check_checksum:TRUE",
            "-o",
            "vrrp.v3_checksum_as_in_v2:FALSE",
            "-Y",
            filter,
            "-T",
            "fields",
        ];
        for field in fields {
            arguments.extend(["-e", field]);
        }
        let text = command::run("tshark", &arguments)?;
        let split = |line: &str| line.split('\t').map(str::to_owned).collect();
        Ok(text.lines().map(split).collect())
    }

    /// Everything tshark has to complain about in the packets that `filter` lets through, each with its frame number;
    /// but that an address moved from one station to another, which is what a failover does.
    ///
    /// # Errors
    /// When tshark fails.
    pub fn complaints(&self, filter: &str) -> Result<Vec<Vec<String>>> {
        let complaint = "_ws.malformed || _ws.expert.severity >= 0x600000 || vrrp.checksum.status == \"Bad\" \
                         || ip.checksum.status == \"Bad\" || icmpv6.checksum.status == \"Bad\"";
        let moved = "arp.duplicate-address-detected";
        self.packets(
            &format!("({filter}) && ({complaint}) && !{moved}"),
            &["frame.number", "eth.src", "_ws.expert.message"],
        )
    }
}
