//! How a status puts names, times and faults into words.

use jiff::Timestamp;

use crate::v1alpha1::Fault;

/// `cp-1`, `cp-1 and cp-2`, `cp-1, cp-2 and cp-3`.
pub(super) fn join<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => String::new(),
    }
}

/// A time to the second.
pub(super) fn at(time: Timestamp) -> String {
    super::seconds(time).to_string()
}

/// `LinkDown: eth0 has no carrier`
pub(super) fn fault(fault: &Fault) -> String {
    match &fault.message {
        Some(message) => format!("{}: {message}", fault.reason),
        None => fault.reason.clone(),
    }
}

/// The text, or as much of it as fits into so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    kept + "…"
}

/// The text with a full stop.
pub(super) fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?', '…']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}
