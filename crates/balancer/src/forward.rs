//! Forwarding a request to a target group: picking, connecting, retrying, answering.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};

use crate::body::{Body, Streamed, StreamedParts};
use crate::connection::Connection;
use crate::exchange::{Answer, Failure, Silence, exchange};
use crate::front::{Busy, Client};
use crate::group::GroupState;
use crate::pick::{Picked, pick};
use crate::request_head::{Framing, RequestHead, has_token, is_valid_field};
use crate::response_head::BodyKind;
use crate::shared::Context;
use crate::snapshot::ProtocolVersion;
use crate::table::Route;
use crate::target::TargetState;
use crate::tunnel;
use crate::upload::Upload;

/// Tries for one request over all targets and reasons.
const ATTEMPTS_MAX: usize = 8;
/// Of these, tries of a target that was tried before, when no other is left.
const AGAIN_MAX: usize = 3;
/// Times that a request is sent: one that brings down two targets shall not reach all of them.
const SENT_MAX: usize = 3;
/// Before a target that refused a connection is tried again.
const SAME_TARGET_PAUSE: Duration = Duration::from_millis(20);

/// A request on its way, with what was decided about it.
pub(crate) struct Forwarded<'a> {
    pub(crate) context: &'a Context,
    pub(crate) route: &'a Route,
    pub(crate) group: &'a Arc<GroupState>,
    pub(crate) client: &'a Client,
    /// As the target is to see it.
    pub(crate) host: &'a [u8],
}

/// Answers with the target's answer, or with the status of the load balancer's own.
pub(crate) async fn forward(
    what: Forwarded<'_>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, u16> {
    if what.group.plan.load().protocol_version != ProtocolVersion::Http1 {
        return Err(464);
    }
    let upgrade = wanted_upgrade(&request);
    let on_upgrade = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let framing = framing(&parts.headers, &body);
    if what.route.attributes.drop_invalid_header_fields && !parts.headers.keys().all(is_valid_field) {
        what.route.state.counters[what.context.shard].dropped_headers.fetch_add(1, Relaxed);
    }
    let head = RequestHead {
        method: &parts.method,
        uri: &parts.uri,
        headers: &parts.headers,
        host: what.host,
        client: what.client.peer,
        listener_port: what.route.port,
        attributes: &what.route.attributes,
        framing,
        upgrade: upgrade.as_ref(),
    };
    // A declared length of zero is told to the target by its header alone.
    let upload = (!body.is_end_stream()).then(|| Upload::new(body, framing == Framing::Chunked));
    let attempts = Attempts {
        what,
        head,
        upload,
        tried: Vec::new(),
        refused: false,
        fresh: false,
        sent: 0,
        counted: false,
    };
    attempts.run(on_upgrade).await
}

struct Attempts<'a> {
    what: Forwarded<'a>,
    head: RequestHead<'a>,
    upload: Option<Upload>,
    /// Targets that could not be connected, or that closed the connection instead of answering.
    tried: Vec<Arc<TargetState>>,
    /// The latest try ended with a refused connection.
    refused: bool,
    /// An idle connection turned out to be dead: the next one is new.
    fresh: bool,
    /// How often the request was sent.
    sent: usize,
    counted: bool,
}

/// What became of an attempt without an answer.
enum Trouble {
    Final(u16),
    /// The target began to drain before the request was sent.
    Drains,
    /// Nothing is lost by trying again; the status is for when that is not possible any more.
    Retry(u16),
}

struct Answered {
    connection: Box<Connection>,
    picked: Picked,
    answer: Answer,
}

impl Attempts<'_> {
    async fn run(mut self, on_upgrade: Option<OnUpgrade>) -> Result<Response<Body>, u16> {
        // 503 is for when no target was there to try.
        let mut status = 503;
        let mut again = 0;
        for _ in 0..ATTEMPTS_MAX {
            let Some(picked) = pick(self.what.group, &self.tried) else { break };
            if self.was_tried(picked.held.target()) {
                again += 1;
                if again > AGAIN_MAX {
                    break;
                }
            }
            match self.attempt(picked).await {
                Ok(answered) => return self.answer(answered, on_upgrade),
                Err(Trouble::Final(status)) => return Err(status),
                Err(Trouble::Retry(last)) => status = last,
                Err(Trouble::Drains) => {}
            }
        }
        Err(status)
    }

    fn was_tried(&self, target: &Arc<TargetState>) -> bool {
        self.tried.iter().any(|tried| Arc::ptr_eq(tried, target))
    }

    async fn attempt(&mut self, picked: Picked) -> Result<Answered, Trouble> {
        self.count_request(&picked);
        let target = picked.held.target();
        let mut connection = match self.connect(&picked).await {
            Ok(connection) => connection,
            Err(_) if target.is_gone() => return Err(Trouble::Drains),
            Err(error) => {
                self.count_connection_error();
                self.refused = true;
                self.tried.push(Arc::clone(target));
                let timed_out = error.kind() == io::ErrorKind::TimedOut;
                return Err(if timed_out { Trouble::Final(504) } else { Trouble::Retry(502) });
            }
        };
        // Connecting, or waiting before it, takes time: what has not begun by now goes elsewhere.
        if target.is_closed() {
            return Err(Trouble::Drains);
        }
        connection.output.reset();
        self.head.encode(&mut connection.output.head);
        if let Some(upload) = &mut self.upload {
            upload.rewind();
        }
        self.sent += 1;
        let idle_timeout = self.what.route.idle_timeout;
        match exchange(&mut connection, &mut self.upload, self.head.method, idle_timeout).await {
            Ok(answer) => Ok(Answered { connection, picked, answer }),
            Err(Failure::Closed(Some(how))) if self.may_repeat(&connection, target, how).await => {
                self.fresh |= connection.reused;
                self.refused = false;
                self.tried.push(Arc::clone(target));
                Err(Trouble::Retry(502))
            }
            Err(Failure::Closed(_) | Failure::Malformed) => Err(Trouble::Final(502)),
            Err(Failure::Client) => Err(Trouble::Final(400)),
            Err(Failure::Timeout) => Err(Trouble::Final(504)),
        }
    }

    async fn connect(&self, picked: &Picked) -> io::Result<Box<Connection>> {
        let Forwarded { context, route, group, .. } = self.what;
        let target = picked.held.target();
        if !self.fresh
            && let Some(idle) = target.check_out(context.shard, picked.address, route.idle_timeout)
        {
            return Ok(idle);
        }
        if self.refused && self.was_tried(target) {
            tokio::time::sleep(SAME_TARGET_PAUSE).await;
        }
        let opening = Connection::open(target, picked.address, group, context.shard);
        // Boxed, as it is rare and would make every request's future larger.
        Box::pin(tokio::time::timeout(context.shared.connect_timeout, opening)).await?
    }

    /// Whether a request whose connection closed without a byte of answer may be sent once more: all of it is still at
    /// hand, and doing it twice does no harm (RFC 9110 §9.2.2) or it was not done. When the delay of a draining target is
    /// over its requests end with it, as documented (ALB guide, load-balancer-troubleshooting, HTTP 502).
    async fn may_repeat(&self, connection: &Connection, target: &TargetState, how: Silence) -> bool {
        let at_hand = self.upload.as_ref().is_none_or(Upload::is_replayable);
        if target.is_gone() || !at_hand || self.sent >= SENT_MAX {
            return false;
        }
        let untouched = self.upload.as_ref().is_some_and(Upload::is_untouched);
        self.head.method.is_idempotent() || untouched || self.was_unread(connection, how).await
    }

    /// Whether the target cannot have read the request, because it had closed the connection, which was idle until then,
    /// when the request arrived: its system says so by a reset behind the end of the connection. It shows only when all of
    /// the request left in one piece. A reset alone says nothing: programs also end connections so on purpose.
    async fn was_unread(&self, connection: &Connection, how: Silence) -> bool {
        match connection.output.writes {
            0 => true,
            1 => connection.reused && how == Silence::End && connection.is_bounced().await,
            _ => false,
        }
    }

    fn answer(self, answered: Answered, on_upgrade: Option<OnUpgrade>) -> Result<Response<Body>, u16> {
        let Self { what: Forwarded { context, route, group, client, .. }, head, mut upload, .. } = self;
        let Answered { mut connection, picked, answer: Answer { head: answer, sent, took } } = answered;
        let held = picked.held;
        if !sent {
            client.state.hasty.store(true, Relaxed);
        }
        let status = answer.status.as_u16();
        for counters in [&route.state.counters, &group.counters] {
            counters[context.shard].target_answered(status, took);
        }
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(on_upgrade), Some(protocol)) = (on_upgrade, &answer.upgrade) else { return Err(502) };
            let response = switching(answer.headers, protocol);
            let busy = Busy::new(&client.state);
            let ends = tunnel::Ends { client: on_upgrade, busy, target: connection, held };
            tunnel::spawn(context, ends, route.idle_timeout);
            return Ok(response);
        }
        let body = match answer.body {
            BodyKind::Length(length) if length <= connection.input.bytes().len() as u64 => {
                let body = Body::full(connection.input.take(length));
                if sent && answer.keep_alive {
                    held.target().check_in(context.shard, connection);
                }
                body
            }
            kind => {
                if sent {
                    upload = None;
                } else if let Some(upload) = &mut upload {
                    upload.forget();
                }
                let (keep_alive, idle_timeout, shard) =
                    (answer.keep_alive, route.idle_timeout, context.shard);
                Body::streamed(Streamed::new(StreamedParts {
                    connection,
                    held,
                    kind,
                    keep_alive,
                    upload,
                    idle_timeout,
                    shard,
                }))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        let bodiless = answer.status == StatusCode::NO_CONTENT && *head.method != Method::HEAD;
        if bodiless || answer.status == StatusCode::NOT_MODIFIED {
            // It would promise a body to a reader who does not know better.
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        Ok(response)
    }

    fn count_request(&mut self, picked: &Picked) {
        if !std::mem::replace(&mut self.counted, true) {
            let shard = self.what.context.shard;
            self.what.route.state.counters[shard].request_count.fetch_add(1, Relaxed);
            let of_group = &self.what.group.counters[shard];
            of_group.request_count.fetch_add(1, Relaxed);
            if picked.failed_open {
                of_group.unhealthy_routing.fetch_add(1, Relaxed);
            }
        }
    }

    fn count_connection_error(&self) {
        let shard = self.what.context.shard;
        self.what.route.state.counters[shard].connection_errors.fetch_add(1, Relaxed);
        self.what.group.counters[shard].connection_errors.fetch_add(1, Relaxed);
    }
}

fn framing(headers: &HeaderMap, body: &Incoming) -> Framing {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        Framing::Chunked
    } else if headers.contains_key(header::CONTENT_LENGTH) {
        Framing::Length
    } else if body.is_end_stream() {
        Framing::None
    } else {
        // HTTP/2 needs no length.
        Framing::Chunked
    }
}

/// The protocol of an upgrade that the client asks for.
fn wanted_upgrade(request: &Request<Incoming>) -> Option<HeaderValue> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    let protocol = request.headers().get(header::UPGRADE)?;
    let connection = request.headers().get(header::CONNECTION)?;
    has_token(connection, "upgrade").then(|| protocol.clone())
}

fn switching(headers: HeaderMap, protocol: &HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::full(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::UPGRADE, protocol.clone());
    response
}
