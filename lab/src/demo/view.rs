//! The live view: who holds what, who answers, and what has happened so far.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::IpAddr,
    time::Instant,
};

use super::{
    groups::{GROUPS, NODES},
    stage::{Condition, Stage},
};

/// Redraws one picture on a terminal; elsewhere prints a line for each thing that changes.
pub(super) struct View {
    terminal: bool,
    start: Instant,
    drawn_lines: usize,
    last_holders: String,
}

impl View {
    pub(super) fn new(terminal: bool) -> Self {
        Self {
            terminal,
            start: Instant::now(),
            drawn_lines: 0,
            last_holders: String::new(),
        }
    }

    /// Prints a line that stays.
    pub(super) fn say(&mut self, line: &str) {
        self.erase();
        println!("{:6.1} s  {line}", self.start.elapsed().as_secs_f64());
    }

    /// Shows the present state.
    pub(super) fn draw(&mut self, stage: &Stage) {
        if self.terminal {
            let picture = self.picture(stage);
            // Over the old picture, not after wiping it, so that nothing flickers. Cut, not wrapped, where the
            // terminal is narrow: the picture must have as many lines as it is thought to.
            // In one piece, so that no end of the demo leaves the terminal cutting lines.
            let up = if self.drawn_lines > 0 {
                format!("\x1b[{}A", self.drawn_lines)
            } else {
                String::new()
            };
            let lines = picture.trim_end_matches('\n').replace('\n', "\x1b[K\n");
            let frame = format!("{up}\x1b[?7l{lines}\x1b[K\x1b[?7h\n");
            print!("{frame}");
            self.drawn_lines = picture.lines().count();
            // A terminal that is gone ends the demo by itself.
            io::stdout().flush().ok();
        } else {
            let holders = holders(stage);
            if holders != self.last_holders {
                self.say(&format!("  {holders}"));
                self.last_holders = holders;
            }
        }
    }

    /// Removes the picture, for what comes after it.
    pub(super) fn close(&mut self) {
        self.erase();
    }

    fn erase(&mut self) {
        if self.drawn_lines > 0 {
            // Up to where the picture began, and away with everything below.
            print!("\x1b[{}A\x1b[J", self.drawn_lines);
            self.drawn_lines = 0;
        }
    }

    fn picture(&self, stage: &Stage) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text);
        let _ = write!(text, "{:6.1} s  {:19}", self.start.elapsed().as_secs_f64(), "");
        for name in NODES {
            let _ = write!(text, "{:^10}", format!("node {name}"));
        }
        let _ = write!(text, "  answers now\n{:29}", "");
        for index in 0..NODES.len() {
            let (word, colour) = word(stage.condition(index));
            let _ = write!(text, "\x1b[{colour}m{word:^10}\x1b[0m");
        }
        text.push('\n');
        for group in &GROUPS {
            for (row, address) in group.addresses().into_iter().enumerate() {
                let label = if row == 0 { group.name } else { "" };
                let _ = write!(text, "   {label:8} {:17}", address.to_string());
                text.push_str(&cells(stage, address));
                text.push('\n');
            }
        }
        text
    }
}

fn cells(stage: &Stage, address: IpAddr) -> String {
    let holders = stage.meter.holders(address);
    let mut text = String::new();
    for name in NODES {
        let held = holders.iter().any(|holder| **holder == *name);
        // Two holders are red, one is green.
        let colour = if holders.len() > 1 { 31 } else { 32 };
        let cell = if held {
            format!("\x1b[{colour}m{:^10}\x1b[0m", "●")
        } else {
            format!("{:^10}", "·")
        };
        text.push_str(&cell);
    }
    let answers = match stage.meter.last_answer(address) {
        Some((node, ago)) if ago.as_millis() < 20 => format!("  node {node}"),
        Some((_, ago)) => format!("  \x1b[31msilent {} ms\x1b[0m", ago.as_millis()),
        None => "  nobody yet".to_owned(),
    };
    text + &answers
}

fn word(condition: Condition) -> (&'static str, u8) {
    match condition {
        Condition::Running => ("running", 32),
        Condition::Stopped => ("stopped", 33),
        Condition::Killed => ("killed", 31),
        Condition::Frozen => ("frozen", 36),
        Condition::Unplugged => ("unplugged", 31),
    }
}

/// Who holds what, in one line.
fn holders(stage: &Stage) -> String {
    let groups = GROUPS.iter().map(|group| {
        let held: Vec<String> = group
            .addresses()
            .into_iter()
            .map(|address| {
                let holders = stage.meter.holders(address);
                let names = if holders.is_empty() {
                    "nobody".to_owned()
                } else {
                    holders.join(" and ")
                };
                format!("{address} on {names}")
            })
            .collect();
        format!("{}: {}", group.name, held.join(", "))
    });
    groups.collect::<Vec<_>>().join("; ")
}
