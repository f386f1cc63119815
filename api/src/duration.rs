//! Durations as the Gateway API writes them (GEP-2257): `1h2m3s4ms`, the only spelling of time in Holdfast's API.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A duration in whole milliseconds, from `0s` to `99999h59m59s999ms`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct GatewayDuration(Duration);

/// Why a text is not a duration.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{}", GatewayDuration::SENTENCE.replace("{value}", .0))]
pub struct DurationError(String);

impl GatewayDuration {
    /// What GEP-2257 accepts, as a regular expression; stands in the schema and so marks durations there.
    pub const PATTERN: &'static str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
    /// What is said about a text that is none; `{value}` stands for the text.
    pub const SENTENCE: &'static str = "`{value}` is not a duration: write 1 to 4 numbers of at most 5 digits, each with h, m, s or ms, such as 1s or 1m30s";
    /// No time at all: what switches an optional timer off.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The duration of `millis` milliseconds.
    pub const fn from_millis(millis: u32) -> Self {
        Self(Duration::from_millis(millis as u64))
    }

    /// The duration of `secs` seconds.
    pub const fn from_secs(secs: u16) -> Self {
        Self(Duration::from_secs(secs as u64))
    }

    /// The duration for arithmetic.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for GatewayDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || DurationError(text.to_owned());
        let (mut rest, mut parts, mut millis) = (text, 0, 0_u64);
        while !rest.is_empty() || parts == 0 {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let unit = &tail[..tail.bytes().take_while(u8::is_ascii_alphabetic).count()];
            let unit_millis = match unit {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return Err(refused()),
            };
            parts += 1;
            if digits > 5 || parts > 4 {
                return Err(refused());
            }
            millis += number.parse::<u64>().map_err(|_| refused())? * unit_millis;
            rest = &tail[unit.len()..];
        }
        let duration = Self(Duration::from_millis(millis));
        // `99999h99999h` is spelled right but could not be written back.
        if millis / 3_600_000 > 99_999 {
            Err(refused())
        } else {
            Ok(duration)
        }
    }
}

impl fmt::Display for GatewayDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        for (size, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
            let bound = match unit {
                "h" => u128::MAX,
                "ms" => 1_000,
                _ => 60,
            };
            let count = millis / size % bound;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for GatewayDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GatewayDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for GatewayDuration {
    fn schema_name() -> Cow<'static, str> {
        "GatewayDuration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Four parts of at most five digits and a unit: 28 bytes.
        json_schema!({ "type": "string", "pattern": Self::PATTERN, "maxLength": 28 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_read_and_written_canonically() {
        for (text, millis, canonical) in [
            ("0s", 0, "0s"),
            ("0h0m0s", 0, "0s"),
            ("1s", 1_000, "1s"),
            ("10ms", 10, "10ms"),
            ("40950ms", 40_950, "40s950ms"),
            ("90s", 90_000, "1m30s"),
            ("1h2m3s4ms", 3_723_004, "1h2m3s4ms"),
            ("4ms1h", 3_600_004, "1h4ms"),
            ("25h", 90_000_000, "25h"),
            ("99999h59m59s999ms", 359_999_999_999, "99999h59m59s999ms"),
        ] {
            let duration: GatewayDuration = text.parse().unwrap();
            assert_eq!(duration.get(), Duration::from_millis(millis), "{text}");
            assert_eq!(duration.to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_gep_2257_forbids_is_refused() {
        for text in [
            "",
            "1",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1us",
            "1ns",
            "1d",
            "1 s",
            "123456s",
            "1s1s1s1s1s",
            "1S",
            "１s",
            "99999h60m",
        ] {
            assert!(text.parse::<GatewayDuration>().is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn every_duration_survives_writing_and_reading(millis in 0_u64..360_000_000_000) {
            let duration = GatewayDuration(Duration::from_millis(millis));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".*") {
            let _ = text.parse::<GatewayDuration>();
        }
    }
}
