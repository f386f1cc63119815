//! Lengths of time as people say them.

use core::time::Duration;

/// `Duration` in the two units that matter: `320ms`, `5s`, `3m12s`, `4h05m`, `2d7h`.
///
/// Below a second it is rounded to milliseconds, and below ten milliseconds shown with microseconds, because a
/// takeover at an interval of 10 ms is that short.
pub fn duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0 if duration.as_micros() < 10_000 => format!("{:.1}ms", duration.as_secs_f64() * 1000.0),
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{secs}s"),
        60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h{:02}m", secs / 3600, secs % 3600 / 60),
        _ => format!("{}d{}h", secs / 86_400, secs % 86_400 / 3600),
    }
}

/// Like [`duration`], but with milliseconds up to a minute: for outages, where they count.
pub fn outage(outage: Duration) -> String {
    match outage.as_secs() {
        1..60 => format!("{}.{:03}s", outage.as_secs(), outage.subsec_millis()),
        _ => duration(outage),
    }
}

/// An advertisement interval, exactly: `1s`, `100ms`, `1500ms`.
pub fn interval(interval: Duration) -> String {
    if interval.subsec_nanos() == 0 {
        format!("{}s", interval.as_secs())
    } else {
        format!("{}ms", interval.as_millis())
    }
}

/// `1 group`, `2 groups`.
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 {
        format!("1 {thing}")
    } else {
        format!("{number} {thing}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_in_the_two_units_that_matter() {
        let cases = [
            (Duration::from_micros(6_130), "6.1ms"),
            (Duration::from_millis(320), "320ms"),
            (Duration::from_millis(5_900), "5s"),
            (Duration::from_secs(192), "3m12s"),
            (Duration::from_secs(4 * 3600 + 5 * 60 + 59), "4h05m"),
            (Duration::from_hours(2 * 24 + 7), "2d7h"),
        ];
        for (given, shown) in cases {
            assert_eq!(duration(given), shown);
        }
    }

    #[test]
    fn an_outage_keeps_its_milliseconds() {
        assert_eq!(outage(Duration::from_millis(3_609)), "3.609s");
        assert_eq!(outage(Duration::from_millis(361)), "361ms");
        assert_eq!(outage(Duration::from_secs(75)), "1m15s");
    }
}
