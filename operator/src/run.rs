//! `holdfast-operator run`: starts everything in order, and ends it so that the next leader need not wait.

use core::time::Duration;
use std::sync::Arc;

use anyhow::Context as _;
use holdfast_client::{Backoff, chance};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PartialObjectMeta;
use kube::{Api, Client, ResourceExt as _};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::cli::{MetricsAddress, RunArgs};
use crate::clock::Clock;
use crate::connect::{Connection, connect};
use crate::context::Context;
use crate::deletion::Circumstances;
use crate::error::because;
use crate::http::Answers;
use crate::leader::{Elector, Ended, Leadership};
use crate::metrics::Metrics;
use crate::world::{Controller, World};
use crate::write::Writer;
use crate::{controller, events, http, watch as watches};

/// How often time is let pass in the index. Nothing but memory is touched.
const TICK: Duration = Duration::from_secs(1);
/// How long turns under way may take when the operator stops; a write takes less.
const FINISH: Duration = Duration::from_secs(5);

/// Runs the operator until it is told to end.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<()> {
    // First of all, so that a signal sent while the operator starts is not lost.
    let mut stop = listen()?;
    let identity = args.identity.clone().unwrap_or_else(own_name);
    let metrics = Arc::new(Metrics::new().context("registering metrics")?);
    let world = Arc::new(World::new(Clock::start(), args.member_patience));
    let leadership = Arc::new(if args.no_leader_election {
        Leadership::always()
    } else {
        Leadership::default()
    });
    let mut tasks = JoinSet::new();
    if let MetricsAddress::At(address) = args.metrics_address {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("serving metrics and probes at {address} (--metrics-address chooses another address)")
        })?;
        let answers = Answers {
            world: Arc::clone(&world),
            metrics: Arc::clone(&metrics),
            leadership: Arc::clone(&leadership),
        };
        tasks.spawn(http::serve(listener, answers));
    }
    let Connection { client, host } = connect(args.connect.kubeconfig.as_ref()).await?;

    // Who this cluster is, and what there is in it.
    let prepare = async {
        let uid = cluster_uid(&client).await;
        world.change(|index, _| index.set_cluster(uid));
        watches::start(&mut tasks, &client, &args.namespace, &world, &metrics);
        world.wait_until_listed().await;
    };
    tokio::select! {
        () = prepare => {}
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    }
    tracing::info!("watching as {identity}");

    // Who decides about it.
    let (speaker, publisher) = events::channel(client.clone(), identity.clone(), &metrics);
    let leases = Api::namespaced(client.clone(), &args.namespace);
    let mut elector = Elector::new(leases, identity, Arc::clone(&leadership));
    let context = Arc::new(Context {
        writer: Writer::new(
            &client,
            Arc::clone(&leadership),
            Arc::clone(&world),
            Arc::clone(&metrics),
        ),
        circumstances: Circumstances::new(client, host, &args.api_endpoints),
        world: Arc::clone(&world),
        speaker,
        metrics,
        allocating: tokio::sync::Mutex::default(),
        patience: args.member_patience,
    });
    let publishing = tokio::spawn(publisher.run());
    tasks.spawn(tick(Arc::clone(&world)));
    let mut leading = JoinSet::new();
    leading.spawn(lead(context, Arc::clone(&leadership), stop.clone()));

    let elect = async {
        if args.no_leader_election {
            // The sender lives as long as the signals are listened for, which is always.
            let _ = stop.clone().wait_for(|stop| *stop).await;
            return Ended::Stopped;
        }
        elector.run(stop.clone(), |now| world.pulse_sent(now)).await
    };
    let ended = tokio::select! {
        ended = elect => ended,
        Some(ended) = tasks.join_next() => return Err(unexpected(ended.err())),
        // It ends when it is told to, which the elector hears too.
        Some(ended) = leading.join_next() => match ended {
            Ok(()) => Ended::Stopped,
            Err(error) => return Err(unexpected(Some(error))),
        },
    };
    match ended {
        Ended::Lost(why) => {
            anyhow::bail!("this replica does not lead any more: {why}; it ends, to begin anew")
        }
        Ended::Stopped => {}
    }
    let finished = async {
        while leading.join_next().await.is_some() {}
        // Nobody says anything any more, so this ends when all is said.
        let _ = publishing.await;
    };
    if tokio::time::timeout(FINISH, finished).await.is_err() {
        tracing::warn!("ended before everything under way was written");
    }
    leadership.end();
    elector.release().await;
    Ok(())
}

/// Reconciles, from the moment this replica leads until it is told to stop.
async fn lead(context: Arc<Context>, leadership: Arc<Leadership>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = leadership.begun() => {}
        _ = stop.wait_for(|stop| *stop) => return,
    }
    // What the former leader wrote last decides what may be told next, and a watch may bring it late.
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    while let Err(error) = context.writer.read_nodes().await {
        tracing::warn!("before leading: {error}; trying again");
        tokio::select! {
            () = tokio::time::sleep(backoff.failed(chance())) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
    context.world.change(|index, _| index.touch_all());
    let run = |which| controller::run(which, Arc::clone(&context), Arc::clone(&leadership), stop.clone());
    tokio::join!(run(Controller::Group), run(Controller::Node));
}

async fn tick(world: Arc<World>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        world.change(crate::index::Index::advance);
    }
}

/// The UID of the namespace kube-system, asked for until it is answered: it stands for the cluster.
async fn cluster_uid(client: &Client) -> String {
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
    loop {
        let asked = tokio::time::timeout(Duration::from_secs(5), namespaces.get_metadata("kube-system"));
        let why = match asked.await {
            Ok(Ok(namespace)) => return namespace.uid().unwrap_or_default(),
            Ok(Err(error)) => because(&error),
            Err(_) => "no answer".to_owned(),
        };
        tracing::warn!(
            "asking which cluster this is (the UID of namespace kube-system): {why}; trying again"
        );
        tokio::time::sleep(backoff.failed(chance())).await;
    }
}

/// Says `true` at the first SIGTERM or SIGINT, and ends the process at the second.
fn listen() -> anyhow::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for signals")?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if sender.send_replace(true) {
                std::process::exit(1);
            }
        }
    });
    Ok(receiver)
}

fn own_name() -> String {
    let host = host_name().unwrap_or_else(|| "holdfast-operator".to_owned());
    // Two processes on one host are two replicas.
    format!("{host}_{}", std::process::id())
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn unexpected(error: Option<JoinError>) -> anyhow::Error {
    match error {
        Some(error) => anyhow::anyhow!("a part of the operator ended: {error}"),
        None => anyhow::anyhow!("a part of the operator ended"),
    }
}
