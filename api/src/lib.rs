//! Holdfast's API as pure data and functions: the YAML types, the validated model, the rules between them, and the
//! rendering of groups into what one node is to do. No client and no IO lives here.

pub mod model;
