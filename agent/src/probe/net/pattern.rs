//! The regular expressions of probes, over bytes: what services answer is not always text.

use regex::bytes::{Regex, RegexBuilder};

use super::failure::{Failure, quote};

/// How large an expression may become in memory; far above what people write.
const LARGEST: usize = 1 << 20;

/// The expression, ready to be used. The rules have refused those that are none.
pub fn compile(expression: &str) -> Result<Regex, Failure> {
    let built = RegexBuilder::new(expression)
        .size_limit(LARGEST)
        .dfa_size_limit(LARGEST / 4)
        .build();
    built.map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        Failure::could_not_run(format!(
            "/{}/ is no regular expression that can be used: {}",
            quote(expression.as_bytes()),
            quote(reason.as_bytes())
        ))
    })
}

/// As messages show it.
pub fn shown(expression: &Regex) -> String {
    format!("/{}/", quote(expression.as_str().as_bytes()))
}
