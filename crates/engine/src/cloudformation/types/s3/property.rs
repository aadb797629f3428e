//! The properties of a bucket as calls: each has its own operation, and names of its own.

use capstan_shapes::s3 as shapes;
use capstan_shapes::{Call, Refusal};
use serde_json::{Map, Value as Json, json};

use super::super::super::resource::{Resource, call, scalar, shape_of};
use crate::Engine;

/// Properties that are refused, because S3 has no operations for them here.
const NOT_BUILT: [&str; 9] = [
    "AbacStatus",
    "AnalyticsConfigurations",
    "BucketNamePrefix",
    "BucketNamespace",
    "IntelligentTieringConfigurations",
    "InventoryConfigurations",
    "MetadataConfiguration",
    "MetadataTableConfiguration",
    "MetricsConfigurations",
];

type Set = fn(&mut Engine, &str, Option<&Json>) -> Result<(), Refusal>;

/// In the order in which they are set: versioning comes before what needs it, ownership before access control lists.
const PROPERTIES: [(&str, Set); 13] = [
    ("VersioningConfiguration", versioning),
    ("OwnershipControls", ownership),
    ("PublicAccessBlockConfiguration", public_access_block),
    ("AccessControl", access_control),
    ("BucketEncryption", encryption),
    ("LifecycleConfiguration", lifecycle),
    ("AccelerateConfiguration", accelerate),
    ("CorsConfiguration", cors),
    ("LoggingConfiguration", logging),
    ("NotificationConfiguration", notification),
    ("ObjectLockConfiguration", object_lock),
    ("ReplicationConfiguration", replication),
    ("WebsiteConfiguration", website),
];

pub(super) fn check(resource: &Resource) -> Result<(), Refusal> {
    match NOT_BUILT.iter().find(|name| resource.get(name).is_some()) {
        Some(name) => Err(Refusal::new(
            "InvalidRequest",
            format!(
                "The property {name} of AWS::S3::Bucket is not built; GET /_capstan/coverage lists what is."
            ),
        )),
        None => Ok(()),
    }
}

/// Sets what the template says, or says otherwise than before; what it says no more goes back to what it is by itself.
pub(super) fn apply(
    cx: &mut Engine,
    bucket: &str,
    old: Option<&Resource>,
    new: &Resource,
) -> Result<(), Refusal> {
    for (name, set) in PROPERTIES {
        let before = old.and_then(|old| old.get(name));
        if before != new.get(name) {
            set(cx, bucket, new.get(name))?;
        }
    }
    Ok(())
}

/// Makes the call with the bucket and the document as its member.
fn put<C: Call + Clone>(cx: &mut Engine, bucket: &str, member: &str, document: Json) -> Result<(), Refusal> {
    let request: C = shape_of(C::INPUT, &json!({ "Bucket": bucket, member: document }))?;
    call(cx, request).map(drop)
}

/// The same with the bucket alone.
fn bare<C: Call + Clone>(cx: &mut Engine, bucket: &str) -> Result<(), Refusal> {
    let request: C = shape_of(C::INPUT, &json!({ "Bucket": bucket }))?;
    call(cx, request).map(drop)
}

/// The document with other names, at any depth.
fn renamed(json: &Json, names: &[(&str, &str)]) -> Json {
    match json {
        Json::Object(members) => {
            let member = |(name, value): (&String, &Json)| {
                let other = names.iter().find(|(from, _)| from == name).map_or(name.as_str(), |(_, to)| to);
                (other.to_owned(), renamed(value, names))
            };
            Json::Object(members.iter().map(member).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(|item| renamed(item, names)).collect()),
        other => other.clone(),
    }
}

fn items<'a>(json: &'a Json, name: &str) -> impl Iterator<Item = &'a Json> {
    json.get(name).and_then(Json::as_array).into_iter().flatten()
}

fn versioning(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    // Versioning cannot be undone, only suspended.
    let document = value.cloned().unwrap_or_else(|| json!({ "Status": "Suspended" }));
    put::<shapes::PutBucketVersioningRequest>(cx, bucket, "VersioningConfiguration", document)
}

fn ownership(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    match value {
        Some(value) => {
            put::<shapes::PutBucketOwnershipControlsRequest>(cx, bucket, "OwnershipControls", value.clone())
        }
        None => bare::<shapes::DeleteBucketOwnershipControlsRequest>(cx, bucket),
    }
}

fn public_access_block(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let member = "PublicAccessBlockConfiguration";
    match value {
        Some(value) => put::<shapes::PutPublicAccessBlockRequest>(cx, bucket, member, value.clone()),
        None => bare::<shapes::DeletePublicAccessBlockRequest>(cx, bucket),
    }
}

/// `PublicRead` → `public-read`
fn access_control(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let name = value.map(scalar).unwrap_or_else(|| "Private".to_owned());
    let mut canned = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !canned.is_empty() {
            canned.push('-');
        }
        canned.push(c.to_ascii_lowercase());
    }
    let Some(acl) = shapes::BucketCannedACL::parse(&canned) else {
        let message = format!(
            "AccessControl {name} is not built: use Private, PublicRead, PublicReadWrite or AuthenticatedRead."
        );
        return Err(Refusal::new("InvalidRequest", message));
    };
    let request =
        shapes::PutBucketAclRequest { bucket: bucket.to_owned(), acl: Some(acl), ..Default::default() };
    // What every bucket has is not asked for: a bucket whose owner is enforced takes no lists.
    if value.is_none() { Ok(()) } else { call(cx, request).map(drop) }
}

fn encryption(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let Some(value) = value else { return bare::<shapes::DeleteBucketEncryptionRequest>(cx, bucket) };
    let names = [
        ("ServerSideEncryptionByDefault", "ApplyServerSideEncryptionByDefault"),
        ("ServerSideEncryptionConfiguration", "Rules"),
    ];
    let member = "ServerSideEncryptionConfiguration";
    put::<shapes::PutBucketEncryptionRequest>(cx, bucket, member, renamed(value, &names))
}

fn lifecycle(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let Some(value) = value else { return bare::<shapes::DeleteBucketLifecycleRequest>(cx, bucket) };
    let rules: Vec<Json> = items(value, "Rules").map(rule).collect();
    let mut document = json!({ "Bucket": bucket, "LifecycleConfiguration": { "Rules": rules } });
    if let Some(minimum) = value.get("TransitionDefaultMinimumObjectSize") {
        document["TransitionDefaultMinimumObjectSize"] = minimum.clone();
    }
    let request: shapes::PutBucketLifecycleConfigurationRequest =
        shape_of(shapes::PutBucketLifecycleConfigurationRequest::INPUT, &document)?;
    call(cx, request).map(drop)
}

/// A template's rule is flatter than S3's.
fn rule(rule: &Json) -> Json {
    let get = |name: &str| rule.get(name).filter(|value| !value.is_null()).cloned();
    let mut made = Map::new();
    let mut set = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            made.insert(name.to_owned(), value);
        }
    };
    set("ID", get("Id"));
    set("Status", get("Status"));
    let mut filter = Map::new();
    for (from, to) in [
        ("Prefix", "Prefix"),
        ("ObjectSizeGreaterThan", "ObjectSizeGreaterThan"),
        ("ObjectSizeLessThan", "ObjectSizeLessThan"),
        ("TagFilters", "Tags"),
    ] {
        if let Some(value) = get(from) {
            filter.insert(to.to_owned(), value);
        }
    }
    // One condition stands by itself, more stand together; tags are always together.
    let alone = filter.len() <= 1 && !filter.contains_key("Tags");
    set("Filter", Some(if alone { Json::Object(filter) } else { json!({ "And": filter }) }));
    let expiration: Map<String, Json> = [
        ("ExpirationDate", "Date"),
        ("ExpirationInDays", "Days"),
        ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
    ]
    .into_iter()
    .filter_map(|(from, to)| Some((to.to_owned(), get(from)?)))
    .collect();
    set("Expiration", (!expiration.is_empty()).then_some(Json::Object(expiration)));
    let names = [("TransitionDate", "Date"), ("TransitionInDays", "Days"), ("Glacier", "GLACIER")];
    let transitions: Vec<Json> = one_and_more(rule, "Transition", "Transitions", &names);
    set("Transitions", (!transitions.is_empty()).then_some(Json::Array(transitions)));
    let names = [("TransitionInDays", "NoncurrentDays")];
    let transitions =
        one_and_more(rule, "NoncurrentVersionTransition", "NoncurrentVersionTransitions", &names);
    set("NoncurrentVersionTransitions", (!transitions.is_empty()).then_some(Json::Array(transitions)));
    let days = get("NoncurrentVersionExpirationInDays").map(|days| json!({ "NoncurrentDays": days }));
    set("NoncurrentVersionExpiration", get("NoncurrentVersionExpiration").or(days));
    set("AbortIncompleteMultipartUpload", get("AbortIncompleteMultipartUpload"));
    Json::Object(made)
}

/// What an older property says once and a newer one in a list.
fn one_and_more(rule: &Json, one: &str, more: &str, names: &[(&str, &str)]) -> Vec<Json> {
    let one = rule.get(one).filter(|value| !value.is_null());
    one.into_iter().chain(items(rule, more)).map(|item| renamed(item, names)).collect()
}

fn accelerate(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let status = value.and_then(|value| value.get("AccelerationStatus")).cloned();
    let document = json!({ "Status": status.unwrap_or_else(|| json!("Suspended")) });
    put::<shapes::PutBucketAccelerateConfigurationRequest>(cx, bucket, "AccelerateConfiguration", document)
}

fn cors(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let Some(value) = value else { return bare::<shapes::DeleteBucketCorsRequest>(cx, bucket) };
    let names =
        [("CorsRules", "CORSRules"), ("ExposedHeaders", "ExposeHeaders"), ("MaxAge", "MaxAgeSeconds")];
    put::<shapes::PutBucketCorsRequest>(cx, bucket, "CORSConfiguration", renamed(value, &names))
}

fn logging(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let document = value.map_or_else(
        || json!({}),
        |value| {
            let target = value.get("DestinationBucketName").cloned().unwrap_or_else(|| json!(bucket));
            let prefix = value.get("LogFilePrefix").cloned().unwrap_or_else(|| json!(""));
            let mut enabled = json!({ "TargetBucket": target, "TargetPrefix": prefix });
            if let Some(format) = value.get("TargetObjectKeyFormat") {
                enabled["TargetObjectKeyFormat"] = format.clone();
            }
            json!({ "LoggingEnabled": enabled })
        },
    );
    put::<shapes::PutBucketLoggingRequest>(cx, bucket, "BucketLoggingStatus", document)
}

fn notification(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let empty = json!({});
    let value = value.unwrap_or(&empty);
    let made = |list: &str, target: &str, arn: &str| -> Vec<Json> {
        let one = |item: &Json| {
            let mut made = json!({ arn: item[target], "Events": [item["Event"]] });
            let rules = item.pointer("/Filter/S3Key/Rules").cloned();
            if let Some(rules) = rules {
                let names = [("Prefix", "prefix"), ("Suffix", "suffix")];
                let rules: Vec<Json> = rules
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|rule| {
                        let name = scalar(&rule["Name"]);
                        let name =
                            names.iter().find(|(from, _)| *from == name).map_or(name.as_str(), |(_, to)| to);
                        json!({ "Name": name, "Value": rule["Value"] })
                    })
                    .collect();
                made["Filter"] = json!({ "Key": { "FilterRules": rules } });
            }
            made
        };
        items(value, list).map(one).collect()
    };
    let mut document = json!({
        "TopicConfigurations": made("TopicConfigurations", "Topic", "TopicArn"),
        "QueueConfigurations": made("QueueConfigurations", "Queue", "QueueArn"),
        "LambdaFunctionConfigurations": made("LambdaConfigurations", "Function", "LambdaFunctionArn"),
    });
    if let Some(bridge) = value.get("EventBridgeConfiguration")
        && bridge.get("EventBridgeEnabled") != Some(&json!(false))
    {
        document["EventBridgeConfiguration"] = json!({});
    }
    put::<shapes::PutBucketNotificationConfigurationRequest>(
        cx,
        bucket,
        "NotificationConfiguration",
        document,
    )
}

fn object_lock(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let document = value.cloned().unwrap_or_else(|| json!({ "ObjectLockEnabled": "Enabled" }));
    put::<shapes::PutObjectLockConfigurationRequest>(cx, bucket, "ObjectLockConfiguration", document)
}

fn replication(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let Some(value) = value else { return bare::<shapes::DeleteBucketReplicationRequest>(cx, bucket) };
    let names = [("TagFilters", "Tags"), ("TagFilter", "Tag")];
    let member = "ReplicationConfiguration";
    put::<shapes::PutBucketReplicationRequest>(cx, bucket, member, renamed(value, &names))
}

fn website(cx: &mut Engine, bucket: &str, value: Option<&Json>) -> Result<(), Refusal> {
    let Some(value) = value else { return bare::<shapes::DeleteBucketWebsiteRequest>(cx, bucket) };
    let mut document = renamed(value, &[("RedirectRule", "Redirect"), ("RoutingRuleCondition", "Condition")]);
    for (name, member) in [("IndexDocument", "Suffix"), ("ErrorDocument", "Key")] {
        if let Some(text) = value.get(name).filter(|text| text.is_string()) {
            document[name] = json!({ member: text });
        }
    }
    put::<shapes::PutBucketWebsiteRequest>(cx, bucket, "WebsiteConfiguration", document)
}
