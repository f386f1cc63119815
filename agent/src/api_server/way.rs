//! Whether the API server is reached, as log lines: one when it is lost, one when it is back, and none for a hiccup.

use core::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

/// Failures within this time are a hiccup: a connection that was closed while nobody used it, a server that restarts behind
/// a balancer.
const HICCUP: Duration = Duration::from_secs(1);

/// Whether the API server is reached.
#[derive(Debug, Default)]
pub struct Way {
    /// Since when nothing was answered.
    failing: Option<Instant>,
    /// Whether that was said.
    said: bool,
}

/// What is to be said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// It is not reached any more.
    Lost,
    /// It is reached again, after so long.
    Back(Duration),
}

impl Way {
    /// A request failed.
    pub fn failed(&mut self, now: Instant) -> Option<News> {
        let since = *self.failing.get_or_insert(now);
        if self.said || now.duration_since(since) < HICCUP {
            return None;
        }
        self.said = true;
        Some(News::Lost)
    }

    /// A request was answered.
    pub fn answered(&mut self, now: Instant) -> Option<News> {
        let since = self.failing.take()?;
        core::mem::take(&mut self.said).then(|| News::Back(now.duration_since(since)))
    }
}

/// Whether an answer says that the server cannot answer now, rather than what it thinks of the request.
pub fn is_failure(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_said_once_and_its_end_once() {
        let (mut way, start) = (Way::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(way.answered(at(0)), None);
        assert_eq!((way.failed(at(1)), way.failed(at(1))), (None, None));
        assert_eq!(way.answered(at(2)), None, "a hiccup");
        assert_eq!(way.failed(at(3)), None);
        assert_eq!(way.failed(at(5)), Some(News::Lost));
        assert_eq!(way.failed(at(6)), None);
        assert_eq!(way.answered(at(9)), Some(News::Back(Duration::from_secs(6))));
        assert_eq!(way.answered(at(10)), None);
    }

    #[test]
    fn a_throttled_or_broken_server_is_not_reached_and_one_that_refuses_is() {
        for (status, failure) in [
            (429, true),
            (503, true),
            (200, false),
            (403, false),
            (404, false),
            (410, false),
        ] {
            assert_eq!(
                is_failure(StatusCode::from_u16(status).unwrap()),
                failure,
                "{status}"
            );
        }
    }
}
