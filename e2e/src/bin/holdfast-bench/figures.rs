//! Figures out of runs: medians, ranges, and how they are written.

use std::time::Duration;

/// The middle one; of an even number, the mean of the two in the middle. Zero of none.
pub fn median(values: &[Duration]) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => Duration::ZERO,
        (Some(value), 1) => *value,
        (Some(value), _) => (sorted[middle - 1] + *value) / 2,
    }
}

/// The longest. Zero of none.
pub fn longest(values: &[Duration]) -> Duration {
    values.iter().copied().max().unwrap_or_default()
}

/// Median and range, as in `36.9 ms (36.1–37.2)`.
pub fn spread(values: &[Duration]) -> String {
    let shortest = values.iter().copied().min().unwrap_or_default();
    format!(
        "{} ms ({}–{})",
        millis(median(values)),
        millis(shortest),
        millis(longest(values))
    )
}

/// Milliseconds with as many digits as mean something.
pub fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 100.0 {
        format!("{millis:.1}")
    } else {
        format!("{millis:.0}")
    }
}

/// An interval the way people say it: `1 s`, `100 ms`.
pub fn interval(interval: Duration) -> String {
    if interval.subsec_millis() == 0 {
        format!("{} s", interval.as_secs())
    } else {
        format!("{} ms", interval.as_millis())
    }
}

/// Bytes as MB (a million of them).
pub fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(values: &[u64]) -> Vec<Duration> {
        values.iter().map(|value| Duration::from_millis(*value)).collect()
    }

    #[test]
    fn one_bad_run_does_not_move_the_median() {
        assert_eq!(median(&ms(&[40, 9000, 38])), Duration::from_millis(40));
        assert_eq!(median(&ms(&[40, 38])), Duration::from_millis(39));
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn figures_have_as_many_digits_as_mean_something() {
        assert_eq!(spread(&ms(&[37, 3609, 36])), "37.0 ms (36.0–3609)");
        assert_eq!(interval(Duration::from_secs(1)), "1 s");
        assert_eq!(interval(Duration::from_millis(10)), "10 ms");
        assert_eq!(megabytes(5_550_000), "5.5");
    }
}
