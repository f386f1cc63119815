//! The state machine of one virtual router, sentence by sentence.

mod backup;
mod harness;
mod starting;
