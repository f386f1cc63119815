//! Services of Debian's packages behind an address: stopped, hung, answering errors, slow, with a bad certificate, flapping,
//! read-only. Each time the node hands over without a hole, and says why.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Pair, Result, Router,
    formula::MARGIN_BESIDE,
    look,
    pair::{PATIENCE, Scene, stays_on},
    visitor::{Visitor, site, site_answering},
};
use holdfast_lab::{
    Node,
    harness::{Case, Outcome, main as run},
    service::{HaProxy, MariaDb, Nginx},
    wait_until,
};
use nix::sys::signal::Signal;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use serde_json::Value;

/// How the probes of this file are run: three failures in a row are noticed after 300 ms and a little.
const QUICK: &str = "  period: 100ms\n  timeout: 100ms\n  failureThreshold: 3\n  successThreshold: 2\n";
const DETECTION: Duration = Duration::from_millis(300);

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "a_killed_service_is_left_for_one_that_answers_and_comes_back_when_it_does",
            killed,
        ),
        Case::new("a_service_that_hangs_times_out_and_is_left", hung),
        Case::new("a_service_that_answers_500_is_left", answering_500),
        Case::new("a_service_slower_than_the_timeout_is_left", slow),
        Case::new(
            "an_expired_certificate_fails_and_the_message_says_since_when",
            expired,
        ),
        Case::new(
            "a_certificate_for_another_name_fails_and_the_message_names_both",
            other_name,
        ),
        Case::new("a_service_that_flaps_every_second_is_held_back", flapping),
        Case::new(
            "haproxy_is_asked_through_its_socket_and_left_when_it_hangs",
            haproxy,
        ),
        Case::new("the_address_follows_the_database_that_takes_writes", database),
    ])
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

/// The group `web` with one probe `service`, of which `handler` is the YAML.
fn watching(handler: &str) -> Group {
    let handler: String = handler
        .lines()
        .flat_map(|line| {
            [
                "  ", line, "
",
            ]
        })
        .collect();
    Group::new("web", 51)
        .address("10.77.0.100/24")
        .spec(&format!("probes:\n- name: service\n{handler}{QUICK}"))
}

/// A pair that watches `handler`, and what stands behind the address on each node.
fn pair<T>(handler: &str, serve: impl Fn(&Node) -> Result<T>) -> Result<(Pair, T, T)> {
    pair_with(serve, |_, _| watching(handler))
}

/// A pair in which each node watches what `serve` has started there, as `watch` says for that node; a is preferred.
fn pair_with<T>(
    serve: impl Fn(&Node) -> Result<T>,
    watch: impl Fn(&Node, &T) -> Group,
) -> Result<(Pair, T, T)> {
    let scene = Scene::new()?;
    let (on_a, on_b) = (serve(&scene.a)?, serve(&scene.b)?);
    let (for_a, for_b) = (watch(&scene.a, &on_a).priority(200), watch(&scene.b, &on_b));
    let pair = Pair::start(
        scene,
        &[vip()],
        |a| Router::holdfast(a, &[for_a]),
        |b| Router::holdfast(b, &[for_b]),
    )?;
    for router in [&pair.on_a, &pair.on_b] {
        wait_for_verdict(router, "Passing")?;
    }
    // Until no handover of the start is on its way.
    look::wait_for_state(pair.on_a.agent()?, "web", "Active", PATIENCE)?;
    look::wait_for_peer(pair.on_b.agent()?, "web", PATIENCE)?;
    pair.settle_on("a")?;
    Ok((pair, on_a, on_b))
}

fn wait_for_verdict(router: &Router, verdict: &str) -> Result<Value> {
    let what = format!("the probe is {verdict}");
    let group = look::wait_for_group(router.agent()?, "web", &what, PATIENCE, |group| {
        group["probes"][0]["verdict"] == verdict
    })?;
    Ok(group["probes"][0].clone())
}

/// Has b take over after `deed`, within the time that the probe needs, without a moment in which nobody or both held the
/// address; answers what a says of it then.
fn handed_over(pair: &mut Pair, deed: impl FnOnce(&mut Pair) -> Result<()>) -> Result<Value> {
    let start = Instant::now();
    let reports = pair.measure("b", deed)?;
    let report = &reports[0];
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    let takeover = report.takeover.unwrap();
    assert!(takeover <= DETECTION + 2 * MARGIN_BESIDE, "{report:#?}");
    assert!(
        takeover >= DETECTION / 2,
        "one failure is not enough: {report:#?} after {:?}",
        start.elapsed()
    );
    let group = look::wait_for_state(pair.on_a.agent()?, "web", "Backup", PATIENCE)?;
    assert_eq!(group["probes"][0]["verdict"], "Failing", "{group:#}");
    assert_eq!(group["effectivePriority"], 12, "{group:#}");
    Ok(group)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn killed() -> Outcome {
    let (mut pair, nginx, _b) = pair("httpGet: {port: 80}", site)?;
    let visitor = Visitor::start(&pair.scene.client, SocketAddr::new(vip(), 80));
    visitor.wait_for("a", PATIENCE)?;
    let mut nginx = Some(nginx);
    let start = Instant::now();
    let group = handed_over(&mut pair, |_| {
        nginx.take().unwrap().process.kill()?;
        Ok(())
    })?;
    assert_eq!(group["lastTransition"]["reason"], "ServiceFailing", "{group:#}");
    let explained = text(&group, "priorityExplained");
    assert_eq!(
        explained, "floor 12 of 200 base: service fails (connection refused, 3 of 3)",
        "{group:#}"
    );
    visitor.wait_for("b", PATIENCE)?;
    let outage = visitor.next_answer(start).unwrap();
    assert!(outage <= DETECTION + 2 * MARGIN_BESIDE, "{outage:?}");
    let again = site(&pair.scene.a)?;
    let reports = pair.measure("a", |_| Ok(()))?;
    assert_eq!(reports[0].held_by_nobody, Duration::ZERO, "{:#?}", reports[0]);
    drop(again);
    Ok(())
}

fn hung() -> Outcome {
    let (mut pair, nginx, _b) = pair("httpGet: {port: 80}", site)?;
    let group = handed_over(&mut pair, |_| Ok(nginx.process.freeze()?))?;
    assert_eq!(group["probes"][0]["outcome"], "TimedOut", "{group:#}");
    nginx.process.thaw()?;
    pair.settle_on("a")?;
    Ok(())
}

fn answering_500() -> Outcome {
    let (mut pair, nginx, _b) = pair("httpGet: {port: 80}", site)?;
    let group = handed_over(&mut pair, |pair| {
        Ok(nginx.reload(&site_answering(&pair.scene.a, 500))?)
    })?;
    assert!(
        text(&group["probes"][0], "message").contains("answered 500"),
        "{group:#}"
    );
    Ok(())
}

/// HAProxy's tarpit answers when its timeout is over.
fn slow() -> Outcome {
    let serve = |delay: &'static str| {
        move |node: &Node| {
            Ok(HaProxy::start(
                node,
                &format!(
                    "frontend web\n  bind :80\n  timeout tarpit {delay}\n  http-request tarpit deny_status 200\n"
                ),
            )?)
        }
    };
    let (mut pair, quick, _b) = pair("httpGet: {port: 80}", serve("1ms"))?;
    let mut quick = Some(quick);
    let mut slow = None;
    let group = handed_over(&mut pair, |pair| {
        drop(quick.take());
        slow = Some(serve("400ms")(&pair.scene.a)?);
        Ok(())
    })?;
    // The first runs may have found nobody at all, while one HAProxy went and the other came.
    let probe = look::wait_for_group(
        pair.on_a.agent()?,
        "web",
        "the slow service times out",
        PATIENCE,
        |group| group["probes"][0]["outcome"] == "TimedOut",
    )?;
    assert_eq!(probe["probes"][0]["verdict"], "Failing", "{group:#}");
    Ok(())
}

/// A CA and what it signs, in the node's folder.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// An nginx with a certificate for `name`, valid until the end of `year`.
    fn serve(&self, node: &Node, name: &str, year: i32) -> Result<Nginx> {
        Ok(Nginx::start(node, &self.server(node, name, year)?)?)
    }

    /// Its `server` block.
    fn server(&self, node: &Node, name: &str, year: i32) -> Result<String> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let path = |what: &str| node.folder().join(format!("{name}-{year}.{what}"));
        fs::write(path("crt"), certificate.pem())?;
        fs::write(path("key"), key.serialize_pem())?;
        fs::write(node.folder().join("ca.crt"), self.issuer.pem())?;
        Ok(format!(
            "server {{ listen 443 ssl; ssl_certificate {}; ssl_certificate_key {}; return 200; }}",
            path("crt").display(),
            path("key").display()
        ))
    }
}

/// Both nodes have a good certificate, and then a has one that `spoil` makes.
fn spoilt_certificate(spoil: impl Fn(&Authority, &Node) -> Result<String>) -> Result<Value> {
    let authority = Authority::new()?;
    let (mut pair, on_a, _on_b) = pair_with(
        |node| authority.serve(node, "shop.example", 2099),
        |node, _| {
            watching(&format!(
                "httpGet: {{scheme: HTTPS, port: 443, tls: {{serverName: shop.example, caFile: {}/ca.crt}}}}",
                node.folder().display()
            ))
        },
    )?;
    let found = handed_over(&mut pair, |pair| {
        Ok(on_a.reload(&spoil(&authority, &pair.scene.a)?)?)
    })?;
    Ok(found["probes"][0].clone())
}

fn expired() -> Outcome {
    let probe = spoilt_certificate(|authority, node| authority.server(node, "shop.example", 2021))?;
    let message = text(&probe, "message");
    assert!(
        message.contains("expired") && message.contains("2021-12-31"),
        "{probe:#}"
    );
    Ok(())
}

fn other_name() -> Outcome {
    let probe = spoilt_certificate(|authority, node| authority.server(node, "blog.example", 2099))?;
    let message = text(&probe, "message");
    assert!(
        message.contains("blog.example") && message.contains("shop.example"),
        "{probe:#}"
    );
    Ok(())
}

/// Up for a second, down for a second, twelve times, each of which the probe finds out: with a window longer than that the address
/// moves away, back, and away, and no more.
fn flapping() -> Outcome {
    let (pair, on_a, _on_b) = pair_with(site, |_, _| {
        watching("httpGet: {port: 80}").spec("flapDamping: {changes: 3, window: 2m}")
    })?;
    let start = Instant::now();
    for round in 0..12 {
        let (status, verdict) = if round % 2 == 0 {
            (500, "Failing")
        } else {
            (200, "Passing")
        };
        on_a.reload(&site_answering(&pair.scene.a, status))?;
        wait_for_verdict(&pair.on_a, verdict)?;
        // In these rounds it moves, and is to have moved before the next one.
        if round < 3 {
            pair.settle_on(if round % 2 == 0 { "b" } else { "a" })?;
        }
        thread::sleep(Duration::from_secs(1));
    }
    let report = pair.meter.report_since(vip(), start);
    let moves = report.answered_by.len() - 1;
    assert_eq!(moves, 3, "{report:#?}");
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    let group = look::group(pair.on_a.agent()?, "web")?;
    assert_eq!(group["state"], "Backup", "{group:#}");
    assert_ne!(group["heldBackUntil"], Value::Null, "{group:#}");
    stays_on(&pair.meter, vip(), "b", Duration::from_secs(1))?;
    Ok(())
}

fn haproxy() -> Outcome {
    let serve = |node: &Node| -> Result<HaProxy> {
        Ok(HaProxy::start(
            node,
            "frontend web\n  bind :80\n  http-request return status 200",
        )?)
    };
    let (mut pair, on_a, _on_b) = pair_with(serve, |_, haproxy| {
        watching(&format!(
            "preset: HAProxy\npresetOptions: {{socket: {}}}",
            haproxy.socket().display()
        ))
    })?;
    let group = handed_over(&mut pair, |_| Ok(on_a.process.freeze()?))?;
    assert_eq!(group["probes"][0]["outcome"], "TimedOut", "{group:#}");
    on_a.process.thaw()?;
    pair.settle_on("a")?;
    let group = handed_over(&mut pair, |_| Ok(on_a.process.signal(Signal::SIGTERM)?))?;
    assert_eq!(group["probes"][0]["outcome"], "Failed", "{group:#}");
    Ok(())
}

fn database() -> Outcome {
    let serve = |node: &Node| -> Result<MariaDb> {
        Ok(MariaDb::start(
            node,
            "CREATE USER probe@'%' IDENTIFIED BY 'secret';",
        )?)
    };
    let scene = Scene::new()?;
    let (on_a, on_b) = (serve(&scene.a)?, serve(&scene.b)?);
    on_b.sql("SET GLOBAL read_only = 1")?;
    let group = |node: &Node| {
        let password = node.folder().join("password");
        fs::write(&password, "secret\n").unwrap();
        watching(&format!(
            "preset: MySQL\npresetOptions: {{credentials: {{user: probe, passwordFile: {}}}}}",
            password.display()
        ))
    };
    let (for_a, for_b) = (group(&scene.a), group(&scene.b).priority(200));
    let pair = Pair::start(
        scene,
        &[vip()],
        |a| Router::holdfast(a, &[for_a]),
        |b| Router::holdfast(b, &[for_b]),
    )?;
    let found = wait_for_verdict(&pair.on_b, "Failing")?;
    assert!(text(&found, "message").contains("read-only"), "{found:#}");
    // The other is promoted.
    on_b.sql("SET GLOBAL read_only = 0")?;
    on_a.sql("SET GLOBAL read_only = 1")?;
    pair.settle_on("b")?;
    wait_until("a says that it is read-only", PATIENCE, || {
        Ok(wait_for_verdict(&pair.on_a, "Failing").is_ok())
    })?;
    Ok(())
}
