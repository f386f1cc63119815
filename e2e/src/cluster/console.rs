//! A test's own view of the cluster: objects asked for and waited for over the lab's network, without a process each time.

use std::{
    fmt,
    future::Future,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use holdfast_api::v1alpha1::{VirtualIPGroup, VirtualIPNode};
use holdfast_lab::{Node, wait_until};
use kube::{
    Api, Client, Config, Resource,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::watcher,
};
use serde::de::DeserializeOwned;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use super::conditions;
use crate::Result;

/// How often an object that is waited for is asked for again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long an API server may take for an answer before it counts as none.
const ANSWER: Duration = Duration::from_secs(15);

/// A client of the API server that lives in a node of the lab.
pub struct Console {
    client: Client,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    /// Asks from `node`, as whom the kubeconfig says.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub fn new(node: &Node, kubeconfig: &Path) -> Result<Self> {
        let (node, kubeconfig) = (node.clone(), Kubeconfig::read_from(kubeconfig)?);
        let (stop, stopped) = oneshot::channel();
        let (ready, made) = mpsc::channel();
        let thread = thread::Builder::new().name("console".to_owned()).spawn(move || {
            let failed = ready.clone();
            // The sockets belong to the namespace of the thread that opens them: everything is driven in there.
            let served = node.netns().run(|| {
                serve(kubeconfig, &ready, stopped);
                Ok(())
            });
            if let Err(error) = served {
                failed.send(Err(error.to_string())).ok();
            }
        })?;
        let (handle, client) = made.recv()??;
        Ok(Self {
            client,
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The client, for [`run`](Self::run).
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Runs `future` to its end where the API server can be reached.
    ///
    /// # Errors
    /// When the console is gone.
    pub fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Result<T> {
        let (done, result) = mpsc::channel();
        self.handle.spawn(async move {
            done.send(future.await).ok();
        });
        Ok(result.recv()?)
    }

    /// The object called `name`, of a kind that has no namespaces.
    ///
    /// # Errors
    /// When there is none, or nobody answers.
    pub fn get<K>(&self, name: &str) -> Result<K>
    where
        K: Resource<Scope = kube::core::ClusterResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
        K: Send + 'static,
        K::DynamicType: Default,
    {
        let (api, name) = (Api::<K>::all(self.client()), name.to_owned());
        let answer = self.run(async move { tokio::time::timeout(ANSWER, api.get(&name)).await })?;
        Ok(answer??)
    }

    /// A group.
    ///
    /// # Errors
    /// Like [`get`](Self::get).
    pub fn group(&self, name: &str) -> Result<VirtualIPGroup> {
        self.get(name)
    }

    /// What a node is told and what it says.
    ///
    /// # Errors
    /// Like [`get`](Self::get).
    pub fn node(&self, name: &str) -> Result<VirtualIPNode> {
        self.get(name)
    }

    /// Waits until the group `name` is such that `accept` says yes, and returns it.
    ///
    /// # Errors
    /// After `patience`, with `what` and the group's status as it was last.
    pub fn wait_for_group(
        &self,
        name: &str,
        what: &str,
        patience: Duration,
        mut accept: impl FnMut(&VirtualIPGroup) -> bool,
    ) -> Result<VirtualIPGroup> {
        let mut last = Err("never asked".to_owned());
        let waited = wait_until(what, patience, || {
            last = self.group(name).map_err(|error| error.to_string());
            Ok(last.as_ref().is_ok_and(&mut accept) || pause())
        });
        match (waited, last) {
            (Ok(_), Ok(group)) => Ok(group),
            (Ok(_), Err(error)) => Err(error.into()),
            (Err(error), Ok(group)) => Err(format!("{error}; {}", conditions::describe(&group)).into()),
            (Err(error), Err(last)) => Err(format!("{error}; the last answer: {last}").into()),
        }
    }

    /// Waits until the group's status is about its present generation, and it is Ready with `node` active.
    ///
    /// # Errors
    /// Like [`wait_for_group`](Self::wait_for_group).
    pub fn wait_until_ready(&self, name: &str, node: &str, patience: Duration) -> Result<VirtualIPGroup> {
        self.wait_for_group(
            name,
            &format!("{name} is Ready with {node} active"),
            patience,
            |group| {
                conditions::is_current(group)
                    && conditions::is_true(group, "Ready")
                    && group
                        .status
                        .as_ref()
                        .is_some_and(|status| status.active_node.as_deref() == Some(node))
            },
        )
    }

    /// Waits until the object of the node `name` is such that `accept` says yes, and returns it.
    ///
    /// # Errors
    /// After `patience`, with `what` and the object as it was last.
    pub fn wait_for_node(
        &self,
        name: &str,
        what: &str,
        patience: Duration,
        mut accept: impl FnMut(&VirtualIPNode) -> bool,
    ) -> Result<VirtualIPNode> {
        let mut last = Err("never asked".to_owned());
        let waited = wait_until(what, patience, || {
            last = self.node(name).map_err(|error| error.to_string());
            Ok(last.as_ref().is_ok_and(&mut accept) || pause())
        });
        match (waited, last) {
            (Ok(_), Ok(node)) => Ok(node),
            (Ok(_), Err(error)) => Err(error.into()),
            (Err(error), last) => Err(format!("{error}; the last answer: {last:#?}").into()),
        }
    }

    /// Takes note of every version of every object of one kind from now on, the present ones first.
    ///
    /// # Errors
    /// When the API server does not say which there are at present.
    pub fn record<K>(&self) -> Result<Recording<K>>
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
        K::DynamicType: Default + Send + Sync,
    {
        let versions = Arc::new(Mutex::new(Vec::new()));
        let (listed, first) = mpsc::channel();
        self.handle
            .spawn(watch(Api::<K>::all(self.client()), Arc::clone(&versions), listed));
        first.recv_timeout(ANSWER)?;
        Ok(Recording { versions })
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// The versions of objects that a [`Console`] has seen since it was asked to take note.
#[derive(Debug)]
pub struct Recording<K> {
    versions: Arc<Mutex<Vec<(Instant, K)>>>,
}

impl<K: Clone> Recording<K> {
    /// What was seen since `start`, in order.
    pub fn since(&self, start: Instant) -> Vec<K> {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions
            .iter()
            .filter(|(at, _)| *at >= start)
            .map(|(_, object)| object.clone())
            .collect()
    }
}

/// Takes note of every version, for ever, and says when the present ones are known. After an error everything is asked for anew,
/// and soon: an API server that returns has its next versions within a fraction of a second.
async fn watch<K>(api: Api<K>, versions: Arc<Mutex<Vec<(Instant, K)>>>, listed: mpsc::Sender<()>)
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    K::DynamicType: Default,
{
    loop {
        let mut events = pin!(watcher(api.clone(), watcher::Config::default()));
        while let Some(Ok(event)) = events.next().await {
            match event {
                watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                    let mut versions = versions.lock().unwrap_or_else(PoisonError::into_inner);
                    versions.push((Instant::now(), object));
                }
                watcher::Event::InitDone => {
                    listed.send(()).ok();
                }
                watcher::Event::Init | watcher::Event::Delete(_) => {}
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

type Made = std::result::Result<(Handle, Client), String>;

/// Makes a client and drives what is spawned on its runtime until it is told to stop.
fn serve(kubeconfig: Kubeconfig, ready: &mpsc::Sender<Made>, stopped: oneshot::Receiver<()>) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ready.send(Err(error.to_string())).ok();
            return;
        }
    };
    runtime.block_on(async {
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = config
            .map_err(|error| error.to_string())
            .and_then(|config| Client::try_from(config).map_err(|error| error.to_string()));
        let usable = client.is_ok();
        ready.send(client.map(|client| (Handle::current(), client))).ok();
        if usable {
            stopped.await.ok();
        }
    });
}

/// Lets others work before the next look; always false, so that it can end a condition.
fn pause() -> bool {
    thread::sleep(PAUSE);
    false
}
