//! One request from its head to its answer: which load balancer, which rule, which action.

use std::sync::atomic::Ordering::Relaxed;

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, Version};

use crate::body::Body;
use crate::forward::{Forwarded, forward};
use crate::front::Client;
use crate::pages;
use crate::redirect;
use crate::request_head::X_FORWARDED_FOR;
use crate::rules::Facts;
use crate::shared::Context;
use crate::table::{Action, Route};

/// The request line, and each header (ALB guide, load-balancer-limits).
pub(crate) const LINE_MAX_BYTES: usize = 16 * 1024;
/// All request headers.
pub(crate) const HEADERS_MAX_BYTES: usize = 64 * 1024;
/// Addresses in `X-Forwarded-For`.
const FORWARDED_FOR_MAX: usize = 30;

/// Answers a request that came in at a listener or was handed over by the gateway.
pub(crate) async fn handle(context: &Context, client: &Client, request: Request<Incoming>) -> Response<Body> {
    let Some(host) = Host::of(&request) else { return pages::page(400) };
    let route = match client.listener_port() {
        Some(port) => context.shared.table.load().route(port, host.name()).cloned(),
        None => context.shared.table.load().named(host.name()).cloned(),
    };
    let Some(route) = route else { return unknown_host(context, client, &host) };
    client.belongs_to(&route, context.shard);
    let version = request.version();
    let has_body = !request.body().is_end_stream();
    let mut abandoned = Abandoned { context, route: &route, armed: true };
    let outcome = answer(context, client, &route, &host, request).await;
    abandoned.armed = false;
    let mut response = outcome.unwrap_or_else(|status| {
        route.state.counters[context.shard].elb_answered(status);
        if has_body {
            client.state.hasty.store(true, Relaxed);
        }
        pages::page(status)
    });
    if version < Version::HTTP_2 && client.is_to_close(&route) && !response.status().is_informational() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The load balancer's own answers leave as a status.
async fn answer(
    context: &Context,
    client: &Client,
    route: &Route,
    host: &Host,
    request: Request<Incoming>,
) -> Result<Response<Body>, u16> {
    check(&request)?;
    let facts = Facts {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        host: host.name(),
        client: client.peer,
    };
    let counters = &route.state.counters[context.shard];
    let (action, evaluated) = route.action(&facts);
    counters.rule_evaluations.fetch_add(evaluated, Relaxed);
    if !matches!(action, Action::Forward(_)) && !request.body().is_end_stream() {
        client.state.hasty.store(true, Relaxed);
    }
    match action {
        Action::FixedResponse { status_code, content_type, body } => {
            counters.fixed_responses.fetch_add(1, Relaxed);
            counters.elb_answered(*status_code);
            Ok(pages::text(*status_code, content_type, body.clone()))
        }
        Action::Forward(choice) => {
            let group = choice.choose().ok_or(503u16)?;
            let host = if host.value.is_empty() { route.dns_name.as_bytes() } else { host.value.as_bytes() };
            forward(Forwarded { context, route, group, client, host }, request).await
        }
        Action::Redirect(to) => {
            counters.redirects.fetch_add(1, Relaxed);
            counters.elb_answered(to.status_code);
            let name = std::str::from_utf8(host.name()).unwrap_or_default();
            let name = if name.is_empty() { &route.dns_name } else { name };
            let port = host.port().unwrap_or(route.port);
            let location = redirect::location(to, name, port, request.uri());
            let mut response = pages::page(to.status_code);
            let location = HeaderValue::from_str(&location).map_err(|_| 400u16)?;
            response.headers_mut().insert(header::LOCATION, location);
            Ok(response)
        }
    }
}

/// What a load balancer refuses before any rule (ALB guide, load-balancer-troubleshooting).
fn check(request: &Request<Incoming>) -> Result<(), u16> {
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        return Err(405);
    }
    if request.uri().path_and_query().is_some_and(|p| p.as_str().len() > LINE_MAX_BYTES) {
        return Err(414);
    }
    let mut total = 0;
    for (name, value) in request.headers() {
        // With the colon, the space and the line end.
        let length = name.as_str().len() + value.len() + 4;
        total += length;
        if length > LINE_MAX_BYTES || total > HEADERS_MAX_BYTES {
            return Err(400);
        }
    }
    let coding = request.headers().get(header::TRANSFER_ENCODING);
    if coding.is_some_and(|coding| !is_known_coding(coding.as_bytes())) {
        return Err(501);
    }
    if request.headers().contains_key(X_FORWARDED_FOR) {
        let values = request.headers().get_all(X_FORWARDED_FOR).iter();
        let addresses: usize = values.map(|v| v.as_bytes().split(|b| *b == b',').count()).sum();
        if addresses > FORWARDED_FOR_MAX {
            return Err(463);
        }
    }
    Ok(())
}

/// Whether all of a `Transfer-Encoding` is understood.
pub(crate) fn is_known_coding(value: &[u8]) -> bool {
    let known = |t: &[u8]| t.eq_ignore_ascii_case(b"chunked") || t.eq_ignore_ascii_case(b"identity");
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).all(known)
}

/// Several load balancers share the port and the name is none of theirs.
fn unknown_host(context: &Context, client: &Client, host: &Host) -> Response<Body> {
    let table = context.shared.table.load();
    let routes = client.listener_port().map_or(&[][..], |port| table.on_port(port));
    if routes.is_empty() {
        return pages::page(503);
    }
    let names: Vec<&str> = routes.iter().map(|route| &route.dns_name[..]).collect();
    let asked = String::from_utf8_lossy(host.name());
    let text =
        format!("no load balancer on this port is named {asked:?}; use one of: {}\n", names.join(", "));
    pages::text(404, "text/plain", text.into())
}

/// The name that a request asks for.
struct Host {
    /// As sent; empty when an HTTP/1.0 client named none.
    value: HeaderValue,
}

impl Host {
    /// `None` when the request is malformed in this respect.
    fn of(request: &Request<Incoming>) -> Option<Self> {
        if let Some(authority) = request.uri().authority() {
            return HeaderValue::from_str(authority.as_str()).ok().map(|value| Self { value });
        }
        let mut values = request.headers().get_all(header::HOST).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Some(Self { value: value.clone() }),
            (None, None) if request.version() <= Version::HTTP_10 => {
                Some(Self { value: HeaderValue::from_static("") })
            }
            _ => None,
        }
    }

    /// Without the port.
    fn name(&self) -> &[u8] {
        let bytes = self.value.as_bytes();
        match bytes.iter().rposition(|b| *b == b':') {
            // The colons of a bare IPv6 address stand inside brackets.
            Some(colon) if !bytes[colon..].contains(&b']') => &bytes[..colon],
            _ => bytes,
        }
    }

    fn port(&self) -> Option<u16> {
        let port = self.value.as_bytes().get(self.name().len() + 1..)?;
        std::str::from_utf8(port).ok()?.parse().ok()
    }
}

/// Counts a request whose client went away before the answer: code 460.
struct Abandoned<'a> {
    context: &'a Context,
    route: &'a Route,
    armed: bool,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.route.state.counters[self.context.shard].elb_answered(460);
        }
    }
}
