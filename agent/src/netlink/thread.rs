//! The thread itself: hears the kernel, carries out requests, tells the engine.

use core::time::Duration;
use std::io;
use std::thread::{Builder, JoinHandle};

use nix::errno::Errno;
use tokio::sync::mpsc;

use super::change::{Command, forget};
use super::channel::{Closed, MessageSender};
use super::leaving::{Departure, Departures};
use super::socket::{BATCH, Listener, Overrun, Requests};
use super::table::Table;
use super::{Binding, Message, Request, plan};
use crate::clock;
use crate::connections::Released;

/// How long to wait before another attempt to learn the kernel's state, should that fail.
const DUMP_RETRY: Duration = Duration::from_millis(100);

/// How long to wait for the kernel to complete IPv6 addresses. It takes a fraction of a millisecond, unless somebody
/// holds its lock.
const COMPLETION_PATIENCE: Duration = Duration::from_millis(500);

/// Starts the thread in the caller's network namespace. It ends by [`Request::Stop`], or when either channel's other end
/// is gone.
///
/// It begins by telling the present state: [`Message::Resync`], what there is, [`Message::Synced`]. Without `released`, the
/// connections of addresses that leave are nobody's business.
pub fn spawn(
    requests: mpsc::Receiver<Request>,
    messages: MessageSender,
    released: Option<Released>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let listener = {
        let _within = runtime.enter();
        Listener::open()?
    };
    let worker = Worker {
        requests,
        messages,
        kernel: Requests::open()?,
        listener,
        table: Table::default(),
        released,
        departures: Departures::default(),
    };
    Builder::new().name("holdfast-netlink".into()).spawn(move || {
        if let Err(Closed) = runtime.block_on(worker.run()) {
            tracing::debug!("the engine has ended; so does the netlink thread");
        }
    })
}

struct Worker {
    requests: mpsc::Receiver<Request>,
    messages: MessageSender,
    kernel: Requests,
    listener: Listener,
    table: Table,
    released: Option<Released>,
    departures: Departures,
}

/// What the thread woke up for.
enum Woken {
    Asked(Option<Request>),
    /// There is news of the kernel's.
    Heard,
    /// The first address on its way out may go.
    Departed,
}

impl Worker {
    async fn run(mut self) -> Result<(), Closed> {
        self.resync().await?;
        loop {
            let woken = tokio::select! {
                request = self.requests.recv() => Woken::Asked(request),
                () = self.departures.ready() => Woken::Departed,
                ready = self.listener.ready() => {
                    if let Err(error) = ready {
                        tracing::error!("waiting for the kernel's news of links and addresses: {error}");
                        tokio::time::sleep(DUMP_RETRY).await;
                    }
                    Woken::Heard
                }
            };
            // What happened first is told first, and requests are planned on what is.
            let drained = self.drain();
            self.tell(drained).await?;
            match woken {
                Woken::Heard => {}
                Woken::Departed => self.finish_first().await?,
                Woken::Asked(None | Some(Request::Stop)) => return self.finish_all().await,
                Woken::Asked(Some(request)) => self.carry_out(request).await?,
            }
        }
    }

    async fn carry_out(&mut self, request: Request) -> Result<(), Closed> {
        if let Request::Bind { bindings, .. } | Request::Renew { bindings, .. } = &request
            && self.departures.concern(bindings)
        {
            self.finish_all().await?;
        }
        match request {
            Request::Bind {
                ticket,
                bindings,
                lifetime,
            } => {
                let now = clock::now();
                let (outcomes, drained) = self.execute(&bindings, |table, binding| {
                    plan::bind(table, now, binding, lifetime)
                });
                let drained = drained.and(self.await_completion(&bindings, &outcomes).await);
                self.tell(drained).await?;
                self.messages.send(match self.describe(&bindings, &outcomes) {
                    None => Message::Bound { ticket },
                    Some(error) => Message::BindFailed { ticket, error },
                })?;
                self.forget_unanswered(&bindings);
                Ok(())
            }
            Request::Renew {
                bindings,
                lifetime,
                not_after,
            } => {
                // Looked at again before each batch would be finer; but the kernel itself refuses to bring back what has
                // expired meanwhile.
                if clock::now() > not_after {
                    tracing::warn!(
                        "a renewal of {} addresses came too late and was dropped",
                        bindings.len()
                    );
                    return Ok(());
                }
                let (_, drained) =
                    self.execute(&bindings, |table, binding| plan::renew(table, binding, lifetime));
                self.tell(drained).await
            }
            Request::Unbind { ticket, bindings } => self.unbind(ticket, &bindings).await,
            Request::Stop => Ok(()),
        }
    }

    /// Has the kernel ask anew, with the next packet to them, for the neighbors that did not answer while a link was down.
    ///
    /// It repeats a question once a second and holds back what is for the one who was asked: clients of an address that comes here
    /// right after the link would get no answer for that long, and neither would the node's router.
    fn forget_unanswered(&mut self, bindings: &[Binding]) {
        for Binding { interface, .. } in bindings {
            if !self.table.take_came_up(*interface) {
                continue;
            }
            // That one answered or was forgotten meanwhile is no error; nor is a kernel that will not tell: it asks again by itself.
            let unanswered = self.kernel.unanswered(*interface).unwrap_or_default();
            let mut commands: Vec<Command> = unanswered.iter().map(forget).collect();
            for batch in commands.chunks_mut(BATCH) {
                self.kernel.execute(batch);
            }
        }
    }

    /// Takes addresses away; those whose connections can be reset, when they have been.
    async fn unbind(&mut self, ticket: u64, bindings: &[Binding]) -> Result<(), Closed> {
        let Some(released) = self.released.clone() else {
            return self.take_away(ticket, bindings).await;
        };
        let (leaving, others) = plan::sort(&self.table, bindings);
        if leaving.is_empty() {
            return self.take_away(ticket, bindings).await;
        }
        let (_, left) = self.execute(&leaving, |_, binding| plan::leave(binding));
        let told = released.leave(leaving.iter().map(|binding| binding.address).collect());
        self.departures.add(Departure {
            ticket,
            bindings: leaving,
            told,
        });
        let (_, drained) = self.execute(&others, plan::unbind);
        self.tell(left.and(drained)).await
    }

    async fn take_away(&mut self, ticket: u64, bindings: &[Binding]) -> Result<(), Closed> {
        let (_, drained) = self.execute(bindings, plan::unbind);
        self.tell(drained).await?;
        self.messages.send(Message::Unbound { ticket })
    }

    async fn finish_first(&mut self) -> Result<(), Closed> {
        match self.departures.take() {
            Some(departure) => self.take_away(departure.ticket, &departure.bindings).await,
            None => Ok(()),
        }
    }

    /// Takes all away that is on its way out, whatever it waits for.
    async fn finish_all(&mut self) -> Result<(), Closed> {
        while let Some(departure) = self.departures.take() {
            self.take_away(departure.ticket, &departure.bindings).await?;
        }
        Ok(())
    }

    /// Carries out what `plan` makes of each binding; for each the first error. The kernel's news of it is in the table
    /// when this returns.
    fn execute(
        &mut self,
        bindings: &[Binding],
        plan: impl Fn(&Table, &Binding) -> Vec<Command>,
    ) -> (Vec<Result<(), Errno>>, Result<(), Overrun>) {
        let (mut owners, mut commands) = (Vec::new(), Vec::new());
        for (index, binding) in bindings.iter().enumerate() {
            let planned = plan(&self.table, binding);
            owners.extend(core::iter::repeat_n(index, planned.len()));
            commands.extend(planned);
        }
        let mut outcomes = vec![Ok(()); bindings.len()];
        let mut drained = Ok(());
        for (owners, commands) in owners.chunks(BATCH).zip(commands.chunks_mut(BATCH)) {
            for (owner, result) in owners.iter().zip(self.kernel.execute(commands)) {
                outcomes[*owner] = outcomes[*owner].and(result);
            }
            // Between batches, so that a large request does not overrun its own news.
            drained = drained.and(self.drain());
        }
        (outcomes, drained)
    }

    /// Waits until the kernel has completed IPv6 addresses: it adds their routes, and tells of them, from another thread,
    /// even without duplicate detection. Announced before that, they would draw packets that nobody takes.
    async fn await_completion(
        &mut self,
        bindings: &[Binding],
        outcomes: &[Result<(), Errno>],
    ) -> Result<(), Overrun> {
        let wanted: Vec<_> = bindings
            .iter()
            .zip(outcomes)
            .filter(|(binding, outcome)| binding.address.is_ipv6() && outcome.is_ok())
            .map(|(binding, _)| plan::place(binding))
            .collect();
        let deadline = tokio::time::Instant::now() + COMPLETION_PATIENCE;
        let mut drained = Ok(());
        while drained.is_ok() && !wanted.iter().all(|place| self.table.has(place)) {
            match tokio::time::timeout_at(deadline, self.listener.ready()).await {
                Ok(Ok(())) => drained = self.drain(),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        drained
    }

    /// The first error in words, and how many there are; `None` if there is none.
    fn describe(&self, bindings: &[Binding], outcomes: &[Result<(), Errno>]) -> Option<String> {
        let mut failed = bindings
            .iter()
            .zip(outcomes)
            .filter_map(|(binding, outcome)| Some((binding, outcome.err()?)));
        let (binding, errno) = failed.next()?;
        let interface = self.table.name(binding.interface);
        let others = match failed.count() {
            0 => String::new(),
            others => format!(" ({others} more addresses failed as well)"),
        };
        Some(format!(
            "binding {}/{} to {interface}: {}{}{others}",
            binding.address,
            binding.prefix_length,
            errno.desc(),
            advice(errno)
        ))
    }

    fn drain(&mut self) -> Result<(), Overrun> {
        let (now, table) = (clock::now(), &mut self.table);
        self.listener.drain(|news| table.learn(now, news))
    }

    /// Tells what changed; everything, if the kernel dropped some of it.
    async fn tell(&mut self, drained: Result<(), Overrun>) -> Result<(), Closed> {
        if drained.is_err() {
            tracing::warn!("the kernel dropped news of links and addresses; looking at all of them again");
            return self.resync().await;
        }
        self.tell_changes()
    }

    fn tell_changes(&mut self) -> Result<(), Closed> {
        self.table
            .changes()
            .into_iter()
            .try_for_each(|message| self.messages.send(message))
    }

    /// Learns and tells the present state from scratch.
    async fn resync(&mut self) -> Result<(), Closed> {
        self.messages.send(Message::Resync)?;
        let news = loop {
            // What was heard up to now is in the dump; what is heard from now on is applied on top of it.
            let _ = self.listener.drain(drop);
            match self.kernel.dump() {
                Ok(news) => break news,
                Err(error) => {
                    tracing::error!("asking the kernel for its links and addresses: {error}; trying again");
                    tokio::time::sleep(DUMP_RETRY).await;
                }
            }
        };
        self.table = Table::default();
        let now = clock::now();
        for news in news {
            self.table.learn(now, news);
        }
        self.tell_changes()?;
        self.messages.send(Message::Synced)
    }
}

/// What to do about it, where that is known.
fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::ENODEV => "; the interface is gone, and the address is bound when it is back",
        Errno::EPERM => "; grant the agent CAP_NET_ADMIN",
        Errno::EACCES => {
            "; IPv6 is off on this interface: set the sysctl net.ipv6.conf.<interface>.disable_ipv6 to 0"
        }
        Errno::EINVAL => "; the interface may have the same address with another scope: look at `ip address`",
        _ => "",
    }
}
