//! The front over real sockets, before a backend that answers at once.

use std::io::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use capstan_shapes::ecs::{self, Cluster, DescribeClustersResponse};
use capstan_shapes::{Refusal, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Backend, Body, Caller, Gateway, Limits, RequestId, whole};

/// Describes any cluster it is asked for, with the caller as its status; refuses everything else.
#[derive(Clone)]
struct Echo;

impl Backend for Echo {
    async fn call(&self, caller: Caller, request: Request) -> (RequestId, Result<Response, Refusal>) {
        let Request::Ecs(ecs::Request::DescribeClusters(request)) = request else {
            return (RequestId(2), Err(Refusal::new("ClientException", "no")));
        };
        let status = [caller.access_key, caller.region, Some(caller.user_agent)];
        let status = status.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let clusters = request.clusters.unwrap_or_default().into_iter().map(|name| Cluster {
            cluster_name: Some(name),
            status: Some(status.clone()),
            ..Cluster::default()
        });
        let response = DescribeClustersResponse { clusters: Some(clusters.collect()), ..Default::default() };
        (RequestId(1), Ok(response.into()))
    }

    async fn other(
        &self,
        _: SocketAddr,
        request: hyper::Request<hyper::body::Incoming>,
    ) -> hyper::Response<Body> {
        hyper::Response::new(whole(format!("other {}", request.uri().path())))
    }
}

const LIMITS: Limits = Limits {
    object_bytes: 8 << 10,
    body_bytes: 2_000,
    head_bytes: 16_384,
    headers: 50,
    head_timeout: std::time::Duration::from_secs(60),
    body_timeout: std::time::Duration::from_secs(60),
    stop_timeout: std::time::Duration::from_secs(60),
};

/// Runs `client` against a gateway, then stops it and sees it end.
fn with_gateway<F: Future<Output = ()>>(client: impl FnOnce(SocketAddr) -> F) {
    with_limits(LIMITS, client);
}

fn with_limits<F: Future<Output = ()>>(limits: Limits, client: impl FnOnce(SocketAddr) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let gateway = Gateway { limits };
        let gateway = tokio::spawn(gateway.serve(listener, Echo, async { drop(stopped.await) }));
        client(address).await;
        drop(stop);
        gateway.await.expect("a gateway that ends");
    });
}

/// Everything that comes back until the gateway closes the connection, without the dates.
async fn exchange(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(sent).await.expect("written");
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back).await;
    let text = String::from_utf8_lossy(&back).into_owned();
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

fn request(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST / HTTP/1.1\r\nhost: h\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

const DESCRIBE: &str = "x-amz-target: AmazonEC2ContainerServiceV20141113.DescribeClusters\r\n\
    authorization: AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/ecs/aws4_request, Signature=0\r\n\
    user-agent: me\r\n";
const CLOSE: &str = "connection: close\r\n";

fn answered(status: &str, id: u32, more_headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\n\
         x-amzn-requestid: 00000000-0000-0000-0000-{id:012x}\r\n{more_headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn cluster(name: &str) -> String {
    format!(r#"{{"clusters":[{{"clusterName":"{name}","status":"AKID us-east-1 me"}}]}}"#)
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    with_gateway(async |address| {
        let first = request(DESCRIBE, br#"{"clusters":["a"]}"#);
        let second = request(DESCRIBE, br#"{"clusters":["b"]}"#);
        let third = request(&DESCRIBE.replace("Describe", "Delete"), b"{}");
        let last = request(&(DESCRIBE.to_owned() + CLOSE), br#"{"clusters":["c"]}"#);
        let back = exchange(address, &[first, second, third, last].concat()).await;
        let (start, rest) = back.split_once("HTTP/1.1 501").expect("DeleteClusters is not built");
        assert_eq!(
            start,
            answered("200 OK", 1, "", &cluster("a")) + &answered("200 OK", 1, "", &cluster("b"))
        );
        assert!(rest.contains("DeleteClusters of ecs is not built"), "{rest}");
        assert!(rest.ends_with(&answered("200 OK", 1, CLOSE, &cluster("c"))), "{rest}");
    });
}

#[test]
fn bodies_are_bounded() {
    with_gateway(async |address| {
        let big = vec![b' '; LIMITS.body_bytes + 1];
        let announced = request(DESCRIBE, &big);
        let back = exchange(address, &announced).await;
        assert!(back.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{back}");
        assert!(back.ends_with(
            r#"{"__type":"RequestEntityTooLarge","message":"The request body is larger than 2000 bytes."}"#
        ));

        let mut chunked =
            format!("POST / HTTP/1.1\r\nhost: h\r\n{DESCRIBE}transfer-encoding: chunked\r\n\r\n")
                .into_bytes();
        for _ in 0..3 {
            chunked.extend_from_slice(format!("{:x}\r\n", 1000).as_bytes());
            chunked.extend_from_slice(&big[..1000]);
            chunked.extend_from_slice(b"\r\n");
        }
        let back = exchange(address, &chunked).await;
        assert!(back.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{back}");

        let zipped = gzip(&vec![b' '; 1_000_000]);
        assert!(zipped.len() < LIMITS.body_bytes);
        let back =
            exchange(address, &request(&format!("{DESCRIBE}content-encoding: gzip\r\n"), &zipped)).await;
        assert!(back.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{back}");
    });
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).expect("written");
    encoder.finish().expect("finished")
}

#[test]
fn bodies_come_in_pieces_and_compressed() {
    with_gateway(async |address| {
        let expect = answered("200 OK", 1, CLOSE, &cluster("a"));
        let headers = format!("{DESCRIBE}{CLOSE}content-encoding: gzip\r\n");
        assert_eq!(exchange(address, &request(&headers, &gzip(br#"{"clusters":["a"]}"#))).await, expect);

        let chunked = format!(
            "POST / HTTP/1.1\r\nhost: h\r\n{DESCRIBE}{CLOSE}transfer-encoding: chunked\r\n\r\n\
             5\r\n{{\"clu\r\n8\r\nsters\":[\r\n5\r\n\"a\"]}}\r\n0\r\n\r\n"
        );
        assert_eq!(exchange(address, chunked.as_bytes()).await, expect);

        let headers = format!("{DESCRIBE}{CLOSE}content-encoding: br\r\n");
        let back = exchange(address, &request(&headers, b"x")).await;
        assert!(back.starts_with("HTTP/1.1 415 Unsupported Media Type\r\n"), "{back}");
    });
}

#[test]
fn a_client_may_wait_for_100_continue() {
    with_gateway(async |address| {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let body = br#"{"clusters":["a"]}"#;
        let headers = format!("{DESCRIBE}{CLOSE}expect: 100-continue\r\n");
        let whole = request(&headers, body);
        stream.write_all(&whole[..whole.len() - body.len()]).await.expect("written");
        let mut go = [0; 25];
        stream.read_exact(&mut go).await.expect("an interim answer");
        assert_eq!(&go, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(body).await.expect("written");
        let mut back = String::new();
        stream.read_to_string(&mut back).await.expect("an answer");
        assert!(back.ends_with(&cluster("a")), "{back}");

        // A body that is too large is refused before it is sent.
        let head = format!(
            "POST / HTTP/1.1\r\nhost: h\r\n{DESCRIBE}expect: 100-continue\r\ncontent-length: 9999\r\n\r\n"
        );
        let back = exchange(address, head.as_bytes()).await;
        assert!(back.starts_with("HTTP/1.1 413 "), "{back}");
    });
}

#[test]
fn what_is_no_api_call_goes_elsewhere() {
    with_gateway(async |address| {
        let get =
            |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\n{headers}{CLOSE}\r\n").into_bytes();
        for (path, headers) in [
            ("/_capstan/coverage", "host: h\r\n"),
            ("/_localstack/health", "host: h\r\n"),
            ("/", "host: h\r\n"),
            ("/x", &format!("host: web-1.us-east-1.elb.localhost:4566\r\n{DESCRIBE}")),
            ("/ws", &format!("host: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n{DESCRIBE}")),
        ] {
            let back = exchange(address, &get(path, headers)).await;
            assert!(back.ends_with(&format!("other {path}")), "{path} {back}");
        }
    });
}

#[test]
fn pages_of_other_sites_are_refused() {
    with_gateway(async |address| {
        let headers = "content-type: application/x-www-form-urlencoded\r\nsec-fetch-site: cross-site\r\n";
        let form = b"Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-1";
        let back = exchange(address, &request(&format!("{headers}{CLOSE}"), form)).await;
        assert!(back.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{back}");
    });
}

#[test]
fn garbage_ends_the_connection_only() {
    with_gateway(async |address| {
        for garbage in [&b"\0\0\0\0\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage-garbage", b"GET"]
        {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(garbage).await.expect("written");
            stream.shutdown().await.expect("closed");
            let mut back = Vec::new();
            let _ = stream.read_to_end(&mut back).await;
        }
        let headers = format!("{DESCRIBE}{CLOSE}");
        let back = exchange(address, &request(&headers, br#"{"clusters":["a"]}"#)).await;
        assert_eq!(back, answered("200 OK", 1, CLOSE, &cluster("a")));
    });
}

#[test]
fn slow_clients_are_let_go() {
    let short = std::time::Duration::from_millis(10);
    with_limits(Limits { head_timeout: short, body_timeout: short, ..LIMITS }, async |address| {
        let whole = request(DESCRIBE, br#"{"clusters":["a"]}"#);
        assert_eq!(exchange(address, b"").await, "");
        let back = exchange(address, &whole[..40]).await;
        assert!(!back.contains(" 200 "), "{back}");
        let back = exchange(address, &whole[..whole.len() - 1]).await;
        assert!(back.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{back}");
        assert!(back.contains(r#"{"__type":"RequestTimeout","#), "{back}");
    });
}

#[test]
fn stopping_waits_for_no_idle_connection() {
    let mut idle = None;
    with_gateway(async |address| {
        let silent = TcpStream::connect(address).await.expect("a connection");
        let mut used = TcpStream::connect(address).await.expect("a connection");
        used.write_all(&request(DESCRIBE, b"{}")).await.expect("written");
        let mut start = [0; 15];
        used.read_exact(&mut start).await.expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 200 OK");
        idle = Some((silent, used));
    });
}

#[test]
fn http2_with_prior_knowledge() {
    with_gateway(async |address| {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("a handshake");
        let connection = tokio::spawn(connection);
        let body = Full::new(Bytes::from_static(br#"{"clusters":["a"]}"#));
        let sent = hyper::Request::post("http://h/")
            .header("x-amz-target", "AmazonEC2ContainerServiceV20141113.DescribeClusters")
            .body(body)
            .expect("a request");
        let back = client.send_request(sent).await.expect("an answer");
        assert_eq!(back.status(), 200);
        let body = back.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, r#"{"clusters":[{"clusterName":"a","status":""}]}"#);
        drop(client);
        connection.await.expect("joined").expect("a connection that ends well");
    });
}
