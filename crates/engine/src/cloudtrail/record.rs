//! One record: what it says, and its JSON (CloudTrail guide, record contents).

use capstan_model::Time;
use capstan_shapes::{Refusal, Request, Response, SERVICES};
use serde_json::{Map, Value as Json, json};

use super::render;
use crate::{Caller, Engine};

#[derive(Clone, Debug)]
pub struct Record {
    /// Its place among all records.
    pub serial: u64,
    pub time: Time,
    /// `None` when a service acted by itself.
    pub caller: Option<Caller>,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Call {
        request: Box<Request>,
        /// Of a call that changed something.
        response: Option<Box<Response>>,
        refused: Option<Refusal>,
    },
    Service {
        /// `ec2`
        source: &'static str,
        name: &'static str,
        details: Json,
    },
}

/// `readOnly`: operations that begin with one of these verbs only read.
pub(super) fn is_read_only(operation: &str) -> bool {
    const VERBS: [&str; 9] =
        ["BatchGet", "Describe", "Discover", "Filter", "Get", "List", "Lookup", "Search", "Test"];
    VERBS.iter().any(|verb| operation.starts_with(verb))
}

impl Record {
    pub fn name(&self) -> &'static str {
        match &self.what {
            What::Call { request, .. } => request.operation().name,
            What::Service { name, .. } => name,
        }
    }

    pub fn is_read_only(&self) -> bool {
        matches!(&self.what, What::Call { .. }) && is_read_only(self.name())
    }

    /// `ecs.amazonaws.com`
    pub fn source(&self) -> String {
        let endpoint = match &self.what {
            What::Call { request, .. } => request.service().endpoint,
            What::Service { source, .. } => source,
        };
        format!("{endpoint}.amazonaws.com")
    }

    /// On EventBridge: `aws.` and the name under which calls to the service are signed (`aws.ecs`, `aws.monitoring`).
    pub(super) fn bus_source(&self) -> String {
        let signing = match &self.what {
            What::Call { request, .. } => request.service().signing,
            What::Service { source, .. } => {
                let service = SERVICES.iter().find(|service| service.name == *source);
                service.map_or(*source, |service| service.signing)
            }
        };
        format!("aws.{signing}")
    }

    /// A UUID that follows from the record's place: nothing needs to be drawn or kept for it.
    pub fn event_id(&self, seed: u64) -> String {
        uuid(self.serial, seed, 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }

    fn request_id(&self, seed: u64) -> String {
        uuid(self.serial, seed, 0xda94_2042_e4dd_58b5_bf58_476d_1ce4_e5b9)
    }

    pub(super) fn access_key(&self) -> Option<&str> {
        match &self.caller {
            Some(Caller::User { access_key }) => {
                Some(access_key).filter(|key| !key.is_empty()).map(String::as_str)
            }
            _ => None,
        }
    }

    pub(super) fn username(&self, cx: &Engine) -> Option<String> {
        let (id, arn) = crate::sts::identity(cx, self.caller.as_ref()?);
        let session = id.split_once(':').map(|(_, session)| session);
        let user = arn.split_once(":user/").and_then(|(_, user)| user.rsplit('/').next());
        Some(session.or(user).unwrap_or("root").to_owned())
    }
}

/// Odd multipliers permute the numbers, so that neighbours do not look alike.
fn uuid(serial: u64, seed: u64, odd: u128) -> String {
    let number = (u128::from(seed) << 64 | u128::from(serial)).wrapping_mul(odd);
    let number = (number ^ number >> 64).wrapping_mul(odd);
    let bits = number & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The record as LookupEvents and EventBridge show it.
pub(super) fn json(cx: &Engine, record: &Record) -> Json {
    let seed = cx.config.seed;
    let (region, account) = (cx.config.region.name, cx.config.account.as_str());
    let mut json = Map::new();
    let mut put = |name: &str, value: Json| drop(json.insert(name.to_owned(), value));
    match (&record.what, &record.caller) {
        (What::Call { request, response, refused }, Some(caller)) => {
            put("eventVersion", "1.08".into());
            put("userIdentity", identity(cx, caller, record.time));
            put("eventTime", record.time.iso_secs().into());
            put("eventSource", record.source().into());
            put("eventName", record.name().into());
            put("awsRegion", region.into());
            let (address, agent) = origin(cx, caller);
            put("sourceIPAddress", address.into());
            put("userAgent", agent.into());
            let service = request.service();
            if let Some(refusal) = refused {
                // EC2 says whose fault it was.
                let side = match service.name {
                    "ec2" if refusal.status < 500 => "Client.",
                    "ec2" => "Server.",
                    _ => "",
                };
                put("errorCode", format!("{side}{}", refusal.shape).into());
                put("errorMessage", refusal.message.as_str().into());
            }
            put("requestParameters", render::request(request));
            put(
                "responseElements",
                response.as_ref().map_or(Json::Null, |response| render::response(service.name, response)),
            );
            put("requestID", record.request_id(seed).into());
            put("eventID", record.event_id(seed).into());
            put("readOnly", record.is_read_only().into());
            put("eventType", "AwsApiCall".into());
            // Query services name the version of their API.
            if service.target.is_empty() && service.name != "ec2" {
                put("apiVersion", service.version.into());
            }
            put("managementEvent", true.into());
            put("recipientAccountId", account.into());
            put("eventCategory", "Management".into());
        }
        (What::Service { details, .. }, _) => {
            // As the EC2 guide prints BidEvictedEvent, capitals included.
            let source = record.source();
            put("eventVersion", "1.05".into());
            put("userIdentity", json!({ "accountId": account, "invokedBy": source }));
            put("eventTime", record.time.iso_secs().into());
            put("eventSource", source.clone().into());
            put("userAgent", source.clone().into());
            put("sourceIPAddress", source.into());
            put("eventName", record.name().into());
            put("awsRegion", region.into());
            put("eventID", record.event_id(seed).into());
            put("eventType", "AwsServiceEvent".into());
            put("recipientAccountId", account.into());
            put("RequestParameters", Json::Null);
            put("ResponseElements", Json::Null);
            put("serviceEventDetails", details.clone());
        }
        (What::Call { .. }, None) => {}
    }
    Json::Object(json)
}

/// Where a call came from. The server listens on loopback addresses only; what a client calls itself is not kept.
fn origin(cx: &Engine, caller: &Caller) -> (String, String) {
    match caller {
        Caller::User { .. } => ("127.0.0.1".to_owned(), "-".to_owned()),
        Caller::Service(name) => ((*name).to_owned(), (*name).to_owned()),
        Caller::Agent(id) => {
            let address = cx.ec2.instances().get(id).map(|instance| instance.private_ip.to_string());
            (address.unwrap_or_else(|| "127.0.0.1".to_owned()), "amazon-ecs-agent".to_owned())
        }
    }
}

/// `userIdentity`: the account itself, or the session of a role with the role that issued it.
fn identity(cx: &Engine, caller: &Caller, time: Time) -> Json {
    let (id, arn) = crate::sts::identity(cx, caller);
    let account = cx.config.account.as_str();
    match caller {
        Caller::User { access_key } if !arn.contains(":assumed-role/") => {
            let user = arn.split_once(":user/").and_then(|(_, user)| user.rsplit('/').next());
            let mut identity = json!({
                "type": if user.is_some() { "IAMUser" } else { "Root" },
                "principalId": id,
                "arn": arn,
                "accountId": account,
                "accessKeyId": access_key,
            });
            if let Some(user) = user {
                identity["userName"] = user.into();
            }
            identity
        }
        caller => {
            // arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
            let role = arn.split('/').nth(1).unwrap_or_default();
            let issuer = match (caller, cx.iam.role(role)) {
                (_, Some(role)) => role.identity.arn.clone(),
                (Caller::Service(name), None) => {
                    format!("arn:aws:iam::{account}:role/aws-service-role/{name}/{role}")
                }
                (_, None) => format!("arn:aws:iam::{account}:role/{role}"),
            };
            let mut identity = json!({
                "type": "AssumedRole",
                "principalId": id,
                "arn": arn,
                "accountId": account,
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role",
                        "principalId": id.split(':').next(),
                        "arn": issuer,
                        "accountId": account,
                        "userName": role,
                    },
                    "attributes": { "creationDate": time.iso_secs(), "mfaAuthenticated": "false" },
                },
            });
            match caller {
                Caller::Service(name) => identity["invokedBy"] = (*name).into(),
                Caller::User { access_key } => identity["accessKeyId"] = access_key.as_str().into(),
                Caller::Agent(_) => {}
            }
            identity
        }
    }
}
