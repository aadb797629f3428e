//! `capstan web` as a task.

mod support;

use std::net::SocketAddr;

use capstan_agent::{ContainerSpec, StopCode, TaskStatus};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use support::{Host, INSTANCE, get, port, state};

fn web(command: &[&str], environment: &[(&str, &str)]) -> ContainerSpec {
    ContainerSpec {
        command: command.iter().map(ToString::to_string).collect(),
        environment: environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        port_mappings: vec![port(80, 0)],
        ..ContainerSpec::new("web", "capstan/web:latest")
    }
}

/// Runs it until it listens.
async fn serve(host: &mut Host, container: ContainerSpec) -> (String, SocketAddr) {
    let task = host.run(vec![container]);
    let running = host.reached(&task, TaskStatus::Running).await;
    let host_port = state(&running, "web").network_bindings[0].host_port;
    let address = host.addresses.of_instance(INSTANCE, host_port).expect("an address");
    host.printed(&task, "web", &format!("capstan web listens on http://{address}")).await;
    (task, address)
}

#[tokio::test]
async fn answers() {
    let mut host = Host::new(1);
    let (task, address) = serve(&mut host, web(&[], &[])).await;
    let check = async |path: &str, headers: &str, expect: &[&str]| {
        let answer = get(address, path, headers).await;
        for part in expect {
            assert!(answer.contains(part), "{path}: {answer}");
        }
    };
    let id = task.rsplit('/').next().expect("an id");
    let text = format!("\r\n\r\ntask {id}\n");
    check("/", "", &["HTTP/1.1 200 OK", &text, "availabilityZone eu-west-1b\n", "container web\n"]).await;
    check("/any/path?x=1", "", &["200 OK", "instance i-00000000000000abc\n"]).await;
    let json = format!("{{\"task\":\"{id}\",\"taskArn\":\"{task}\",\"cluster\":\"fleet\",");
    check("/", "Accept: application/json\r\n", &["application/json", &json, "\"lifecycle\":\"spot\""]).await;
    check("/health", "", &["200 OK", "ok\n"]).await;
    check("/?status=503", "", &["503 Service Unavailable"]).await;
    check("/?status=1", "", &["400 Bad Request", "?status=1: cannot read the value"]).await;
    check("/?size=3", "", &["content-length: 3", "\r\n\r\nxxx"]).await;
    check("/?delay=5ms", "", &["200 OK"]).await;
    assert!(get(address, "/?size=200000", "").await.ends_with(&"x".repeat(200_000)));
    host.end().await;
}

#[tokio::test]
async fn fails_as_it_is_told() {
    let mut host = Host::new(1);
    let check = async |host: &mut Host, container, path: &str, expect: [&str; 2]| {
        let (_, address) = serve(host, container).await;
        for status in expect {
            let answer = get(address, path, "").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}, {expect:?}: {answer}");
        }
    };
    check(&mut host, web(&["--health", "fail"], &[]), "/health", ["500", "500"]).await;
    check(&mut host, web(&[], &[("WEB_HEALTH", "418")]), "/health", ["418", "418"]).await;
    check(&mut host, web(&[], &[("WEB_HEALTH", "flaky")]), "/health", ["200", "503"]).await;
    check(&mut host, web(&[], &[("WEB_FAIL_AFTER", "0s")]), "/", ["503", "503"]).await;
    host.end().await;
}

#[tokio::test]
async fn exits_as_it_is_told() {
    let mut host = Host::new(1);
    let check = async |host: &mut Host, command: &[&str], environment: &[(&str, &str)], code| {
        let task = host.run(vec![web(command, environment)]);
        let over = host.reached(&task, TaskStatus::Stopped).await;
        assert_eq!(over.stop_code, Some(StopCode::EssentialContainerExited));
        assert_eq!(state(&over, "web").exit_code, Some(code), "{command:?} {environment:?}");
    };
    check(&mut host, &[], &[("WEB_EXIT_AFTER", "10ms"), ("WEB_EXIT_CODE", "6")], 6).await;
    check(&mut host, &["--start-delay", "1h", "--exit-after=1ms"], &[], 1).await;
    check(&mut host, &["--colour", "red"], &[], 2).await;

    let task = host.run(vec![web(&["--start-delay", "1h"], &[])]);
    host.printed(&task, "web", "capstan web waits 3600s before it listens").await;
    host.stop(&task, 1);
    let over = host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(state(&over, "web").exit_code, Some(0));
    host.end().await;
}

/// One kept-alive connection.
struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.expect("connect")))
    }

    async fn send(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.expect("write");
    }

    /// The head of the answer, after its body was read too.
    async fn answer(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).await.expect("read") > 0, "lost: {head:?}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut body = vec![0; length.parse().expect("a number")];
        self.0.read_exact(&mut body).await.expect("the body");
        head
    }

    async fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]).await, Ok(0))
    }
}

#[tokio::test]
async fn term_loses_no_request() {
    let mut host = Host::new(1);
    // The quiet time is long, so that this test decides what comes late.
    let (task, address) = serve(&mut host, web(&["--quiet", "2s"], &[])).await;
    let mut idle = Connection::open(address).await;
    idle.send("/").await;
    assert!(!idle.answer().await.contains("connection: close"));
    let mut slow = Connection::open(address).await;
    slow.send("/?delay=300ms").await;
    let mut unused = Connection::open(address).await;

    host.stop(&task, 1);
    host.printed(&task, "web", "capstan web was told to stop; it finishes what is on its way").await;
    idle.send("/late").await;
    let answer = idle.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert!(idle.is_closed().await);
    let mut late = Connection::open(address).await;
    late.send("/new").await;
    assert!(late.answer().await.contains("connection: close"));
    assert!(slow.answer().await.contains("connection: close"));
    assert!(unused.is_closed().await);
    let over = host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(state(&over, "web").exit_code, Some(0));
    let last = host.lines(&task, "web").pop();
    assert_eq!(last.as_deref(), Some("capstan web answered 4 requests"));
    host.end().await;
}

#[tokio::test]
async fn grace_bounds_the_end() {
    let mut host = Host::new(1);
    let (task, address) = serve(&mut host, web(&["--quiet", "1ms", "--grace", "50ms"], &[])).await;
    let mut stuck = Connection::open(address).await;
    stuck.send("/?delay=1h").await;
    // The next answer on another connection comes after the server has read the first request.
    get(address, "/", "").await;
    host.stop(&task, 1);
    let over = host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(state(&over, "web").exit_code, Some(0));
    host.end().await;
}

/// Not a test: what the stand-in for the `capstan` binary runs.
#[tokio::test]
#[ignore = "started by the others"]
async fn serves_as_capstan_web() {
    support::serve_web().await;
}
