//! Holdfast's API as pure data and functions: the YAML types, the validated model, the rules between them, and the
//! rendering of groups into what one node is to do. No client and no IO lives here.

pub mod aggregate;
pub mod cluster;
pub mod crd;
pub mod duration;
pub mod files;
pub mod model;
pub mod presets;
pub mod reason;
pub mod reference;
pub mod render;
pub mod rules;
pub mod shape;
mod similar;
pub mod summary;
pub mod v1alpha1;
pub mod yaml;
