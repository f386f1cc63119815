//! The page of results, as Markdown: pure text out of figures.

use std::{fmt::Write as _, time::Duration};

use crate::{
    failover::{Death, Failover, WATCHED},
    figures::{interval, longest, megabytes, millis, spread},
    machine::Machine,
    probing,
    results::Results,
    service,
    steadiness::{BUSY_LOOPS, INTERVAL},
    targets::{self, Target},
};

/// The page about failovers and what they cost, beside keepalived.
pub fn page(machine: &Machine, results: &Results, took: Duration, load_after: &str) -> String {
    let mut text = head(
        "Benchmarks",
        "Holdfast and keepalived in the same lab, in the same run, with the same virtual routers. What the operator costs is \
         on [a page of its own](benchmarks-operator.md).",
        machine,
        &[
            ("Holdfast", &machine.holdfast),
            ("keepalived", &machine.keepalived),
        ],
        (took, load_after),
    );
    targets_table(
        &mut text,
        "measured (Holdfast / keepalived)",
        &targets::judge(results),
    );
    if !results.failovers.is_empty() {
        failover_section(&mut text, results);
    }
    if !results.services.is_empty() {
        service_section(&mut text, results);
    }
    if !results.probing.is_empty() {
        probing_section(&mut text, results);
    }
    if !results.costs.is_empty() {
        cost_section(&mut text, results);
    }
    if !results.busy.is_empty() {
        busy_section(&mut text, results);
    }
    if !results.holds.is_empty() {
        hold_section(&mut text, results);
    }
    text
}

/// The beginning of a page: what it is about, how it is made anew, when and on what machine it was measured.
pub fn head(
    title: &str,
    about: &str,
    machine: &Machine,
    programs: &[(&str, &str)],
    (took, load_after): (Duration, &str),
) -> String {
    let mut text = format!(
        "# {title}\n\n{about} Written by\n\n    make bench\n\n\
         which measures everything anew, here and on your machine, and replaces this page.\n\n\
         | | |\n|---|---|\n\
         | date | {} |\n| machine | {}, {} cores, Linux {} |\n| load before and after | {}, {load_after} |\n",
        machine.date, machine.processor, machine.cores, machine.kernel, machine.load,
    );
    for (name, version) in programs {
        line(&mut text, &format!("| {name} | {version} |"));
    }
    let user = if machine.rootless {
        "an ordinary one (no real-time priority)"
    } else {
        "root"
    };
    line(&mut text, &format!("| user | {user} |"));
    line(&mut text, &format!("| it took | {} s |", took.as_secs()));
    text
}

/// Adds a line. Writing to a String cannot fail.
pub fn line(text: &mut String, content: &str) {
    let _ = writeln!(text, "{content}");
}

/// Adds the section that says which promises were kept.
pub fn targets_table(text: &mut String, measured: &str, targets: &[Target]) {
    line(
        text,
        &format!("\n## Targets\n\n| target | {measured} | |\n|---|---|---|"),
    );
    for target in targets {
        let verdict = if target.met { "met" } else { "**missed**" };
        line(
            text,
            &format!("| {} | {} | {verdict} |", target.promise, target.measured),
        );
    }
}

/// What a table says of the runs of one event.
type Figure = fn(&[Failover]) -> String;

fn failover_section(text: &mut String, results: &Results) {
    let control: Vec<_> = results
        .failovers
        .iter()
        .flat_map(|(_, both)| both.iter().flatten())
        .map(|run| run.control)
        .collect();
    line(
        text,
        &format!(
            "\n## Failover\n\n\
             Two nodes and a client that asks the virtual address every millisecond; the backup has priority 100. Each \
             fault comes right after an advertisement, which is the worst moment. *Takeover* is the time until the \
             other node answers, *silence* the longest time without an answer, *two holders* how long both nodes had \
             the address; it is watched for {} beyond the takeover. The client's own address, asked alike, was silent \
             for at most {} ms: so much of any figure may be the machine's. The daemons take turns. Each figure is the median of the runs (lowest–highest).\n\n\
             | event | interval | keepalived | Holdfast |\n|---|---|---|---|",
            interval(WATCHED),
            millis(longest(&control)),
        ),
    );
    let events: [(&str, Figure); 9] = [
        ("node lost (cable): takeover", |runs| {
            each(runs, |run| run.lost_node)
        }),
        ("preferred node returns (cable): silence", |runs| {
            each(runs, |run| run.return_by_cable)
        }),
        ("planned stop (SIGTERM): silence", |runs| {
            each(runs, |run| run.planned_stop)
        }),
        ("the same: the client's own address", |runs| {
            each(runs, |run| run.planned_stop_control)
        }),
        ("preferred node returns (start): silence", |runs| {
            each(runs, |run| run.return_by_start)
        }),
        ("killed (SIGKILL): takeover", |runs| {
            each(runs, |run| run.killed.takeover)
        }),
        ("killed (SIGKILL): two holders", |runs| {
            holders(runs, |run| run.killed)
        }),
        ("frozen (SIGSTOP): takeover", |runs| {
            each(runs, |run| run.frozen.takeover)
        }),
        ("frozen (SIGSTOP): two holders", |runs| {
            holders(runs, |run| run.frozen)
        }),
    ];
    for (event, figure) in events {
        for (setting, [keepalived, holdfast]) in &results.failovers {
            let (theirs, ours) = (figure(keepalived), figure(holdfast));
            line(
                text,
                &format!("| {event} | {} | {theirs} | {ours} |", setting.name()),
            );
        }
    }
}

fn each(runs: &[Failover], figure: impl Fn(&Failover) -> Duration) -> String {
    spread(&runs.iter().map(figure).collect::<Vec<_>>())
}

/// For how long two nodes held the address; a figure cut short by the end of the watch is a lower bound.
fn holders(runs: &[Failover], death: impl Fn(&Failover) -> Death) -> String {
    let deaths: Vec<_> = runs.iter().map(death).collect();
    let times: Vec<_> = deaths.iter().map(|death| death.two_holders).collect();
    if deaths.iter().any(|death| death.for_good) {
        let shortest = times.iter().copied().min().unwrap_or_default();
        format!("> {} ms, for good", millis(shortest))
    } else {
        spread(&times)
    }
}

fn cost_section(text: &mut String, results: &Results) {
    let real_time = |index: usize| results.costs.iter().any(|(_, both)| both[index].real_time);
    let priority = |index: usize| if real_time(index) { "with" } else { "without" };
    line(
        text,
        &format!(
            "\n## Cost of an Active router\n\n\
             All virtual routers of one daemon are Active, alone on their network (what the kernel does to deliver to \
             another namespace would be billed to the sender), by multicast, with one address each. CPU time is the \
             scheduler's, over all threads and processes, and includes everything the daemon does meanwhile, for \
             Holdfast the renewal of its addresses, about once a second and a lone router's largest cost at 1 s: it is \
             why a dead daemon's address goes away by itself. Advertisements are the packets the kernel counted. Memory is \
             resident (RSS); *peak* its highest, *own share* with shared pages divided among their users (PSS). Each \
             daemon runs as it does by default: keepalived in {} processes {} real-time priority, Holdfast in {} {} it.\
             \n\n\
             | virtual routers | interval | daemon | advertisements/s | CPU ms/s | CPU µs per advertisement | RSS MB | \
             peak MB | own share MB |\n|---|---|---|---|---|---|---|---|---|",
            processes(results, 0),
            priority(0),
            processes(results, 1),
            priority(1),
        ),
    );
    for (routers, both) in &results.costs {
        for (daemon, cost) in crate::daemon::BOTH.iter().zip(both) {
            #[expect(clippy::cast_precision_loss, reason = "no decimal is shown")]
            let rate = cost.advertisements as f64 / cost.window.as_secs_f64();
            line(
                text,
                &format!(
                    "| {} | {} | {} | {rate:.0} | {:.2} | {:.1} | {} | {} | {} |",
                    routers.count,
                    interval(routers.interval),
                    daemon.name(),
                    cost.per_second(),
                    cost.per_advertisement(),
                    megabytes(cost.memory.resident),
                    megabytes(cost.memory.peak),
                    megabytes(cost.memory.proportional),
                ),
            );
        }
    }
}

fn service_section(text: &mut String, results: &Results) {
    line(
        text,
        &format!(
            "\n## A service that ends while its node lives\n\n\
             nginx behind the address on two nodes, asked on the node itself every {0}, by an `httpGet` probe (Holdfast) \
             and by a `track_script` that asks the same (keepalived, `weight 0`); {1} failures in a row count, an answer \
             may take {0}, advertisements go every {2}. A visitor asks the address by HTTP all the time: the figure is the \
             time from the service's end until the other node answers. What part of the period is left when it ends differs \
             from run to run and is the same for both. Median (lowest–highest).\n\n\
             | the service is | keepalived | Holdfast |\n|---|---|---|",
            interval(service::PERIOD),
            service::FALL,
            interval(service::INTERVAL),
        ),
    );
    for (end, [theirs, ours]) in &results.services {
        line(
            text,
            &format!("| {} | {} | {} |", end.name(), spread(theirs), spread(ours)),
        );
    }
}

fn probing_section(text: &mut String, results: &Results) {
    line(
        text,
        &format!(
            "\n## What probes cost\n\n\
             {} probes in ten groups, each run every {}, so that there are {} runs a second; nginx answers on the same node \
             and is not counted. Programs that were started are.\n\n\
             | probes | agent's time on a processor | of one processor |\n|---|---|---|",
            probing::COUNT,
            interval(probing::PERIOD),
            probing::COUNT * 1000 / usize::try_from(probing::PERIOD.as_millis()).unwrap_or(1),
        ),
    );
    for probing in &results.probing {
        line(
            text,
            &format!(
                "| {} | {} ms a second | {:.1} % |",
                probing.kind.name(),
                millis(probing.cpu.div_f64(probing.window.as_secs_f64())),
                probing.percent(),
            ),
        );
    }
}

fn processes(results: &Results, index: usize) -> usize {
    let most = results.costs.iter().map(|(_, both)| both[index].memory.processes);
    most.max().unwrap_or(0)
}

fn busy_section(text: &mut String, results: &Results) {
    line(
        text,
        &format!(
            "\n## On a busy machine\n\n\
             {BUSY_LOOPS} endless loops in a session of their own for {}, one virtual router at {}. A *false failover* is a takeover although \
             nothing had happened to the Active node. By default Holdfast asks for real-time priority and keepalived \
             does not; it has an option for it.\n\n\
             | | false failovers | largest gap between advertisements | longest silence | the client's own address |\n\
             |---|---|---|---|---|",
            interval(results.busy_for),
            interval(INTERVAL),
        ),
    );
    for (contender, busy) in &results.busy {
        line(
            text,
            &format!(
                "| {} | {} | {} ms | {} ms | {} ms |",
                contender.name(),
                busy.false_failovers,
                millis(busy.largest_gap),
                millis(busy.silence),
                millis(busy.control),
            ),
        );
    }
}

fn hold_section(text: &mut String, results: &Results) {
    line(
        text,
        &format!(
            "\n## With RTNL held by somebody else\n\n\
             The kernel has one lock for all changes of interfaces and addresses. Here it is held by the removal of \
             thousands of interfaces in another namespace; *held* is how long a change of an address in a third one \
             had to wait. Both daemons run at {} meanwhile, so that each hold hits both. Removed on *any processor*, \
             the interfaces also keep that processor inside the kernel: on a kernel that does not preempt itself \
             whatever runs there waits, the client too, and a thread with real-time priority (Holdfast's) is not moved \
             to an idle processor, an ordinary one (keepalived's) more often is. Removed on *another processor* than \
             the daemons', only the lock is left.\n\n\
             | held | by whom | daemon | largest gap between advertisements | false failovers |\n|---|---|---|---|---|",
            interval(INTERVAL),
        ),
    );
    for hold in &results.holds {
        for (daemon, seen) in crate::daemon::BOTH.iter().zip(&hold.seen) {
            line(
                text,
                &format!(
                    "| {} ms | {} | {} | {} ms | {} |",
                    millis(hold.blocked),
                    if hold.apart {
                        "another processor"
                    } else {
                        "any processor"
                    },
                    daemon.name(),
                    millis(seen.largest_gap),
                    seen.false_failovers,
                ),
            );
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::results::tests::results;

    /// Some machine.
    pub fn machine() -> Machine {
        Machine {
            date: "2026-01-02".to_owned(),
            processor: "X".to_owned(),
            cores: 2,
            kernel: "6.1".to_owned(),
            load: "0.1".to_owned(),
            holdfast: "holdfast-agent 1".to_owned(),
            keepalived: "Keepalived v2".to_owned(),
            rootless: false,
        }
    }

    #[test]
    fn a_missed_target_is_called_missed() {
        let mut results = results();
        let good = page(&machine(), &results, Duration::from_secs(9), "0.2");
        assert!(!good.contains("**missed**"), "{good}");
        results.failovers[0].1[1][0].planned_stop = Duration::from_millis(6);
        let bad = page(&machine(), &results, Duration::from_secs(9), "0.2");
        assert_eq!(bad.matches("**missed**").count(), 1, "{bad}");
    }

    #[test]
    fn two_holders_that_were_watched_to_the_end_are_a_lower_bound() {
        let page = page(&machine(), &results(), Duration::from_secs(9), "0.2");
        assert!(
            page.contains(
                "| killed (SIGKILL): two holders | 100 ms | > 4000 ms, for good | 2500 ms (2500–2500) |"
            ),
            "{page}"
        );
    }

    #[test]
    fn a_part_that_was_not_measured_has_no_section() {
        let page = page(&machine(), &Results::default(), Duration::from_secs(9), "0.2");
        assert_eq!(page.matches("\n## ").count(), 1, "{page}");
    }
}
