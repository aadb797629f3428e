//! One request to the metadata service (EC2 guide, instancedata-data-retrieval, configuring-instance-metadata-service).

use std::collections::BTreeSet;

use bytes::Bytes;
use capstan_model::{InstanceMetadata, MetadataItem, Time};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::Tokens;

const TOKEN: &str = "x-aws-ec2-metadata-token";
const TOKEN_TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// Versions that the service has had (EC2 guide, instance metadata categories). One tree is served under each of them:
/// older versions without the newer categories are not played (ours).
const VERSIONS: [&str; 27] = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "2011-01-01",
    "2011-05-01",
    "2012-01-12",
    "2014-02-25",
    "2014-11-05",
    "2015-10-20",
    "2016-04-19",
    "2016-06-30",
    "2016-09-02",
    "2018-03-28",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "latest",
];

/// Answers a request whose path begins with the version (`/latest/meta-data/`). `now` is the engine's time, in which
/// tokens expire. The body of the request is of no interest.
pub fn answer(
    view: &InstanceMetadata,
    tokens: &Tokens,
    now: Time,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Response<Bytes> {
    if !view.enabled {
        return page(StatusCode::FORBIDDEN);
    }
    // A slash more at the front does no harm: people join addresses and paths.
    let path = path.trim_start_matches('/');
    if path == "latest/api/token" {
        return token(view, tokens, now, method, headers);
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    let admitted = match headers.get(TOKEN) {
        // A bad token is refused also where none is asked for.
        Some(token) => token.to_str().is_ok_and(|token| tokens.is_good(view.instance, token, now)),
        None => !view.tokens_required,
    };
    if !admitted {
        return page(StatusCode::UNAUTHORIZED);
    }
    let found = match path.split_once('/').unwrap_or((path, "")) {
        ("", _) => Some(MetadataItem::text(VERSIONS.join("\n"))),
        (version, rest) if VERSIONS.contains(&version) => look_up(view, rest),
        _ => None,
    };
    match found {
        Some(item) => whole(StatusCode::OK, item.content_type, item.body),
        None => page(StatusCode::NOT_FOUND),
    }
}

fn token(
    view: &InstanceMetadata,
    tokens: &Tokens,
    now: Time,
    method: &Method,
    headers: &HeaderMap,
) -> Response<Bytes> {
    if method != Method::PUT {
        return not_allowed("PUT");
    }
    // Somebody passes on what another asked for.
    if headers.contains_key("x-forwarded-for") {
        return page(StatusCode::FORBIDDEN);
    }
    let ttl = headers.get(TOKEN_TTL).and_then(|ttl| ttl.to_str().ok()).unwrap_or_default();
    let Some((token, secs)) = tokens.give(view.instance, ttl, now) else {
        return page(StatusCode::BAD_REQUEST);
    };
    let mut response = whole(StatusCode::OK, "text/plain", token);
    response.headers_mut().insert(TOKEN_TTL, HeaderValue::from(secs));
    response
}

/// What stands at that path below a version: an item, or the list of what is below it.
fn look_up(view: &InstanceMetadata, path: &str) -> Option<MetadataItem> {
    // A slash at the end is as good as none: botocore asks for the zone with one.
    let path = path.trim_end_matches('/');
    if let Some(item) = view.items.get(path) {
        return Some(item.clone());
    }
    let below = match path {
        "" => String::new(),
        directory => format!("{directory}/"),
    };
    let mut names: BTreeSet<String> = BTreeSet::new();
    for rest in view.items.range(below.clone()..).map_while(|(path, _)| path.strip_prefix(&below)) {
        let Some((directory, _)) = rest.split_once('/') else {
            names.insert(rest.to_owned());
            continue;
        };
        // The categories at the top are listed without a slash.
        names.insert(if below.is_empty() { directory.to_owned() } else { format!("{directory}/") });
    }
    (!names.is_empty()).then(|| MetadataItem::text(names.into_iter().collect::<Vec<_>>().join("\n")))
}

fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Errors are XHTML pages that say the status.
fn page(status: StatusCode) -> Response<Bytes> {
    let title = format!("{} - {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n\
         <!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" \
         \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n\
         <html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n\
         <head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n"
    );
    whole(status, "text/html", body)
}

fn not_allowed(methods: &'static str) -> Response<Bytes> {
    let mut response = page(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

#[cfg(test)]
mod tests {
    use capstan_model::{InstanceId, Span};

    use super::*;

    const NOW: Time = Time::from_secs(1_000);

    fn view() -> InstanceMetadata {
        let items = [
            ("dynamic/instance-identity/document", "{}"),
            ("meta-data/ami-id", "ami-1"),
            ("meta-data/placement/availability-zone", "eu-west-1a"),
            ("meta-data/placement/region", "eu-west-1"),
            ("meta-data/tags/instance/a/b", "slash"),
            ("user-data", "#!/bin/sh"),
        ];
        InstanceMetadata {
            instance: InstanceId(0xa),
            enabled: true,
            tokens_required: false,
            items: items.map(|(path, body)| (path.to_owned(), MetadataItem::text(body))).into(),
        }
    }

    fn ask(
        view: &InstanceMetadata,
        tokens: &Tokens,
        now: Time,
        request: &str,
        headers: &[(&'static str, &str)],
    ) -> (u16, String) {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let headers = headers.iter().map(|(name, value)| {
            (hyper::header::HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        });
        let method = method.parse().expect("a method");
        let answer = answer(view, tokens, now, &method, path, &headers.collect());
        (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
    }

    #[test]
    fn items_and_listings() {
        let check = |path: &str, expect: Option<&str>| {
            let (status, body) = ask(&view(), &Tokens::default(), NOW, &format!("GET {path}"), &[]);
            match expect {
                Some(text) => assert_eq!((status, body.as_str()), (200, text), "{path}"),
                None => assert!(status == 404 && body.contains("<h1>404 - Not Found</h1>"), "{path} {body}"),
            }
        };
        check("/latest/meta-data/ami-id", Some("ami-1"));
        check("/2021-07-15/meta-data/ami-id", Some("ami-1"));
        check("/1.0/meta-data/ami-id", Some("ami-1"));
        check("//latest/meta-data/ami-id", Some("ami-1"));
        check("/latest/meta-data/ami-id/", Some("ami-1"));
        check("/latest/meta-data/", Some("ami-id\nplacement/\ntags/"));
        check("/latest/meta-data", Some("ami-id\nplacement/\ntags/"));
        check("/latest/meta-data/placement/", Some("availability-zone\nregion"));
        check("/latest/meta-data/tags/instance/a/b", Some("slash"));
        check("/latest/", Some("dynamic\nmeta-data\nuser-data"));
        check("/latest", Some("dynamic\nmeta-data\nuser-data"));
        check("/latest/dynamic/", Some("instance-identity/"));
        check("/latest/user-data", Some("#!/bin/sh"));
        check("/", Some(&VERSIONS.join("\n")));
        for path in [
            "/latest/meta-data/spot/instance-action",
            "/latest/meta-data/plac",
            "/latest/meta-data/placement/region/x",
            "/2021-07-16/meta-data/ami-id",
            "/meta-data/ami-id",
        ] {
            check(path, None);
        }
    }

    #[test]
    fn tokens_are_given_and_asked_for() {
        let tokens = Tokens::default();
        let open = view();
        let closed = InstanceMetadata { tokens_required: true, ..view() };
        let other = InstanceMetadata { instance: InstanceId(0xb), ..closed.clone() };
        let off = InstanceMetadata { enabled: false, ..view() };
        let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", "60");
        let (status, token) = ask(&closed, &tokens, NOW, "PUT /latest/api/token", &[ttl]);
        assert_eq!(status, 200);
        let good = ("x-aws-ec2-metadata-token", token.as_str());
        let bad = ("x-aws-ec2-metadata-token", "bad");
        let late = NOW + Span::from_secs(60);
        let forwarded = ("x-forwarded-for", "10.0.0.1");
        let long = ("x-aws-ec2-metadata-token-ttl-seconds", "21601");
        type Headers<'a> = &'a [(&'static str, &'a str)];
        let cases: &[(&InstanceMetadata, Time, &str, Headers<'_>, u16)] = &[
            (&open, NOW, "GET /latest/meta-data/ami-id", &[], 200),
            (&open, NOW, "HEAD /latest/meta-data/ami-id", &[], 200),
            (&open, NOW, "GET /latest/meta-data/ami-id", &[good], 200),
            (&open, NOW, "GET /latest/meta-data/ami-id", &[bad], 401),
            (&closed, NOW, "GET /latest/meta-data/ami-id", &[], 401),
            (&closed, NOW, "GET /latest/meta-data/ami-id", &[good], 200),
            (&closed, NOW, "GET /latest/meta-data/ami-id", &[bad], 401),
            (&closed, late, "GET /latest/meta-data/ami-id", &[good], 401),
            (&other, NOW, "GET /latest/meta-data/ami-id", &[good], 401),
            (&closed, NOW, "GET /latest/meta-data/none", &[good], 404),
            (&closed, NOW, "GET /latest/meta-data/none", &[], 401),
            (&closed, NOW, "PUT /latest/api/token", &[], 400),
            (&closed, NOW, "PUT /latest/api/token", &[long], 400),
            (&closed, NOW, "PUT /latest/api/token", &[ttl, forwarded], 403),
            (&closed, NOW, "GET /latest/api/token", &[], 405),
            (&open, NOW, "POST /latest/meta-data/ami-id", &[], 405),
            (&open, NOW, "PUT /latest/meta-data/ami-id", &[], 405),
            (&off, NOW, "PUT /latest/api/token", &[ttl], 403),
            (&off, NOW, "GET /latest/meta-data/ami-id", &[], 403),
        ];
        for (view, now, request, headers, expect) in cases {
            let (status, body) = ask(view, &tokens, *now, request, headers);
            assert_eq!(status, *expect, "{request} {headers:?}: {body}");
        }
    }
}
