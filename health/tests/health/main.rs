//! Health from outside: results and time in, judgements and reports out.

mod damping;
mod duty;
mod edits;
mod healing;
mod kit;
mod moves;
mod properties;
mod quorums;
mod severity;
mod verdicts;
mod words;
