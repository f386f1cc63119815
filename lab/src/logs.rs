//! Shows what the processes of a lab said, when something went wrong.

use std::{fs, path::Path};

/// How many lines of each log are shown.
const LINES: usize = 60;

/// Prints the last lines of every log below `folder` to standard error.
pub(crate) fn print(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            print(&path);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            let content = fs::read(&path).unwrap_or_default();
            let content = String::from_utf8_lossy(&content);
            let lines: Vec<&str> = content.lines().collect();
            eprintln!("--- {} ({} lines)", path.display(), lines.len());
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                eprintln!("    {line}");
            }
        }
    }
}
