//! Ports, hosts, rules and actions.

mod support;

use std::collections::BTreeMap;

use capstan_balancer::snapshot::{
    Action, Condition, ListenerProtocol, LoadBalancerAttributes, Redirect, TargetGroup, WeightedTargetGroup,
};
use capstan_balancer::{Options, Report, Snapshot};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use support::backend::Backend;
use support::client::Client;
use support::{Fixture, fixed, forward, group, listener, load_balancer, options, rule, serving};
use tokio::net::TcpListener;

fn balancers(names: &[&str]) -> Snapshot {
    let each = |name: &&str| load_balancer(name, fixed(name));
    Snapshot { load_balancers: names.iter().map(each).collect(), target_groups: Vec::new() }
}

#[tokio::test]
async fn load_balancers_share_a_port_by_host() {
    let mut fixture = Fixture::start(balancers(&["one"]));
    let address = fixture.address_of("one", 80).await;
    let mut client = Client::connect(address).await;
    assert_eq!(client.get("/").await.text(), "one", "alone it answers to any host");
    fixture.change(|s| *s = balancers(&["one", "two"]));
    assert_eq!(fixture.address_of("two", 80).await, address);
    for (host, expected) in [
        ("one-1.us-east-1.elb.localhost", "one"),
        ("TWO-1.us-east-1.elb.localhost", "two"),
        ("two-1.us-east-1.elb.localhost:8080", "two"),
    ] {
        assert_eq!(client.get_host(host, "/").await.text(), expected, "{host}");
    }
    let unknown = client.get("/").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("two-1.us-east-1.elb.localhost"), "{}", unknown.text());
    let found = fixture.handle.load_balancer_for_host("two-1.us-east-1.elb.localhost:4566").expect("known");
    assert_eq!((found.arn.as_str(), found.name.as_str()), ("two", "two"));
    assert_eq!(fixture.handle.load_balancer_for_host("localhost"), None);
}

#[tokio::test]
async fn ports_that_cannot_be_bound_are_reported_and_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = taken.local_addr().expect("address").port();
    let mut snapshot = balancers(&["lb"]);
    snapshot.load_balancers[0].listeners.push(listener(81, fixed("other")));
    let ports = BTreeMap::from([(80, port), (81, 0)]);
    let mut fixture = Fixture::with(snapshot, Options { ports, ..options() });
    let Report::ListenerFailed { load_balancer_arn, port: failed, reason } = fixture.next_report().await
    else {
        panic!("the port is taken")
    };
    assert_eq!((load_balancer_arn.as_str(), failed), ("lb", 80));
    assert!(reason.starts_with(&format!("failed to listen on 127.0.0.1:{port}: ")), "{reason}");
    // The other one works, and this one as soon as it can.
    let other = fixture.address_of("lb", 81).await;
    assert_eq!(Client::connect(other).await.get("/").await.text(), "other");
    drop(taken);
    assert_eq!(fixture.address().await.port(), port);
}

#[tokio::test]
async fn ports_can_be_moved_up() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = taken.local_addr().expect("address").port();
    let mut snapshot = balancers(&["lb"]);
    snapshot.load_balancers[0].listeners = vec![listener(port, fixed("moved"))];
    let offset = u16::MAX - port;
    let mut fixture = Fixture::with(snapshot, Options { port_offset: Some(offset), ..options() });
    let address = fixture.address_of("lb", port).await;
    assert_eq!(address.port(), u16::MAX);
    assert_eq!(Client::connect(address).await.get("/").await.text(), "moved");
}

#[tokio::test]
async fn https_listeners_are_refused() {
    let mut snapshot = balancers(&["lb"]);
    snapshot.load_balancers[0].listeners[0].protocol = ListenerProtocol::Https;
    let mut fixture = Fixture::start(snapshot);
    let report = fixture.next_report().await;
    assert!(matches!(&report, Report::ListenerFailed { port: 80, .. }), "{report:?}");
}

#[tokio::test]
async fn rules_by_priority() {
    let mut snapshot = balancers(&["lb"]);
    let path = |pattern: &str| Condition::PathPattern(vec![pattern.into()]);
    let not_found = Action::FixedResponse {
        status_code: 404,
        content_type: Some("application/json".into()),
        message_body: Some("{}".into()),
    };
    let https =
        Redirect { status_code: 301, protocol: "HTTPS".into(), port: "443".into(), ..Redirect::default() };
    snapshot.load_balancers[0].listeners[0].rules = vec![
        rule(20, path("/*"), fixed("any path")),
        rule(10, path("/api/*"), fixed("api")),
        rule(5, Condition::HttpRequestMethod(vec!["DELETE".into()]), not_found),
        rule(6, Condition::HostHeader(vec!["secure.*".into()]), Action::Redirect(https)),
    ];
    let mut fixture = Fixture::start(snapshot);
    let mut client = fixture.client().await;
    assert_eq!(client.get("/api/x").await.text(), "api");
    assert_eq!(client.get("/other").await.text(), "any path");
    let deleted = client.send("DELETE /api/x HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(
        (deleted.status, deleted.header("content-type"), deleted.text()),
        (404, Some("application/json"), "{}")
    );
    let moved = client.get_host("secure.example.com:8080", "/a?b=c").await;
    assert_eq!((moved.status, moved.header("location")), (301, Some("https://secure.example.com:443/a?b=c")));
    let counters = fixture.counters("lb");
    assert_eq!((counters.http_fixed_response_count, counters.http_redirect_count), (3, 1));
    assert_eq!((counters.httpcode_elb_3xx, counters.httpcode_elb_4xx), (1, 1));
}

#[tokio::test]
async fn weights_share_exactly() {
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    let mut snapshot = serving(group(&[&blue]));
    snapshot.target_groups.push(TargetGroup { arn: "green".into(), ..group(&[&green]) });
    let weighted = |weights: [u32; 2]| {
        let group = |(arn, weight): (&str, u32)| WeightedTargetGroup { target_group_arn: arn.into(), weight };
        Action::Forward(["tg", "green"].into_iter().zip(weights).map(group).collect())
    };
    snapshot.load_balancers[0].listeners[0].default_action = weighted([90, 10]);
    let mut fixture = Fixture::start(snapshot);
    let mut client = fixture.client().await;
    for _ in 0..100 {
        assert_eq!(client.get("/").await.status, 200);
    }
    let green_got = green.state.requests();
    assert!((9..=11).contains(&green_got), "{green_got} of 100 for weight 10 of 100");
    fixture.change(|s| s.load_balancers[0].listeners[0].default_action = weighted([0, 1]));
    for _ in 0..10 {
        assert_eq!(client.get("/").await.text(), "green");
    }
    fixture.change(|s| s.load_balancers[0].listeners[0].default_action = weighted([0, 0]));
    assert_eq!(client.get("/").await.status, 503);
}

#[tokio::test]
async fn connections_end_after_client_keep_alive() {
    let backend = Backend::http("a").await;
    let mut snapshot = serving(group(&[&backend]));
    snapshot.load_balancers[0].attributes =
        LoadBalancerAttributes { client_keep_alive_seconds: 0, ..Default::default() };
    let brief = Options { io_timeout_min: std::time::Duration::ZERO, time_scale: 1, ..options() };
    let mut fixture = Fixture::with(snapshot, brief);
    let mut client = fixture.client().await;
    let answer = client.get("/").await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn the_gateway_hands_requests_over() {
    let backend = Backend::http("a").await;
    let mut snapshot = balancers(&["other"]);
    snapshot.load_balancers.push(load_balancer("lb", forward("tg")));
    snapshot.target_groups.push(group(&[&backend]));
    let fixture = Fixture::start(snapshot);
    let gateway = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = gateway.local_addr().expect("address");
    let handle = fixture.handle.clone();
    tokio::spawn(async move {
        let (stream, peer) = gateway.accept().await.expect("accept");
        let service = service_fn(|request| {
            let handle = handle.clone();
            async move { Ok::<_, std::convert::Infallible>(handle.serve(request, peer).await) }
        });
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    });
    let mut client = Client::connect(address).await;
    for _ in 0..3 {
        let answer = client.get_host("lb-1.us-east-1.elb.localhost:4566", "/head").await;
        assert!(answer.text().contains(r#""x-forwarded-port": "80""#), "{}", answer.text());
    }
    assert_eq!(client.get_host("other-1.us-east-1.elb.localhost", "/").await.text(), "other");
    assert_eq!(client.get_host("unknown", "/").await.status, 503);
    assert_eq!(backend.state.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}
