//! What a daemon costs, as the kernel counts it: time on a processor, memory, packets sent.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use holdfast_lab::Node;

/// The memory of a daemon, all its processes together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Memory {
    /// Resident, in bytes; pages that its processes share count once for each.
    pub resident: u64,
    /// Resident, in bytes; shared pages count in proportion.
    pub proportional: u64,
    /// The most that was ever resident, in bytes, added up over the processes.
    pub peak: u64,
    /// How many processes it is.
    pub processes: usize,
}

/// The process `leader` and all its descendants.
pub fn family(leader: i32) -> Result<Vec<i32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("list /proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while the list is read.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        if let Some(parent) = parent(&stat) {
            parents.insert(pid, parent);
        }
    }
    Ok(descendants(leader, &parents))
}

/// How long these processes' threads have been on a processor so far.
pub fn cpu_time(processes: &[i32]) -> Result<Duration> {
    let mut total = 0;
    for pid in processes {
        let tasks = PathBuf::from(format!("/proc/{pid}/task"));
        for task in fs::read_dir(&tasks).with_context(|| format!("list {}", tasks.display()))? {
            let path = task?.path().join("schedstat");
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let nanoseconds = text
                .split_whitespace()
                .next()
                .and_then(|field| field.parse().ok());
            total += nanoseconds.unwrap_or(0_u64);
        }
    }
    Ok(Duration::from_nanos(total))
}

/// What these processes have in memory now.
pub fn memory(processes: &[i32]) -> Result<Memory> {
    let mut memory = Memory {
        processes: processes.len(),
        ..Memory::default()
    };
    for pid in processes {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("read {path}"))
        };
        let status = read("status")?;
        memory.resident += kilobytes(&status, "VmRSS:") * 1024;
        memory.peak += kilobytes(&status, "VmHWM:") * 1024;
        memory.proportional += kilobytes(&read("smaps_rollup")?, "Pss:") * 1024;
    }
    Ok(memory)
}

/// How many IPv4 multicast packets `node` has sent so far.
pub fn multicast_packets_sent(node: &Node) -> Result<u64> {
    let mut text = Ok(String::new());
    node.netns().run(|| {
        text = fs::read_to_string("/proc/thread-self/net/netstat");
        Ok(())
    })?;
    let text = text.with_context(|| format!("read /proc/net/netstat of {}", node.name()))?;
    field(&text, "IpExt:", "OutMcastPkts").context("/proc/net/netstat has no OutMcastPkts")
}

/// Whether any thread of these processes has real-time priority.
pub fn is_real_time(processes: &[i32]) -> Result<bool> {
    for pid in processes {
        let tasks = PathBuf::from(format!("/proc/{pid}/task"));
        for task in fs::read_dir(&tasks).with_context(|| format!("list {}", tasks.display()))? {
            let path = task?.path().join("stat");
            let stat = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            if policy(&stat).is_some_and(|policy| policy != 0) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The scheduling policy in `/proc/PID/stat`: its 41st field, the 39th after the name; 0 is the ordinary one.
fn policy(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(38)?.parse().ok()
}

/// The time on a processor of all children that were waited for, in `/proc/PID/stat`: its 16th and 17th field, in hundredths
/// of a second.
pub fn time_of_children(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(13);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// The parent's number in `/proc/PID/stat`, whose second field may hold anything between its parentheses.
fn parent(stat: &str) -> Option<i32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

fn descendants(leader: i32, parents: &BTreeMap<i32, i32>) -> Vec<i32> {
    let mut family = vec![leader];
    let mut next = 0;
    while let Some(&member) = family.get(next) {
        let children = parents.iter().filter(|(_, parent)| **parent == member);
        family.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

/// The number after `name` in a file of `/proc` with one field a line.
fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A field of `/proc/net/netstat`, which has a line of names and a line of numbers for each section.
fn field(text: &str, section: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(section));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let position = names.split_whitespace().position(|found| found == name)?;
    numbers.split_whitespace().nth(position)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_hide_the_parent() {
        assert_eq!(parent("12 (a) b) (c) S 7 12 12 0"), Some(7));
        assert_eq!(parent("nothing"), None);
    }

    #[test]
    fn the_scheduling_policy_is_the_forty_first_field() {
        let fields: Vec<String> = (3..=52).map(|number| number.to_string()).collect();
        assert_eq!(policy(&format!("1 (name) {}", fields.join(" "))), Some(41));
    }

    #[test]
    fn the_time_of_children_is_in_the_sixteenth_and_seventeenth_field() {
        let fields: Vec<String> = (3..=52).map(|number| number.to_string()).collect();
        let found = time_of_children(&format!("1 (name) {}", fields.join(" ")));
        assert_eq!(found, Some(Duration::from_millis(330)));
    }

    #[test]
    fn grandchildren_belong_to_the_family_and_strangers_do_not() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 5)]);
        assert_eq!(descendants(2, &parents), [2, 3, 4]);
    }

    #[test]
    fn fields_are_found_by_their_names() {
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmRSS:\t    5504 kB\n", "VmRSS:"), 5504);
        assert_eq!(kilobytes("", "VmRSS:"), 0);
        let netstat = "TcpExt: A B\nTcpExt: 1 2\nIpExt: InMcastPkts OutMcastPkts\nIpExt: 3 4\n";
        assert_eq!(field(netstat, "IpExt:", "OutMcastPkts"), Some(4));
        assert_eq!(field(netstat, "IpExt:", "Missing"), None);
    }
}
