//! Health checks against real targets: transitions, reasons, and what they do to routing.

mod support;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use capstan_balancer::snapshot::{HealthCheck, HealthCheckPort, TargetGroup};
use capstan_balancer::{Health, Options, Report};
use support::backend::{Backend, read_head, refusing};
use support::{Fixture, checked_group, forward, load_balancer, options, serving, target};
use tokio::io::AsyncWriteExt;

fn unhealthy(reason: &'static str, description: &str) -> Health {
    Health::Unhealthy { reason, description: description.into() }
}

#[tokio::test]
async fn transitions_are_reported_with_their_reasons() {
    let backend = Backend::http("a").await;
    let mut fixture = Fixture::start(serving(checked_group(&[&backend])));
    fixture.address().await;
    let health = |health: Health| Report::TargetHealth {
        target_group_arn: "tg".into(),
        target_id: "127.0.0.1".into(),
        port: backend.port(),
        health,
    };
    assert_eq!(fixture.next_report().await, health(Health::Healthy));
    backend.state.health.store(404, SeqCst);
    let mismatch = |code: u16| {
        unhealthy("Target.ResponseCodeMismatch", &format!("Health checks failed with these codes: [{code}]"))
    };
    assert_eq!(fixture.next_report().await, health(mismatch(404)));
    backend.state.health.store(503, SeqCst);
    assert_eq!(fixture.next_report().await, health(mismatch(503)));
    backend.state.health.store(200, SeqCst);
    assert_eq!(fixture.next_report().await, health(Health::Healthy));
    backend.stop().await;
    let failed = unhealthy("Target.FailedHealthChecks", "Health checks failed");
    assert_eq!(fixture.next_report().await, health(failed));
}

#[tokio::test]
async fn a_silent_target_times_out() {
    let backend = Backend::each_connection(|mut stream, _| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let fast = Options { io_timeout_min: Duration::from_millis(50), ..options() };
    let mut fixture = Fixture::with(serving(checked_group(&[&backend])), fast);
    let health = fixture.until(&backend, |_| true).await;
    assert_eq!(health, unhealthy("Target.Timeout", "Request timed out"));
}

#[tokio::test]
async fn checks_ask_as_elb_does() {
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::each_connection(move |mut stream, _| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(read_head(&mut stream).await);
            stream.write_all(b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n").await.expect("write");
        }
    })
    .await;
    let mut tg = checked_group(&[&backend]);
    tg.health_check.matcher = "200-299,301".into();
    let mut fixture = Fixture::start(serving(tg));
    fixture.healthy(&backend).await;
    let head = asked.recv().await.expect("a check");
    assert_eq!(head.lines().next(), Some("GET /health HTTP/1.1"));
    assert!(head.contains(&format!("\r\nHost: 127.0.0.1:{}\r\n", backend.port())), "{head}");
    assert!(head.contains("\r\nUser-Agent: ELB-HealthChecker/2.0\r\n"), "{head}");
}

#[tokio::test]
async fn a_check_port_of_its_own() {
    let (traffic, checks) = (Backend::http("traffic").await, Backend::http("checks").await);
    let mut tg = checked_group(&[&traffic]);
    tg.health_check.port = HealthCheckPort::Number(checks.port());
    checks.state.health.store(500, SeqCst);
    let mut fixture = Fixture::start(serving(tg));
    fixture.until(&traffic, |health| *health != Health::Healthy).await;
    checks.state.health.store(200, SeqCst);
    fixture.healthy(&traffic).await;
}

#[tokio::test]
async fn only_healthy_targets_get_requests_unless_none_is() {
    let (good, bad) = (Backend::http("good").await, Backend::http("bad").await);
    bad.state.health.store(500, SeqCst);
    let mut fixture = Fixture::start(serving(checked_group(&[&good, &bad])));
    fixture.healthy(&good).await;
    fixture.until(&bad, |health| *health != Health::Healthy).await;
    let mut client = fixture.client().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.text(), "good");
    }
    good.state.health.store(500, SeqCst);
    fixture.until(&good, |health| *health != Health::Healthy).await;
    let mut answers: Vec<String> = Vec::new();
    for _ in 0..4 {
        answers.push(client.get("/").await.text().to_owned());
    }
    answers.sort();
    assert_eq!(answers, ["bad", "bad", "good", "good"], "fails open");
    // Two must be healthy: with one, all get requests.
    good.state.health.store(200, SeqCst);
    fixture.healthy(&good).await;
    fixture.change(|s| s.target_groups[0].minimum_healthy_count = 2);
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(client.get("/").await.text().to_owned());
    }
    assert!(answers.iter().any(|a| a == "bad"), "{answers:?}");
}

#[tokio::test]
async fn a_group_without_listener_is_not_checked() {
    let (used, unused) = (Backend::http("used").await, Backend::http("unused").await);
    let mut snapshot = serving(checked_group(&[&used]));
    snapshot.target_groups.push(TargetGroup { arn: "unused".into(), ..checked_group(&[&unused]) });
    let mut fixture = Fixture::start(snapshot);
    fixture.healthy(&used).await;
    assert_eq!(unused.state.connections.load(SeqCst), 0);
    fixture.change(|s| s.load_balancers.push(load_balancer("two", forward("unused"))));
    fixture.healthy(&unused).await;
}

#[tokio::test]
async fn disabled_checks_leave_targets_healthy() {
    let mut tg = checked_group(&[]);
    let backend = Backend::http("a").await;
    tg.health_check = HealthCheck { enabled: false, ..tg.health_check };
    tg.minimum_healthy_count = 1;
    tg.targets = vec![backend.target(), target(refusing().await)];
    let mut fixture = Fixture::start(serving(tg));
    assert_eq!(fixture.client().await.get("/").await.text(), "a");
}

#[tokio::test]
async fn zones_share_evenly_without_cross_zone() {
    let backends = [Backend::http("a").await, Backend::http("b1").await, Backend::http("b2").await];
    let mut tg = support::group(&[&backends[0], &backends[1], &backends[2]]);
    tg.cross_zone = false;
    for (target, zone) in tg.targets.iter_mut().zip(["a", "b", "b"]) {
        target.availability_zone = Some(zone.into());
    }
    let mut fixture = Fixture::start(serving(tg));
    let mut client = fixture.client().await;
    for _ in 0..40 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(backends.each_ref().map(|b| b.state.requests()), [20, 10, 10]);
}
