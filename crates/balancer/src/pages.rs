//! The small HTML pages of the answers that the load balancer gives itself.

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};

use crate::body::Body;

/// What load balancers call themselves.
const SERVER_NAME: &str = "awselb/2.0";

/// Codes of the load balancer's own answers (ALB guide, load-balancer-troubleshooting).
const TITLES: [(u16, &str); 16] = [
    (301, "301 Moved Permanently"),
    (302, "302 Found"),
    (400, "400 Bad Request"),
    (404, "404 Not Found"),
    (405, "405 Not Allowed"),
    (408, "408 Request Time-out"),
    (414, "414 Request-URI Too Large"),
    (460, "460 "),
    (463, "463 "),
    (464, "464 "),
    (500, "500 Internal Server Error"),
    (501, "501 Not Implemented"),
    (502, "502 Bad Gateway"),
    (503, "503 Service Temporarily Unavailable"),
    (504, "504 Gateway Time-out"),
    (505, "505 HTTP Version Not Supported"),
];

fn title(status: u16) -> String {
    TITLES
        .iter()
        .find(|(code, _)| *code == status)
        .map_or_else(|| status.to_string(), |(_, t)| (*t).to_owned())
}

/// The page for a status code, as ALB words it (our reading).
pub(crate) fn html(status: u16) -> String {
    let title = title(status);
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// An answer of the load balancer itself.
pub(crate) fn page(status: u16) -> Response<Body> {
    text(status, "text/html", html(status).into())
}

/// An answer of the load balancer itself with the given body.
pub(crate) fn text(status: u16, content_type: &str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static(SERVER_NAME));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static("text/plain")),
    );
    response
}

/// A whole HTTP/1.1 answer that closes the connection, for requests that never became a request.
pub(crate) fn raw(status: u16) -> Vec<u8> {
    let body = html(status);
    let title = title(status);
    let length = body.len();
    format!(
        "HTTP/1.1 {title}\r\nServer: {SERVER_NAME}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
