//! What stands behind the gateway: the API through the engine thread, pages under `/_capstan/`, and load balancers by
//! their names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use capstan_agent::metadata::{Tokens, answer};
use capstan_engine::{Caller, ec2, s3};
use capstan_model::{InstanceId, Span};
use capstan_shapes::{Refusal, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::gateway::{self, Body, RequestId, whole};
use crate::{Control, Options};

/// A request to move the clock is short.
const BODY_MAX: usize = 4096;
/// Bytes that are hashed without leaving the connection's task: a fraction of a millisecond.
const DIGEST_AT_ONCE: usize = 256 << 10;
/// Before the id of an instance whose metadata is asked for.
const INSTANCES: &str = "/_capstan/instances/";
/// One request moves the clock by at most so much: a year.
const ADVANCE_MAX_SECS: i64 = 366 * 86_400;

#[derive(Clone, Debug)]
pub(crate) struct Backend(Arc<Shared>);

struct Shared {
    control: Control,
    balancer: Option<Arc<capstan_balancer::Handle>>,
    tokens: Tokens,
    options: Options,
    requests: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Backend {
    pub(crate) fn new(
        control: Control,
        balancer: Option<Arc<capstan_balancer::Handle>>,
        tokens: Tokens,
        options: Options,
    ) -> Self {
        // Request ids of two runs differ by their start.
        let start = u64::try_from(crate::wall_clock().as_micros()).unwrap_or_default();
        Self(Arc::new(Shared { control, balancer, tokens, options, requests: AtomicU64::new(start << 16) }))
    }

    fn request_id(&self) -> RequestId {
        // Unique is enough: an odd multiplier permutes the numbers, so that neighbours do not look alike.
        let n = u128::from(self.0.requests.fetch_add(1, Ordering::Relaxed));
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        RequestId(mixed & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62)
    }
}

impl gateway::Backend for Backend {
    async fn call(
        &self,
        caller: gateway::Caller,
        request: Request,
    ) -> (RequestId, Result<Response, Refusal>) {
        let request = match digested(request).await {
            Ok(request) => request,
            Err(refusal) => return (self.request_id(), Err(refusal)),
        };
        let caller = Caller::User { access_key: caller.access_key.unwrap_or_default() };
        (self.request_id(), self.0.control.call(caller, request).await)
    }

    async fn other(&self, source: SocketAddr, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
        if let Some(balancer) = &self.0.balancer {
            let host = request.uri().host().map(str::to_owned).or_else(|| {
                request
                    .headers()
                    .get(hyper::header::HOST)
                    .and_then(|host| host.to_str().ok())
                    .map(str::to_owned)
            });
            if host.is_some_and(|host| balancer.load_balancer_for_host(&host).is_some()) {
                let response = balancer.serve(request, source).await;
                return response.map(|body| body.map_err(Into::into).boxed_unsync());
            }
        }
        self.page(request).await
    }
}

impl Backend {
    async fn page(&self, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
        if let Some(of_instance) = request.uri().path().strip_prefix(INSTANCES) {
            return self.metadata(of_instance, &request).await;
        }
        let path = request.uri().path().trim_end_matches('/').to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, "/_capstan/health" | "/_localstack/health") => {
                json_page(StatusCode::OK, self.health())
            }
            (&Method::GET, "/_capstan/coverage") => {
                json_page(StatusCode::OK, gateway::Coverage::of_engine().json())
            }
            (&Method::GET, "/_capstan/bill") => {
                let bill = self.0.control.look(bill).await;
                json_page(StatusCode::OK, bill.unwrap_or_default())
            }
            (&Method::GET, "/_capstan/state") => {
                let resources = self.0.control.look(capstan_engine::Engine::resources).await;
                json_page(StatusCode::OK, json!(resources.unwrap_or_default()))
            }
            (&Method::POST, "/_capstan/clock") => self.advance(request).await,
            (&Method::GET, "/_capstan/clock") => {
                let now = self.0.control.look(capstan_engine::Engine::now).await;
                json_page(
                    StatusCode::OK,
                    json!({ "now": now.map(|now| now.iso_millis()), "clock": self.0.options.clock.to_string() }),
                )
            }
            (&Method::GET, path) if path.starts_with("/_capstan/explain/") => {
                self.explain(&path["/_capstan/explain/".len()..]).await
            }
            _ => json_page(
                StatusCode::NOT_FOUND,
                json!({ "message": format!("There is no {} {path}. Capstan's own pages are /_capstan/health, /_capstan/bill, /_capstan/coverage, /_capstan/clock, /_capstan/state, /_capstan/explain/NAME and /_capstan/instances/ID/latest/meta-data/; everything else here is the AWS API.", request.method()) }),
            ),
        }
    }

    /// The metadata service of an instance, in whatever runtime: `i-…/latest/…`. As
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT` SDKs take everything before the version.
    async fn metadata(&self, of_instance: &str, request: &hyper::Request<Incoming>) -> hyper::Response<Body> {
        let (name, path) = of_instance.split_once('/').unwrap_or((of_instance, ""));
        let seen = match name.parse::<InstanceId>() {
            Ok(id) => {
                self.0.control.look(move |engine| Some((ec2::metadata(engine, id)?, engine.now()))).await
            }
            Err(_) => None,
        };
        let Some((view, now)) = seen.flatten() else {
            return json_page(
                StatusCode::NOT_FOUND,
                json!({ "message": format!("There is no metadata of {name}: give the id of an instance that is not stopped or gone.") }),
            );
        };
        answer(&view, &self.0.tokens, now, request.method(), path, request.headers()).map(whole)
    }

    fn health(&self) -> Value {
        let services: serde_json::Map<String, Value> = capstan_shapes::SERVICES
            .iter()
            .map(|service| (service.name.to_owned(), json!("running")))
            .collect();
        json!({
            "services": services,
            "edition": "capstan",
            "version": env!("CARGO_PKG_VERSION"),
            "region": self.0.options.config.region.name,
            "account": self.0.options.config.account,
            "clock": self.0.options.clock.to_string(),
            "seed": self.0.options.config.seed,
        })
    }

    async fn advance(&self, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
        let bad = |message: &str| json_page(StatusCode::BAD_REQUEST, json!({ "message": message }));
        let Ok(body) = Limited::new(request.into_body(), BODY_MAX).collect().await else {
            return bad("The body could not be read, or is longer than 4096 bytes.");
        };
        let seconds = serde_json::from_slice::<Value>(&body.to_bytes()).ok();
        let seconds = seconds.and_then(|body| body.get("advance_seconds")?.as_f64());
        let Some(seconds) = seconds.filter(|seconds| (0.0..=ADVANCE_MAX_SECS as f64).contains(seconds))
        else {
            return bad("Send {\"advance_seconds\": N} with N from 0 to 31622400 (a year).");
        };
        let span = Span::from_micros((seconds * 1e6) as i64);
        match self.0.control.advance(span).await {
            Some(now) => json_page(StatusCode::OK, json!({ "now": now.iso_millis() })),
            None => json_page(
                StatusCode::CONFLICT,
                json!({ "message": format!("The clock is {}; only a manual clock can be moved: start with --clock manual --runtime virtual.", self.0.options.clock) }),
            ),
        }
    }

    async fn explain(&self, subject: &str) -> hyper::Response<Body> {
        let subject = percent_decoded(subject);
        let name = subject.clone();
        let found = self.0.control.look(move |engine| engine.explain(&name)).await.flatten();
        match found {
            Some(explanation) => json_page(
                StatusCode::OK,
                json!({ "subject": explanation.subject, "kind": explanation.kind, "why": explanation.why }),
            ),
            None => json_page(
                StatusCode::NOT_FOUND,
                json!({ "message": format!("Nothing is known of {subject}. Give a task id, a service name, an instance id, a capacity provider or an Auto Scaling group, or their ARN.") }),
            ),
        }
    }
}

/// The request with the digests of what it uploads: found here, so that the engine need not look at the bytes, and on
/// another thread when there are many.
async fn digested(mut request: Request) -> Result<Request, Refusal> {
    if s3::bytes_to_digest(&request) < DIGEST_AT_ONCE {
        return s3::digested(&mut request).map(|()| request);
    }
    let digest = move || s3::digested(&mut request).map(|()| request);
    let stopped = || Refusal::new("ServiceUnavailable", "Capstan is shutting down.").with_status(503);
    tokio::task::spawn_blocking(digest).await.unwrap_or_else(|_| Err(stopped()))
}

/// What instances have cost until now. Prices are in dollars with six decimals, as EC2 writes them.
fn bill(engine: &capstan_engine::Engine) -> Value {
    let lines = ec2::bill(engine);
    let option = |spot: bool| if spot { "spot" } else { "on-demand" };
    let sums = |sums: &ec2::Sums| {
        json!({
            "runs": sums.runs,
            "seconds": sums.seconds,
            "freeSeconds": sums.free_seconds,
            "cost": sums.cost().to_string(),
            "costMicroDollars": sums.cost().0,
            "onDemandCost": sums.on_demand_cost().to_string(),
        })
    };
    let line = |(key, of_key): (&ec2::BillKey, &ec2::Sums)| {
        let mut line = json!({
            "group": key.group,
            "purchaseOption": option(key.spot),
            "instanceType": key.instance_type,
        });
        if let (Value::Object(line), Value::Object(sums)) = (&mut line, sums(of_key)) {
            line.extend(sums);
        }
        line
    };
    json!({
        "until": engine.now().iso_millis(),
        "lines": lines.iter().map(line).collect::<Vec<_>>(),
        "total": sums(&ec2::total(lines.values())),
    })
}

fn json_page(status: StatusCode, value: Value) -> hyper::Response<Body> {
    let text = serde_json::to_string_pretty(&value).unwrap_or_default() + "\n";
    let mut response = hyper::Response::new(whole(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

/// `%2F` and the like; what is no such sequence stays.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code =
            (first == b'%').then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok())).flatten();
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
