//! What can go wrong while reconciling: each in a sentence for people, and in one of a few categories for metrics and for
//! deciding how long to wait.

use crate::queue::Turn;

/// Why a turn ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused, or could not be asked.
    #[error("{doing} `{object}`: {}", because(source))]
    Api {
        /// What was being done.
        doing: &'static str,
        /// To which object.
        object: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("{doing} `{object}`: the API server did not answer within {seconds}s")]
    NoAnswer {
        /// What was being done.
        doing: &'static str,
        /// To which object.
        object: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// This replica does not lead (any more).
    #[error("this replica does not lead, so it writes nothing")]
    NotLeading,
    /// A group cannot go while a node is being told of it.
    #[error("`{0}` is being told of the group at this moment")]
    Underway(String),
    /// A node waits while a fellow member of one of its groups is being told something new of it.
    #[error("`{0}` is being told of the same group at this moment")]
    FellowFirst(String),
}

/// The categories of errors: labels of a metric, so few and fixed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Category {
    /// Somebody else has changed the object: look again.
    Conflict,
    /// The object or its kind is not there.
    NotFound,
    /// The operator may not do that.
    Forbidden,
    /// The API server does not take the object.
    Invalid,
    /// The API server asks for patience.
    Throttled,
    /// The API server fails.
    Server,
    /// The API server cannot be reached, or does not answer.
    Unreachable,
    /// This replica does not lead.
    NotLeading,
    /// Anything else.
    Other,
}

impl Category {
    /// As a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Unreachable => "unreachable",
            Self::NotLeading => "not_leading",
            Self::Other => "other",
        }
    }

    /// The category of an error of the client.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                409 => Self::Conflict,
                404 | 410 => Self::NotFound,
                401 | 403 => Self::Forbidden,
                400 | 413 | 422 => Self::Invalid,
                429 => Self::Throttled,
                500.. => Self::Server,
                _ => Self::Other,
            },
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
                Self::Unreachable
            }
            _ => Self::Other,
        }
    }
}

impl Error {
    /// The error's category.
    pub fn category(&self) -> Category {
        match self {
            Self::Api { source, .. } => Category::of(source),
            Self::NoAnswer { .. } => Category::Unreachable,
            Self::NotLeading => Category::NotLeading,
            Self::Underway(_) | Self::FellowFirst(_) => Category::Conflict,
        }
    }

    /// Whether what was asked for may have been done all the same, or may yet be.
    pub fn is_open(&self) -> bool {
        matches!(
            self.category(),
            Category::Server | Category::Unreachable | Category::Other
        )
    }

    /// What the queue makes of it.
    pub fn turn(&self) -> Turn {
        match self.category() {
            _ if matches!(self, Self::FellowFirst(_)) => Turn::Later,
            Category::Throttled | Category::Server | Category::Unreachable | Category::NotLeading => {
                Turn::Unserved
            }
            _ => Turn::Failed,
        }
    }
}

/// An error of the client in the API server's own words, if it has any.
pub fn because(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => {
            format!("{} ({})", status.message, status.code)
        }
        kube::Error::Api(status) => format!("the API server answered {} {}", status.code, status.reason),
        kube::Error::Service(source) => {
            let mut sentence = source.to_string();
            let mut cause = source.source();
            while let Some(inner) = cause {
                let inner_text = inner.to_string();
                if !sentence.contains(&inner_text) {
                    sentence = format!("{sentence}: {inner_text}");
                }
                cause = inner.source();
            }
            sentence
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/troubleshooting.md");

    #[test]
    fn every_category_has_a_row_on_the_page_of_troubleshooting_and_nothing_else_has() {
        let all = [
            Category::Conflict,
            Category::NotFound,
            Category::Forbidden,
            Category::Invalid,
            Category::Throttled,
            Category::Server,
            Category::Unreachable,
            Category::NotLeading,
            Category::Other,
        ];
        // Whoever adds a category is led to this list by the compiler.
        let said = all.map(|category| match category {
            Category::Conflict
            | Category::NotFound
            | Category::Forbidden
            | Category::Invalid
            | Category::Throttled
            | Category::Server
            | Category::Unreachable
            | Category::NotLeading
            | Category::Other => category.as_str(),
        });
        let rows = PAGE.split("\n| <a id=\"operator-").skip(1);
        let explained: Vec<&str> = rows.filter_map(|row| row.split('"').next()).collect();
        assert_eq!(explained, said);
    }
}
