//! What a step of a long story costs those who use a service meanwhile: a client that asks all the time, the promises that it is
//! held against, and the table of its longest outages. For stories of minutes on a real cluster; [`visitor`](crate::visitor) measures single failovers, in
//! milliseconds, and who answered.

mod client;
mod promise;
mod story;
mod table;

pub use self::{
    client::{Client, Connection, Service},
    promise::Promise,
    story::{Story, WRITE_VARIABLE},
    table::Row,
};
