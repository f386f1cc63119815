//! Probes that ask over a network or a socket: HTTP, TCP, gRPC, MySQL.
//!
//! Each run opens a connection of its own, because that is what is tested, and leaves nothing behind when it ends or is
//! dropped. Nothing here waits on the thread that runs the probes: names and files are looked at aside.

mod abrupt;
mod alongside;
mod aside;
mod dial;
mod failure;
mod fair;
mod grpc;
mod http;
mod http1;
mod http2;
mod material;
mod mysql;
mod name;
mod pattern;
mod stage;
mod static_pod;
mod tcp;
mod tls;

use core::future::Future;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_api::model::probe as model;
use holdfast_health::{Outcome, Run};

use self::failure::{Failure, Found};
use self::stage::Stage;
use super::check::{Check, Scene};
use crate::status::FaultStatus;

/// What looks as `check` says; `None` if it is not of those that ask over a network.
pub fn build(check: &model::Check) -> Option<Box<dyn Check>> {
    Some(match check {
        model::Check::Http(http) => boxed(http::HttpLook::new(http)),
        model::Check::Tcp(tcp) => boxed(tcp::TcpLook::new(tcp)),
        model::Check::Grpc(grpc) => boxed(grpc::GrpcLook::new(grpc)),
        model::Check::Mysql(mysql) => boxed(Ok(mysql::MysqlLook::new(mysql))),
        model::Check::Exec(_)
        | model::Check::Process(_)
        | model::Check::File(_)
        | model::Check::Interface(_)
        | model::Check::Route(_)
        | model::Check::Peer(_) => return None,
    })
}

/// Looks once, and knows how far it came.
trait Look: Send {
    /// Looks once.
    fn look(&mut self) -> impl Future<Output = Found> + Send;

    /// How far it came.
    fn stage(&self) -> &Stage;

    /// See [`Check::warning`].
    fn warning(&self) -> Option<FaultStatus> {
        None
    }
}

fn boxed<L: Look + 'static>(look: Result<L, Failure>) -> Box<dyn Check> {
    match look {
        Ok(look) => Box::new(Looking(look)),
        Err(failure) => Box::new(Unusable(failure)),
    }
}

struct Looking<L>(L);

impl<L: Look> Check for Looking<L> {
    fn run<'a>(&'a mut self, _: &'a Scene) -> BoxFuture<'a, Run> {
        async {
            match self.0.look().await {
                Ok(message) => Run::new(Outcome::Passed, message),
                Err(failure) => failure.into_run(),
            }
        }
        .boxed()
    }

    fn interrupted(&self) -> Option<String> {
        self.0.stage().said()
    }

    fn warning(&self) -> Option<FaultStatus> {
        self.0.warning()
    }
}

/// What cannot be made: a model from another version, say.
struct Unusable(Failure);

impl Check for Unusable {
    fn run<'a>(&'a mut self, _: &'a Scene) -> BoxFuture<'a, Run> {
        core::future::ready(self.0.clone().into_run()).boxed()
    }
}

#[cfg(test)]
mod tests;
