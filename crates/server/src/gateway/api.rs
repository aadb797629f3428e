//! One API call: from an HTTP request to a typed one, and back.

use std::net::SocketAddr;

use capstan_shapes::Refusal;
use capstan_wire::{Answer, Format, RequestId, Route, answer, is_aws, read, refuse, route};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE, USER_AGENT,
};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};

use super::request_ids::RequestIds;
use super::{Backend, Body, Caller, Limits, body, whole};

/// What all connections share.
pub(super) struct Shared<B> {
    pub(super) backend: B,
    pub(super) limits: Limits,
    pub(super) ids: RequestIds,
}

impl<B: Backend> Shared<B> {
    pub(super) async fn handle(&self, source: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        if !is_api_call(&request) {
            return self.backend.other(source, request).await;
        }
        let (head, incoming) = request.into_parts();
        let body = body::read(&head.headers, incoming, &self.limits).await;
        match body {
            Ok(body) => self.call(source, &head, &body).await,
            Err(refusal) => {
                // The route needs no body to know the format, unless the client speaks query.
                let format = match routed(&head, &[]) {
                    Ok(route) => Format::of(route.service, route.protocol),
                    Err(unrouted) => unrouted.format,
                };
                let mut response = http(refuse(format, self.ids.next(), &refusal));
                // What is left of the body is not read.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
        }
    }

    async fn call(&self, source: SocketAddr, head: &Parts, body: &[u8]) -> Response<Body> {
        let route = match routed(head, body) {
            Ok(route) => route,
            Err(unrouted) => {
                tracing::info!(refusal = %unrouted.refusal, "refused");
                return http(refuse(unrouted.format, self.ids.next(), &unrouted.refusal));
            }
        };
        let (service, protocol) = (route.service, route.protocol);
        let refused = |id: RequestId, refusal: &Refusal| {
            tracing::debug!(service = service.name, %id, %refusal, "refused");
            http(refuse(Format::of(service, protocol), id, refusal))
        };
        if is_cross_site(&head.headers) {
            let refusal = Refusal::new(
                "AccessDenied",
                "A web page of another site sent this request; the API answers no such pages.",
            );
            return refused(self.ids.next(), &refusal.with_status(403));
        }
        let request = match read(&route, body) {
            Ok(request) => request,
            Err(refusal) => return refused(self.ids.next(), &refusal),
        };
        match self.backend.call(caller(source, head, route), request).await {
            (id, Ok(response)) => http(answer(service, protocol, id, response)),
            (id, Err(refusal)) => refused(id, &refusal),
        }
    }
}

fn caller(source: SocketAddr, head: &Parts, route: Route) -> Caller {
    let (access_key, region) = route.scope.map(|scope| (scope.access_key, scope.region)).unzip();
    Caller { access_key, region, source, user_agent: text(&head.headers, USER_AGENT).to_owned() }
}

fn is_api_call(request: &Request<Incoming>) -> bool {
    let host = request.uri().host().unwrap_or_else(|| text(request.headers(), HOST));
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_balancer = host.ends_with(".elb.localhost");
    if is_balancer || request.headers().contains_key(UPGRADE) {
        return false;
    }
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    is_aws(&capstan_wire::Incoming {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        header: &header,
        body: &[],
    })
}

fn routed(head: &Parts, body: &[u8]) -> Result<Route, Box<capstan_wire::Unrouted>> {
    let header = |name: &str| head.headers.get(name)?.to_str().ok();
    route(&capstan_wire::Incoming {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        header: &header,
        body,
    })
}

/// Browsers tell where a request comes from; a form of any site could otherwise call an API on this machine.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn http(answer: Answer) -> Response<Body> {
    let mut response = Response::new(whole(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.reserve(answer.headers.len() + 3);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    for (name, value) in answer.headers {
        // Error codes come from shapes and handlers: one that is no header value is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}
