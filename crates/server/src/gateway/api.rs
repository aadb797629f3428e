//! One API call: from an HTTP request to a typed one, and back.

use std::net::SocketAddr;

use capstan_shapes::Refusal;
use capstan_wire::{
    Answer, Chunked, Format, RequestId, Route, answer, decode_chunks, is_aws, is_chunked, is_s3, read,
    refuse, route,
};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE, USER_AGENT,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Uri};

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
        let is_object = seen(&head, &[], &[], |request| is_s3(&request));
        let body = body::read(&head.headers, incoming, &self.limits, is_object).await;
        let body = body.and_then(|body| {
            let header = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
            if is_object && is_chunked(&header) {
                return decode_chunks(&body);
            }
            Ok(Chunked { body, trailers: Vec::new() })
        });
        match body {
            Ok(body) => self.call(source, &head, body).await,
            Err(refusal) => {
                // The route needs no body to know the format, unless the client speaks query.
                let format = match seen(&head, &[], &[], |request| route(&request)) {
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

    async fn call(&self, source: SocketAddr, head: &Parts, body: Chunked) -> Response<Body> {
        let Chunked { body, trailers } = body;
        let route = match seen(head, &trailers, &body, |request| route(&request)) {
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
        let request = match read(&route, &body) {
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
    let is_balancer = host.contains(".elb.");
    if is_balancer || request.headers().contains_key(UPGRADE) {
        return false;
    }
    saw(request.method(), request.uri(), request.headers(), &[], &[], |request| is_aws(&request))
}

/// The request without its HTTP library. Trailing headers count as headers.
fn seen<T>(
    head: &Parts,
    trailers: &[(String, String)],
    body: &[u8],
    look: impl FnOnce(capstan_wire::Incoming<'_>) -> T,
) -> T {
    saw(&head.method, &head.uri, &head.headers, trailers, body, look)
}

fn saw<T>(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    trailers: &[(String, String)],
    body: &[u8],
    look: impl FnOnce(capstan_wire::Incoming<'_>) -> T,
) -> T {
    let header = |name: &str| match name {
        // How a chunked body was sent is no property of the object.
        "content-encoding" => {
            let text = headers.get(name)?.to_str().ok()?;
            let text = text.strip_prefix("aws-chunked").unwrap_or(text).trim_start_matches([',', ' ']);
            (!text.is_empty()).then_some(text)
        }
        // HTTP/2 has an authority in its place.
        "host" => headers.get(name).and_then(|host| host.to_str().ok()).or_else(|| uri.host()),
        _ => {
            let trailer = trailers.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str());
            headers.get(name).and_then(|text| text.to_str().ok()).or(trailer)
        }
    };
    let prefixed = |prefix: &str| {
        let pairs = headers.iter().filter_map(|(name, text)| {
            let rest = name.as_str().strip_prefix(prefix)?;
            Some((rest.to_owned(), text.to_str().ok()?.to_owned()))
        });
        pairs.collect()
    };
    look(capstan_wire::Incoming {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        header: &header,
        headers: &prefixed,
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
    let content_type = [(CONTENT_TYPE.as_str().into(), answer.content_type.into_owned())];
    let content_type = content_type.into_iter().filter(|(_, value)| !value.is_empty());
    for (name, value) in content_type.chain(answer.headers) {
        // Error codes come from shapes and handlers, names and values of metadata from clients: what is no header is left
        // out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_ref()), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    response
}
