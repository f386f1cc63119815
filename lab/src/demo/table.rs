//! The demo's result: a row for each event, the figures beside what was promised.

use std::{fmt::Write as _, ops::RangeInclusive, time::Duration};

const COLUMNS: usize = 7;
const HEAD: [[&str; COLUMNS]; 2] = [
    [
        "event",
        "group moves",
        "takeover",
        "longest",
        "answers",
        "two",
        "",
    ],
    ["", "", "", "silence", "lost", "holders", ""],
];
/// The columns with figures, which stand to the right.
const FIGURES: RangeInclusive<usize> = 2..=5;

/// What was measured of a group during an event; the worse of its two addresses.
#[derive(Clone, Default, Debug)]
pub(super) struct Measured {
    /// Until the successor answered; `None` if it never did.
    pub(super) takeover: Option<Duration>,
    pub(super) silence: Duration,
    pub(super) lost: usize,
    pub(super) held_twice: Duration,
    /// The longest silence of the client's own address: the machine's share.
    pub(super) control_silence: Duration,
    /// The longest silence of the group that had no part in the event.
    pub(super) bystander_silence: Duration,
}

/// The bounds that an event promises to keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    pub(super) takeover: Duration,
    pub(super) silence: Duration,
    pub(super) held_twice: Duration,
}

/// One event.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) event: &'static str,
    pub(super) group: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) measured: Measured,
    pub(super) promise: Promise,
    /// How long the group that has no part in the event may be silent.
    pub(super) bystander_promise: Duration,
}

impl Row {
    /// Whether all was as promised.
    pub(super) fn kept(&self) -> bool {
        self.broken().is_empty()
    }

    fn cells(&self) -> [String; COLUMNS] {
        let Self {
            measured, promise, ..
        } = self;
        [
            self.event.to_owned(),
            format!("{} {} → {}", self.group, self.from, self.to),
            measured
                .takeover
                .map_or("never".to_owned(), |takeover| against(takeover, promise.takeover)),
            against(measured.silence, self.silence_bound()),
            measured.lost.to_string(),
            against(measured.held_twice, promise.held_twice),
            if self.kept() { "kept" } else { "BROKEN" }.to_owned(),
        ]
    }

    /// The event's outcome in words.
    pub(super) fn sentence(&self) -> String {
        let Measured {
            takeover,
            silence,
            lost,
            held_twice,
            ..
        } = &self.measured;
        let taken = match takeover {
            Some(takeover) => format!(
                "node {} serves {} after {} ms",
                self.to,
                self.group,
                ms(*takeover)
            ),
            None => format!("node {} never served {}", self.to, self.group),
        };
        let (silence, held_twice) = (ms(*silence), ms(*held_twice));
        format!("{taken}; silent for {silence} ms, {lost} answers lost, two holders for {held_twice} ms")
    }

    /// The promised silence, and what the machine itself added to it.
    fn silence_bound(&self) -> Duration {
        self.promise.silence + self.measured.control_silence
    }

    /// What was not as promised, in words.
    fn broken(&self) -> Vec<String> {
        let Self {
            measured, promise, ..
        } = self;
        let mut broken = Vec::new();
        if measured
            .takeover
            .is_none_or(|takeover| takeover > promise.takeover)
        {
            broken.push(format!("takeover within {} ms", ms(promise.takeover)));
        }
        if measured.silence > self.silence_bound() {
            broken.push(format!("no silence over {} ms", ms(self.silence_bound())));
        }
        if measured.held_twice > promise.held_twice {
            broken.push(format!("two holders for at most {} ms", ms(promise.held_twice)));
        }
        if measured.bystander_silence > self.bystander_promise + measured.control_silence {
            broken.push(format!(
                "the other group undisturbed (it was silent for {} ms)",
                ms(measured.bystander_silence)
            ));
        }
        broken
    }
}

/// The table, and below it what was not as promised.
pub(super) fn render(rows: &[Row]) -> String {
    let mut cells: Vec<[String; COLUMNS]> = HEAD.iter().map(|line| line.map(str::to_owned)).collect();
    cells.extend(rows.iter().map(Row::cells));
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| {
            cells
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::from("\n");
    for row in &cells {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a String cannot fail.
            let _ = if FIGURES.contains(&column) {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let machine = rows
        .iter()
        .map(|row| row.measured.control_silence)
        .max()
        .unwrap_or_default();
    let _ = writeln!(
        text,
        "\nEach figure stands beside what was promised, in milliseconds. The bound of a silence includes\n\
         how long the machine kept a client waiting that asked its own node: at most {} ms.",
        ms(machine)
    );
    for row in rows.iter().filter(|row| !row.kept()) {
        let _ = writeln!(text, "Not kept, {}: {}.", row.event, row.broken().join("; "));
    }
    text.push_str(if rows.iter().all(Row::kept) {
        "Every promise was kept."
    } else {
        "Promises were broken."
    });
    text
}

/// A figure and its bound, as the true statement about them.
fn against(value: Duration, bound: Duration) -> String {
    let sign = if value <= bound { "≤" } else { ">" };
    format!("{} {sign} {}", ms(value), ms(bound))
}

/// Milliseconds; with one decimal where they are few.
fn ms(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    if millis < 10.0 {
        format!("{millis:.1}")
    } else {
        format!("{millis:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn row(measured: Measured) -> Row {
        Row {
            event: "a lost (cable)",
            group: "blue",
            from: "a",
            to: "b",
            measured,
            promise: Promise {
                takeover: millis(441),
                silence: millis(441),
                held_twice: millis(3500),
            },
            bystander_promise: millis(20),
        }
    }

    fn good() -> Measured {
        Measured {
            takeover: Some(millis(340)),
            silence: Duration::from_micros(340_400),
            lost: 680,
            held_twice: Duration::from_micros(2500),
            control_silence: millis(2),
            bystander_silence: millis(3),
        }
    }

    #[test]
    fn figures_stand_beside_their_bounds() {
        let text = render(&[row(good())]);
        let line = text.lines().find(|line| line.starts_with("a lost")).unwrap();
        assert_eq!(
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect::<Vec<_>>(),
            [
                "a lost (cable)",
                "blue a → b",
                "340 ≤ 441",
                "340 ≤ 443",
                "680",
                "2.5 ≤ 3500",
                "kept"
            ]
        );
        assert!(text.ends_with("Every promise was kept."), "{text}");
    }

    #[test]
    fn every_figure_over_its_bound_breaks_the_promise_and_is_named() {
        for (measured, complaint) in [
            (
                Measured {
                    takeover: Some(millis(442)),
                    ..good()
                },
                "takeover within 441 ms",
            ),
            (
                Measured {
                    takeover: None,
                    ..good()
                },
                "takeover within 441 ms",
            ),
            (
                Measured {
                    silence: millis(444),
                    ..good()
                },
                "no silence over 443 ms",
            ),
            (
                Measured {
                    held_twice: millis(3501),
                    ..good()
                },
                "two holders for at most 3500 ms",
            ),
            (
                Measured {
                    bystander_silence: millis(23),
                    ..good()
                },
                "the other group undisturbed",
            ),
        ] {
            let row = row(measured);
            assert!(!row.kept());
            let text = render(&[row]);
            assert!(
                text.contains(complaint) && text.ends_with("Promises were broken."),
                "{text}"
            );
        }
    }

    #[test]
    fn a_silence_of_the_whole_machine_breaks_no_promise() {
        let measured = Measured {
            silence: millis(460),
            control_silence: millis(30),
            ..good()
        };
        assert!(row(measured).kept());
    }
}
