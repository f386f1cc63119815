//! The lab against something nobody here wrote: keepalived fails over, and the figures are those it should have.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpStream},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use holdfast_lab::{
    Lab, Meter, Node,
    frr::{Frr, VirtualRouter},
    harness::{Case, Outcome, main as run},
    keepalived::{Keepalived, VrrpInstance},
    sandbox,
    service::{HaProxy, MariaDb, Nginx},
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(10);
const V4: &str = "10.77.0.100";
const V6: &str = "fd77::100";

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("nodes_have_their_addresses_at_once_and_reach_each_other", reach),
        Case::new("a_node_name_that_cannot_be_an_interface_is_refused", names),
        Case::new("two_labs_of_one_process_do_not_meet", side_by_side),
        Case::new("frames_are_lost_one_way_only", one_way),
        Case::new("isolated_nodes_reach_the_client_but_not_each_other", isolation),
        Case::new("a_second_interface_is_on_its_own_segment", second_segment),
        Case::new("an_own_address_is_renewed_as_by_dhcp", renewal),
        Case::new("a_frozen_process_stands_still_until_it_is_thawed", freezing),
        Case::new("a_dropped_process_is_gone_with_its_children", dropped_process),
        Case::new("a_process_starts_with_no_signal_blocked", signal_mask),
        Case::new("a_failing_command_in_a_node_says_why", failing_command),
        Case::new("nginx_answers_and_answers_otherwise_after_a_reload", nginx),
        Case::new("haproxy_says_on_its_socket_that_it_runs", haproxy),
        Case::new("mariadb_takes_a_login_and_statements", mariadb),
        Case::new("frr_and_keepalived_are_one_virtual_router", frr_and_keepalived),
        Case::new("keepalived_over_unicast_keeps_its_address_to_one_node", unicast).alone(),
        Case::new(
            "the_client_measures_keepalived_losing_a_node_over_both_families",
            lost_node,
        )
        .alone(),
        Case::new(
            "a_killed_keepalived_leaves_two_holders_and_the_watch_sees_it",
            killed,
        )
        .alone(),
    ])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `from` gets an answer from `to` at this address.
fn reaches(from: &Node, to: &Node, address: IpAddr) -> Outcome {
    let meter = Meter::start(from, std::slice::from_ref(to), &[address])?;
    meter.wait_for_answer(address, to.name(), PATIENCE)?;
    Ok(())
}

/// Whether `from` gets no answer from `to` at this address.
fn is_cut_off(from: &Node, to: &Node, address: IpAddr) -> bool {
    let meter = Meter::start(from, std::slice::from_ref(to), &[address]).unwrap();
    meter
        .wait_for_answer(address, to.name(), Duration::from_millis(200))
        .is_err()
}

fn nginx() -> Outcome {
    let lab = Lab::new()?;
    let a = lab.node("a")?;
    let answering = |status: u16| format!("server {{ listen 80; return {status}; }}");
    let nginx = Nginx::start(&a, &answering(204))?;
    let get = || {
        let answer = a.netns().run(|| Ok(TcpStream::connect("127.0.0.1:80")))?;
        let Ok(mut stream) = answer else {
            return Ok(String::new());
        };
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Ok(text)
    };
    wait_until("nginx answers 204", PATIENCE, || {
        Ok(get()?.starts_with("HTTP/1.1 204"))
    })?;
    nginx.reload(&answering(500))?;
    wait_until("nginx answers 500", PATIENCE, || {
        Ok(get()?.starts_with("HTTP/1.1 500"))
    })?;
    Ok(())
}

fn haproxy() -> Outcome {
    let lab = Lab::new()?;
    let haproxy = HaProxy::start(
        &lab.node("a")?,
        "frontend web\n  bind :80\n  http-request return status 200",
    )?;
    let ask = || {
        let Ok(mut stream) = UnixStream::connect(haproxy.socket()) else {
            return Ok(false);
        };
        stream.write_all(b"show info\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Ok(text.contains(&format!("Pid: {}", haproxy.process.pid())))
    };
    wait_until("HAProxy says which process it is", PATIENCE, ask)?;
    Ok(())
}

fn mariadb() -> Outcome {
    let lab = Lab::new()?;
    let mariadb = MariaDb::start(
        &lab.node("a")?,
        "CREATE USER probe@localhost IDENTIFIED BY 'secret';",
    )?;
    assert!(mariadb.sql("SELECT user FROM mysql.user")?.contains("probe"));
    mariadb.sql("SET GLOBAL read_only = 1")?;
    assert!(mariadb.sql("SELECT @@read_only")?.contains('1'));
    Ok(())
}

fn reach() -> Outcome {
    let lab = Lab::new()?;
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    for address in [IpAddr::from(a.ipv4()), a.ipv6().into(), a.link_local().into()] {
        assert!(a.holds(address)?, "{address}");
    }
    assert!(!a.holds(b.ipv4().into())?);
    let meter = Meter::start(&b, &[a], &[ip("10.77.0.1"), ip("fd77::1")])?;
    for address in [ip("10.77.0.1"), ip("fd77::1")] {
        let asked = Instant::now();
        let waited = meter.wait_for_answer(address, "a", PATIENCE)?;
        let report = meter.report_since(address, asked);
        assert!(
            waited < Duration::from_millis(500) + report.noise(),
            "{address} answered after {waited:?}: {report:?}"
        );
    }
    Ok(())
}

fn names() -> Outcome {
    let lab = Lab::new()?;
    for name in ["", "switch", "UPPER", "a/b", "twelve-bytes"] {
        assert!(lab.node(name).is_err(), "{name}");
    }
    lab.node("eleven-byte")?;
    assert!(lab.node("eleven-byte").is_err(), "a name is taken once");
    Ok(())
}

fn side_by_side() -> Outcome {
    let (one, two) = (Lab::new()?, Lab::new()?);
    let (a, b) = (one.node("a")?, two.node("a")?);
    a.add_address(ip(V4), 24)?;
    assert!(a.holds(ip(V4))?);
    assert!(!b.holds(ip(V4))?);
    assert!(is_cut_off(&b, &a, ip(V4)));
    drop(a);
    drop(one);
    assert!(two.node("b").is_ok(), "one lab's end leaves the other alone");
    Ok(())
}

fn one_way() -> Outcome {
    let lab = Lab::new()?;
    let (client, a) = (lab.client()?, lab.node("a")?);
    let target = IpAddr::from(a.ipv4());
    let meter = Meter::start(&client, std::slice::from_ref(&a), &[target])?;
    meter.wait_for_answer(target, "a", PATIENCE)?;
    a.lose_frames_to(&client)?;
    let before = received(&a)?;
    let start = Instant::now();
    wait_until("answers are lost", PATIENCE, || {
        Ok(meter.report_since(target, start).lost >= 40)
    })?;
    let report = meter.report_since(target, start);
    assert_eq!(report.lost, report.asked, "not all are: {report:?}");
    assert!(received(&a)? >= before + 40, "questions still arrive");
    client.heal_losses()?;
    meter.wait_for_answer(target, "a", PATIENCE)?;
    Ok(())
}

/// How many frames have arrived at the node.
fn received(node: &Node) -> Result<u64, Box<dyn std::error::Error>> {
    let links: serde_json::Value = serde_json::from_str(&node.ip(&["-json", "-s", "link", "show", "eth0"])?)?;
    links[0]["stats64"]["rx"]["packets"]
        .as_u64()
        .ok_or_else(|| format!("no packet count in {links}").into())
}

fn isolation() -> Outcome {
    let lab = Lab::new()?;
    let (client, a, b) = (lab.client()?, lab.node("a")?, lab.node("b")?);
    a.isolate()?;
    b.isolate()?;
    assert!(is_cut_off(&a, &b, b.ipv4().into()));
    for node in [&a, &b] {
        reaches(&client, node, node.ipv4().into())?;
    }
    a.join()?;
    // The neighbour entries may still wait for the answer to a question that was cut off.
    reaches(&a, &b, b.ipv4().into())?;
    Ok(())
}

fn second_segment() -> Outcome {
    let lab = Lab::new()?;
    let segment = holdfast_lab::Segment(1);
    lab.add_segment(segment)?;
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    a.add_interface("eth1", segment)?;
    b.add_interface("eth1", segment)?;
    assert!(a.holds(ip("10.78.0.1"))? && a.holds(segment.link_local(1).into())?);
    a.unplug()?;
    assert!(is_cut_off(&a, &b, b.ipv4().into()));
    let second = IpAddr::from(segment.ipv4(b.number()));
    reaches(&a, &b, second)?;
    a.unplug_from(segment)?;
    assert!(is_cut_off(&a, &b, second));
    Ok(())
}

fn renewal() -> Outcome {
    let lab = Lab::new()?;
    let a = lab.node("a")?;
    a.delete_address(a.ipv4().into())?;
    assert!(!a.holds(a.ipv4().into())?);
    assert!(
        a.delete_address(a.ipv4().into())
            .unwrap_err()
            .to_string()
            .contains("holds no 10.77.0.1")
    );
    a.add_address(a.ipv4().into(), 24)?;
    a.renew_own_address()?;
    let held = a
        .addresses()?
        .into_iter()
        .find(|held| held.address == IpAddr::from(a.ipv4()));
    assert_eq!(
        held.map(|held| (held.interface, held.prefix_length)),
        Some(("eth0".to_owned(), 24))
    );
    Ok(())
}

fn freezing() -> Outcome {
    let lab = Lab::new()?;
    let a = lab.node("a")?;
    let counter = a.spawn("sh", &["-c", "while :; do echo tick; sleep 0.01; done"])?;
    let ticks = || counter.log().map(|log| log.len());
    holdfast_lab::wait_until("it ticks", PATIENCE, || Ok(ticks()? > 0))?;
    counter.freeze()?;
    wait_until("it stands still", PATIENCE, || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", counter.pid())).unwrap();
        Ok(stat.contains(") T "))
    })?;
    let frozen = ticks()?;
    thread::sleep(Duration::from_millis(100));
    assert_eq!(ticks()?, frozen);
    counter.thaw()?;
    holdfast_lab::wait_until("it ticks again", PATIENCE, || Ok(ticks()? > frozen))?;
    Ok(())
}

fn dropped_process() -> Outcome {
    let lab = Lab::new()?;
    let a = lab.node("a")?;
    let parent = a.spawn("sh", &["-c", "sleep 1000 & echo $!; wait"])?;
    holdfast_lab::wait_until("the child is started", PATIENCE, || {
        Ok(parent.log()?.ends_with('\n'))
    })?;
    let child = format!("/proc/{}", parent.log()?.trim());
    assert!(std::path::Path::new(&child).exists());
    drop(parent);
    holdfast_lab::wait_until("the child is gone", PATIENCE, || {
        Ok(!std::path::Path::new(&child).exists())
    })?;
    Ok(())
}

fn signal_mask() -> Outcome {
    let lab = Lab::new()?;
    let status = lab.node("a")?.exec("cat", &["/proc/self/status"])?;
    let status = String::from_utf8(status.stdout)?;
    assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
    Ok(())
}

fn failing_command() -> Outcome {
    let lab = Lab::new()?;
    let a = lab.node("a")?;
    let error = a.ip(&["link", "set", "eth9", "up"]).unwrap_err().to_string();
    assert!(
        error.contains("link set eth9 up` failed (exit status: 1): Cannot find device"),
        "{error}"
    );
    let error = a.spawn("no-such-tool", &[]).unwrap_err().to_string();
    assert!(error.contains("apt-get install"), "{error}");
    Ok(())
}

fn frr_and_keepalived() -> Outcome {
    let lab = Lab::new()?;
    let (client, a, b) = (lab.client()?, lab.node("a")?, lab.node("b")?);
    let router = VirtualRouter::new(51).priority(200).address(ip(V4));
    let started = Frr::start(&a, &router);
    if sandbox::is_rootless() {
        assert!(
            started.unwrap_err().to_string().contains("takes root"),
            "it says why it cannot"
        );
        return Ok(());
    }
    let mut frr = started?;
    let _keepalived = Keepalived::start(&b, &[VrrpInstance::new(51).address("10.77.0.100/32")])?;
    let meter = Meter::start(&client, &[a, b], &[ip(V4)])?;
    meter.wait_for_answer(ip(V4), "a", PATIENCE)?;
    meter.wait_for_holders(ip(V4), &["a"], PATIENCE)?;
    frr.vrrpd.stop(PATIENCE)?;
    meter.wait_for_answer(ip(V4), "b", PATIENCE)?;
    Ok(())
}

/// keepalived on a (preferred) and b, and who measures it.
struct Pair {
    a: Node,
    on_a: Keepalived,
    _on_b: Keepalived,
    meter: Meter,
    _lab: Lab,
}

fn pair(instance: impl Fn(&Node, &Node) -> VrrpInstance) -> Result<Pair, Box<dyn std::error::Error>> {
    let lab = Lab::new()?;
    let (client, a, b) = (lab.client()?, lab.node("a")?, lab.node("b")?);
    let on_a = Keepalived::start(&a, &[instance(&a, &b).priority(200)])?;
    let on_b = Keepalived::start(&b, &[instance(&b, &a)])?;
    let meter = Meter::start(&client, &[a.clone(), b], &[ip(V4), ip(V6)])?;
    for address in [V4, V6] {
        meter.wait_for_answer(ip(address), "a", PATIENCE)?;
        meter.wait_for_holders(ip(address), &["a"], PATIENCE)?;
    }
    Ok(Pair {
        a,
        on_a,
        _on_b: on_b,
        meter,
        _lab: lab,
    })
}

fn both_families(_: &Node, _: &Node) -> VrrpInstance {
    VrrpInstance::new(51)
        .address("10.77.0.100/24")
        .excluded_address("fd77::100/64")
}

fn unicast() -> Outcome {
    let mut pair =
        pair(|own, peer| both_families(own, peer).unicast(own.ipv4().into(), &[peer.ipv4().into()]))?;
    let start = Instant::now();
    thread::sleep(Duration::from_millis(500));
    let quiet = pair.meter.report_since(ip(V4), start);
    assert_eq!(
        (quiet.held_twice, quiet.held_by_nobody),
        (Duration::ZERO, Duration::ZERO),
        "{quiet:?}"
    );
    let stop = Instant::now();
    pair.on_a.process.stop(PATIENCE)?;
    pair.meter.wait_for_answer(ip(V4), "b", PATIENCE)?;
    let report = pair.meter.report_since(ip(V4), stop);
    // Priority 0 is answered after the skew of priority 100: 61 ms at an interval of 100 ms.
    let promised = Duration::from_millis(200) + report.noise();
    assert!(report.longest_silence < promised, "{report:?}");
    Ok(())
}

fn lost_node() -> Outcome {
    let pair = pair(both_families)?;
    let fault = Instant::now();
    pair.a.unplug()?;
    for address in [V4, V6] {
        pair.meter.wait_for_answer(ip(address), "b", PATIENCE)?;
    }
    thread::sleep(Duration::from_millis(100));
    for address in [V4, V6] {
        let report = pair.meter.report_since(ip(address), fault);
        // 3 intervals of 100 ms and the skew of priority 100 since the last advertisement, at most 100 ms ago.
        let earliest = Duration::from_millis(255);
        let latest = Duration::from_millis(480) + report.noise();
        assert!(
            (earliest..latest).contains(&report.longest_silence),
            "{address}: {report:?}"
        );
        let takeover = report.takeover.ok_or("nobody took over")?;
        assert!((earliest..latest).contains(&takeover), "{address}: {report:?}");
        // One each millisecond, as far as the machine let the client ask.
        let lost = Duration::from_millis(u64::try_from(report.lost)?);
        assert!(
            lost + report.noise() > earliest && lost < latest,
            "{address}: {report:?}"
        );
        assert_eq!(report.answered_by.last().map(|span| &*span.node), Some("b"));
    }
    Ok(())
}

fn killed() -> Outcome {
    let mut pair = pair(both_families)?;
    let fault = Instant::now();
    pair.on_a.process.kill()?;
    pair.meter.wait_for_holders(ip(V4), &["a", "b"], PATIENCE)?;
    let takeover = pair.meter.wait_for_answer(ip(V4), "b", PATIENCE)?;
    thread::sleep(Duration::from_millis(300));
    let report = pair.meter.report_since(ip(V4), fault);
    assert!(
        report.held_twice >= Duration::from_millis(300),
        "{takeover:?} {report:?}"
    );
    assert_eq!(report.held_by_nobody, Duration::ZERO);
    Ok(())
}
