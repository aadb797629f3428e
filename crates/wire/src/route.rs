//! Which operation of which service an HTTP request means.

use capstan_shapes::{Operation, Protocol, Refusal, SERVICES, Service};

use crate::bucket_host;
use crate::error::Format;
use crate::form::Form;
use crate::rest::{self, Bound};

const FORM: &str = "application/x-www-form-urlencoded";

/// An HTTP request, seen without any HTTP library.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// `GET`, `POST` …
    pub method: &'a str,
    /// As it was sent, not decoded.
    pub path: &'a str,
    /// What stands after the `?`, without it.
    pub query: &'a str,
    /// A header's value; the name is given in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The headers whose names begin so, in lower case: what follows in the name, and the value.
    pub headers: &'a dyn Fn(&str) -> Vec<(String, String)>,
    pub body: &'a [u8],
}

/// The credential scope of SigV4, as claimed: nothing is verified here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub access_key: String,
    pub region: String,
    /// Signing name: `ecs`, `elasticloadbalancing`.
    pub service: String,
}

/// Where a request goes.
#[derive(Debug)]
pub struct Route {
    pub service: &'static Service,
    pub operation: &'static Operation,
    pub protocol: Protocol,
    /// `None` for a request without a signature.
    pub scope: Option<Scope>,
    /// The form of a query request; else empty.
    pub form: Form,
    /// What a REST request carries outside its body; else empty.
    pub bound: Bound,
}

/// A request for something that is not built, or that cannot be read.
#[derive(Debug)]
pub struct Unrouted {
    /// What its client reads.
    pub format: Format,
    pub refusal: Refusal,
    pub scope: Option<Scope>,
}

impl Unrouted {
    fn of(format: Format, refusal: Refusal, scope: Option<Scope>) -> Box<Self> {
        Box::new(Self { format, refusal, scope })
    }
}

/// Whether an AWS client may have sent this, which the head alone tells (the body is not looked at); a browser and a
/// health check have neither a signature nor a target nor a form.
pub fn is_aws(request: &Incoming<'_>) -> bool {
    let has = |name: &str| (request.header)(name).is_some();
    let is_named = |part: &str| part.starts_with("Action=") || part.starts_with("X-Amz-Credential=");
    !request.path.starts_with("/_")
        && (has("authorization")
            || has("x-amz-target")
            || has("smithy-protocol")
            || content_type(request).starts_with(FORM)
            || request.query.split('&').any(is_named)
            || is_object(request))
}

/// Whether the request is for S3, whose bodies are objects: longer than others, and kept as they are. The head alone tells.
pub fn is_s3(request: &Incoming<'_>) -> bool {
    let has = |name: &str| (request.header)(name).is_some();
    match scope(request) {
        Some(scope) => scope.service == "s3",
        None => {
            !has("x-amz-target")
                && !has("smithy-protocol")
                && !content_type(request).starts_with(FORM)
                && is_object(request)
        }
    }
}

/// Nothing but S3 has names for paths: an unsigned request for one asks S3, as one for a bucket's host does.
fn is_object(request: &Incoming<'_>) -> bool {
    request.path.len() > 1 || bucket_host::bucket(request).is_some()
}

/// Finds the operation by the path of rpc-v2-cbor, by `X-Amz-Target`, by method and path of a service that speaks REST, or
/// by `Action` and `Version`; what is none of these asks S3 when it may.
pub fn route(request: &Incoming<'_>) -> Result<Route, Box<Unrouted>> {
    let scope = scope(request);
    if let Some((target, operation)) = cbor_path(request) {
        let service = SERVICES.iter().find(|service| service.target == target);
        let format = Format::Cbor { query_compatible: false };
        return found(
            service.copied(),
            target,
            operation,
            Protocol::RpcV2Cbor,
            format,
            scope,
            Form::default(),
        );
    }
    if let Some(target) = (request.header)("x-amz-target") {
        let (prefix, operation) = target.rsplit_once('.').unwrap_or((target, ""));
        let service = SERVICES.iter().find(|service| !service.target.is_empty() && service.target == prefix);
        let version = if content_type(request).ends_with("1.0") { "1.0" } else { "1.1" };
        let format = Format::Json { version, query_compatible: false };
        let prefix = claimed(scope.as_ref(), prefix);
        return found(
            service.copied(),
            &prefix,
            operation,
            Protocol::AwsJson,
            format,
            scope,
            Form::default(),
        );
    }
    if let Some(service) = scope.as_ref().and_then(rest_service) {
        return rest_route(service, request, scope);
    }
    let format = query_format(scope.as_ref());
    let mut form = match form(request) {
        Ok(form) => form,
        Err(refusal) => return Err(Unrouted::of(format, refusal, scope)),
    };
    if let Some(operation) = form.get("Action").filter(|action| !action.is_empty()).map(str::to_owned) {
        let version = form.get("Version").unwrap_or_default();
        let service = query_service(scope.as_ref(), version);
        let signing = scope.as_ref().map_or("version", |scope| scope.service.as_str());
        let name = format!("{signing} {version}");
        let protocol = match service {
            Some(service) if service.protocols.contains(&Protocol::Ec2Query) => Protocol::Ec2Query,
            _ => Protocol::AwsQuery,
        };
        if service.is_some_and(|service| service.name == "sqs") {
            // Calls may go to the queue's own URL, and then need not name it again.
            form.or_default("QueueUrl", request.path);
        }
        return found(service, &name, &operation, protocol, format, scope, form);
    }
    if scope.is_none() && is_object(request) {
        return rest_route(&capstan_shapes::s3::SERVICE, request, None);
    }
    match scope {
        Some(scope) if !content_type(request).starts_with(FORM) => {
            let format = match scope.service.as_str() {
                "route53" | "cloudfront" => Format::RestXml,
                _ => Format::Json { version: "", query_compatible: false },
            };
            let refusal = not_built(&scope.service, "");
            Err(Unrouted::of(format, refusal, Some(scope)))
        }
        scope => {
            let message = "Name an operation by Action and Version, or by the header X-Amz-Target.";
            Err(Unrouted::of(format, Refusal::new("MissingAction", message), scope))
        }
    }
}

/// The name of a service that is not built: of the signature, else as the request has it.
fn claimed(scope: Option<&Scope>, name: &str) -> String {
    scope.map_or_else(|| name.to_owned(), |scope| scope.service.clone())
}

/// `format`: what the client reads when there is no such service.
fn found(
    service: Option<&'static Service>,
    name: &str,
    operation: &str,
    protocol: Protocol,
    format: Format,
    scope: Option<Scope>,
    form: Form,
) -> Result<Route, Box<Unrouted>> {
    let Some(service) = service else {
        return Err(Unrouted::of(format, not_built(name, operation), scope));
    };
    let format = Format::of(service, protocol);
    if !service.protocols.contains(&protocol) {
        let refusal = Refusal::new(
            "UnknownOperationException",
            format!("The service {} does not speak this protocol.", service.name),
        );
        return Err(Unrouted::of(format, refusal, scope));
    }
    match service.operation(operation) {
        Some(operation) => Ok(Route { service, operation, protocol, scope, form, bound: Bound::new() }),
        None => Err(Unrouted::of(format, not_built(service.name, operation), scope)),
    }
}

/// Paths of different services may be the same: the signature tells whose it is.
fn rest_service(scope: &Scope) -> Option<&'static Service> {
    let speaks = |service: &&Service| rest_protocol(service).is_some();
    SERVICES.iter().copied().filter(speaks).find(|service| service.signing == scope.service)
}

fn rest_protocol(service: &Service) -> Option<Protocol> {
    let is_rest = |protocol: &&Protocol| matches!(protocol, Protocol::RestJson | Protocol::RestXml);
    service.protocols.iter().find(is_rest).copied()
}

fn rest_route(
    service: &'static Service,
    request: &Incoming<'_>,
    scope: Option<Scope>,
) -> Result<Route, Box<Unrouted>> {
    let protocol = rest_protocol(service).unwrap_or(Protocol::RestJson);
    let path = match protocol {
        Protocol::RestXml => bucket_host::path(request),
        _ => request.path.into(),
    };
    let refusal = match rest::find(service, request, &path) {
        Some(Ok((rest, bound))) => match service.operation(rest.operation) {
            Some(operation) => {
                return Ok(Route { service, operation, protocol, scope, form: Form::default(), bound });
            }
            None => not_built(service.name, rest.operation),
        },
        Some(Err(refusal)) => refusal,
        None => not_built(service.name, &format!("{} {}", request.method, request.path)),
    };
    Err(Unrouted::of(Format::of(service, protocol), refusal, scope))
}

/// Honest coverage: what is not built says so.
fn not_built(service: &str, operation: &str) -> Refusal {
    let what = match operation {
        "" => format!("The service {service} is not built"),
        _ => format!("The operation {operation} of {service} is not built"),
    };
    let message = format!("{what}. GET /_capstan/coverage lists the operations that are.");
    Refusal::new("NotImplemented", message).with_status(501)
}

fn cbor_path<'a>(request: &Incoming<'a>) -> Option<(&'a str, &'a str)> {
    if (request.header)("smithy-protocol") != Some("rpc-v2-cbor") {
        return None;
    }
    let (_, rest) = request.path.split_once("/service/")?;
    rest.split_once("/operation/")
}

fn content_type<'a>(request: &Incoming<'a>) -> &'a str {
    (request.header)("content-type").unwrap_or_default()
}

/// The pairs of the query string and, when it is a form, of the body.
fn form(request: &Incoming<'_>) -> Result<Form, Refusal> {
    let mut form = Form::parse(request.query.as_bytes())?;
    let is_form = content_type(request).starts_with(FORM);
    if is_form {
        form.extend(Form::parse(request.body)?);
    }
    Ok(form)
}

/// By signing name, else by version: each service has its own. Classic load balancers share the signing name of the
/// newer ones and differ in the version.
fn query_service(scope: Option<&Scope>, version: &str) -> Option<&'static Service> {
    let mut services = SERVICES.iter().copied().filter(|service| {
        service.protocols.iter().any(|protocol| matches!(protocol, Protocol::AwsQuery | Protocol::Ec2Query))
    });
    match scope {
        None => services.find(|service| service.version == version),
        Some(scope) => services.find(|service| {
            let same_version = version.is_empty() || service.version == version || service.name == "ec2";
            service.signing == scope.service && same_version
        }),
    }
}

fn query_format(scope: Option<&Scope>) -> Format {
    match scope {
        Some(scope) if scope.service == "ec2" => Format::Ec2,
        _ => Format::Query { xmlns: "http://webservices.amazon.com/AWSFault/2005-15-09" },
    }
}

/// From `Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/ecs/aws4_request, …` or from the
/// `X-Amz-Credential` of a presigned URL.
fn scope(request: &Incoming<'_>) -> Option<Scope> {
    let from_header = (request.header)("authorization").and_then(|header| {
        let rest = &header[header.find("Credential=")? + "Credential=".len()..];
        parse_scope(rest.split([',', ' ']).next()?)
    });
    from_header.or_else(|| {
        let part = request.query.split('&').find_map(|part| part.strip_prefix("X-Amz-Credential="))?;
        parse_scope(&part.replace("%2F", "/").replace("%2f", "/"))
    })
}

/// From the right, because access key ids may in principle contain a slash.
fn parse_scope(credential: &str) -> Option<Scope> {
    let mut parts = credential.rsplitn(5, '/');
    let (_, service, region, _, access_key) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Scope { access_key: access_key.to_owned(), region: region.to_owned(), service: service.to_owned() })
}
