//! How long this machine was kept waiting by the one that it runs on.

use std::{fs, time::Duration};

/// What /proc/stat counts in: `USER_HZ`, a hundredth of a second on amd64 and arm64.
const TICK: Duration = Duration::from_millis(10);

/// The processor time that a hypervisor has given to others since the start of this machine, all processors together. Zero where the
/// kernel does not say.
pub(crate) fn so_far() -> Duration {
    let ticks = fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|stat| ticks(&stat));
    TICK * ticks.unwrap_or_default()
}

/// A sentence on what was stolen since `before`; empty if it was too little to fail anything.
pub(crate) fn since(before: Duration) -> String {
    sentence(so_far().saturating_sub(before))
}

fn sentence(stolen: Duration) -> String {
    if stolen < Duration::from_millis(50) {
        return String::new();
    }
    format!(
        "\nmeanwhile a hypervisor gave {stolen:?} of this machine's processors to others (steal in /proc/stat): what was late may \
         have been late for that"
    )
}

/// The eighth number of all processors, proc(5).
fn ticks(stat: &str) -> Option<u32> {
    let all = stat.lines().find(|line| line.starts_with("cpu "))?;
    all.split_whitespace().nth(8)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_number_of_all_processors() {
        let stat =
            "cpu  7516022 361471 1599784 6326817 37803 0 139953 24420 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(ticks(stat), Some(24420));
        assert_eq!(ticks("cpu 1 2 3"), None, "a kernel that does not count it");
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn it_is_said_only_if_it_could_have_mattered() {
        assert_eq!(sentence(Duration::from_millis(40)), "");
        assert!(sentence(Duration::from_millis(810)).contains("gave 810ms"));
    }
}
