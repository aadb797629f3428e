//! What a bucket is set to, each with its Get, Put and Delete. All of it is kept as it came and shown; what is not set has an
//! error of its own, by which clients tell.

use std::sync::Arc;

use capstan_shapes::{Refusal, s3 as shapes};

use super::bucket::owned;
use super::error::{invalid_argument, malformed, not_configured};
use crate::policy::Policy;
use crate::{Caller, Engine};

/// Bytes of a bucket policy (S3 User Guide).
const POLICY_BYTES_MAX: usize = 20 * 1024;

#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub accelerate: Option<shapes::BucketAccelerateStatus>,
    /// `None`: the owner may do everything, nobody else anything.
    pub acl: Option<Vec<shapes::Grant>>,
    pub cors: Option<shapes::CORSConfiguration>,
    /// No bucket is without.
    pub encryption: shapes::ServerSideEncryptionConfiguration,
    pub lifecycle: Option<shapes::BucketLifecycleConfiguration>,
    pub transition_minimum: Option<shapes::TransitionDefaultMinimumObjectSize>,
    pub logging: Option<shapes::LoggingEnabled>,
    pub notification: shapes::NotificationConfiguration,
    pub object_lock: Option<shapes::ObjectLockConfiguration>,
    pub ownership: Option<shapes::OwnershipControls>,
    pub payer: Option<shapes::Payer>,
    pub policy: Option<String>,
    pub public_access_block: Option<shapes::PublicAccessBlockConfiguration>,
    pub replication: Option<shapes::ReplicationConfiguration>,
    pub tags: Option<Vec<shapes::Tag>>,
    pub website: Option<shapes::WebsiteConfiguration>,
}

impl Settings {
    /// What a new bucket has: since April 2023 the owner is enforced and public access is blocked, since January 2023
    /// everything is encrypted (S3 User Guide).
    pub(super) fn fresh(ownership: Option<shapes::ObjectOwnership>, object_lock: Option<bool>) -> Self {
        let object_ownership = ownership.unwrap_or(shapes::ObjectOwnership::BucketOwnerEnforced);
        let rules = vec![shapes::OwnershipControlsRule { object_ownership }];
        let lock = shapes::ObjectLockConfiguration {
            object_lock_enabled: Some(shapes::ObjectLockEnabled::Enabled),
            rule: None,
        };
        Self {
            encryption: default_encryption(),
            object_lock: (object_lock == Some(true)).then_some(lock),
            ownership: Some(shapes::OwnershipControls { rules }),
            public_access_block: Some(shapes::PublicAccessBlockConfiguration {
                block_public_acls: Some(true),
                ignore_public_acls: Some(true),
                block_public_policy: Some(true),
                restrict_public_buckets: Some(true),
            }),
            ..Self::default()
        }
    }
}

fn default_encryption() -> shapes::ServerSideEncryptionConfiguration {
    let by_default = shapes::ServerSideEncryptionByDefault {
        sse_algorithm: shapes::ServerSideEncryption::Aes256,
        kms_master_key_id: None,
    };
    let rule = shapes::ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(by_default),
        bucket_key_enabled: Some(false),
        blocked_encryption_types: None,
    };
    shapes::ServerSideEncryptionConfiguration { rules: vec![rule] }
}

/// `put!(name, Operation, |cx, request| checked value => field)`: sets one field of the settings.
macro_rules! put {
    ($name:ident, $request:ident, $response:ident, |$cx:ident, $given:ident| $value:expr => $field:ident) => {
        pub(super) fn $name(
            $cx: &mut Engine,
            _caller: &Caller,
            $given: shapes::$request,
        ) -> Result<shapes::$response, Refusal> {
            owned($cx, &$given.bucket, $given.expected_bucket_owner.as_deref())?;
            let bucket: Arc<str> = $given.bucket.as_str().into();
            let value = $value;
            if let Some(mut bucket) = $cx.s3.buckets.edit(&bucket) {
                bucket.settings.$field = value;
            }
            Ok(shapes::$response::default())
        }
    };
}

/// `get!(name, Request, Response, |settings, bucket| response)`: shows something of the settings.
macro_rules! get {
    ($name:ident, $request:ident, $response:ident, |$settings:ident, $bucket:ident| $shown:expr) => {
        pub(super) fn $name(
            cx: &mut Engine,
            _caller: &Caller,
            request: shapes::$request,
        ) -> Result<shapes::$response, Refusal> {
            let $bucket = request.bucket.as_str();
            let $settings = owned(cx, $bucket, request.expected_bucket_owner.as_deref())?.settings.clone();
            $shown
        }
    };
}

put!(put_accelerate, PutBucketAccelerateConfigurationRequest, PutBucketAccelerateConfigurationResponse,
    |cx, request| request.accelerate_configuration.status => accelerate);
get!(
    get_accelerate,
    GetBucketAccelerateConfigurationRequest,
    GetBucketAccelerateConfigurationResponse,
    |settings, _bucket| Ok(shapes::GetBucketAccelerateConfigurationResponse {
        status: settings.accelerate,
        request_charged: None,
    })
);

put!(put_cors, PutBucketCorsRequest, PutBucketCorsResponse,
    |cx, request| Some(checked_cors(request.cors_configuration)?) => cors);
put!(delete_cors, DeleteBucketCorsRequest, DeleteBucketCorsResponse, |cx, request| None => cors);
get!(get_cors, GetBucketCorsRequest, GetBucketCorsResponse, |settings, bucket| {
    let message = "The CORS configuration does not exist";
    let cors = settings.cors.ok_or_else(|| not_configured("NoSuchCORSConfiguration", message, bucket))?;
    Ok(shapes::GetBucketCorsResponse { cors_rules: Some(cors.cors_rules) })
});

put!(put_encryption, PutBucketEncryptionRequest, PutBucketEncryptionResponse,
    |cx, request| checked_encryption(request.server_side_encryption_configuration)? => encryption);
put!(delete_encryption, DeleteBucketEncryptionRequest, DeleteBucketEncryptionResponse,
    |cx, request| default_encryption() => encryption);
get!(get_encryption, GetBucketEncryptionRequest, GetBucketEncryptionResponse, |settings, _bucket| {
    Ok(shapes::GetBucketEncryptionResponse {
        server_side_encryption_configuration: Some(settings.encryption),
    })
});

put!(put_logging, PutBucketLoggingRequest, PutBucketLoggingResponse,
    |cx, request| checked_logging(cx, request.bucket_logging_status.logging_enabled)? => logging);
get!(get_logging, GetBucketLoggingRequest, GetBucketLoggingResponse, |settings, _bucket| Ok(
    shapes::GetBucketLoggingResponse { logging_enabled: settings.logging }
));

put!(put_notification, PutBucketNotificationConfigurationRequest, PutBucketNotificationConfigurationResponse,
    |cx, request| named_notifications(cx, request.notification_configuration) => notification);
get!(
    get_notification,
    GetBucketNotificationConfigurationRequest,
    GetBucketNotificationConfigurationResponse,
    |settings, _bucket| {
        let shown = settings.notification;
        Ok(shapes::GetBucketNotificationConfigurationResponse {
            topic_configurations: shown.topic_configurations,
            queue_configurations: shown.queue_configurations,
            lambda_function_configurations: shown.lambda_function_configurations,
            event_bridge_configuration: shown.event_bridge_configuration,
        })
    }
);

put!(put_object_lock, PutObjectLockConfigurationRequest, PutObjectLockConfigurationResponse,
    |cx, request| Some(checked_lock(cx, &request.bucket, request.object_lock_configuration)?) => object_lock);
get!(
    get_object_lock,
    GetObjectLockConfigurationRequest,
    GetObjectLockConfigurationResponse,
    |settings, bucket| {
        let message = "Object Lock configuration does not exist for this bucket";
        let absent = || not_configured("ObjectLockConfigurationNotFoundError", message, bucket);
        let lock = settings.object_lock.ok_or_else(absent)?;
        Ok(shapes::GetObjectLockConfigurationResponse { object_lock_configuration: Some(lock) })
    }
);

put!(put_ownership, PutBucketOwnershipControlsRequest, PutBucketOwnershipControlsResponse,
    |cx, request| Some(checked_ownership(request.ownership_controls)?) => ownership);
put!(delete_ownership, DeleteBucketOwnershipControlsRequest, DeleteBucketOwnershipControlsResponse,
    |cx, request| None => ownership);
get!(
    get_ownership,
    GetBucketOwnershipControlsRequest,
    GetBucketOwnershipControlsResponse,
    |settings, bucket| {
        let message = "The bucket ownership controls were not found";
        let absent = || not_configured("OwnershipControlsNotFoundError", message, bucket);
        Ok(shapes::GetBucketOwnershipControlsResponse {
            ownership_controls: Some(settings.ownership.ok_or_else(absent)?),
        })
    }
);

put!(put_policy, PutBucketPolicyRequest, PutBucketPolicyResponse,
    |cx, request| Some(checked_policy(cx, &request.bucket, request.policy)?) => policy);
put!(delete_policy, DeleteBucketPolicyRequest, DeleteBucketPolicyResponse, |cx, request| None => policy);
get!(get_policy, GetBucketPolicyRequest, GetBucketPolicyResponse, |settings, bucket| {
    Ok(shapes::GetBucketPolicyResponse { policy: Some(settings.policy.ok_or_else(|| no_policy(bucket))?) })
});
get!(get_policy_status, GetBucketPolicyStatusRequest, GetBucketPolicyStatusResponse, |settings, bucket| {
    let policy = settings.policy.ok_or_else(|| no_policy(bucket))?;
    let policy_status = Some(shapes::PolicyStatus { is_public: Some(is_public(&policy)) });
    Ok(shapes::GetBucketPolicyStatusResponse { policy_status })
});

put!(put_public_access_block, PutPublicAccessBlockRequest, PutPublicAccessBlockResponse,
    |cx, request| Some(whole_block(request.public_access_block_configuration)) => public_access_block);
put!(delete_public_access_block, DeletePublicAccessBlockRequest, DeletePublicAccessBlockResponse,
    |cx, request| None => public_access_block);
get!(
    get_public_access_block,
    GetPublicAccessBlockRequest,
    GetPublicAccessBlockResponse,
    |settings, bucket| {
        let message = "The public access block configuration was not found";
        let absent = || not_configured("NoSuchPublicAccessBlockConfiguration", message, bucket);
        let block = settings.public_access_block.ok_or_else(absent)?;
        Ok(shapes::GetPublicAccessBlockResponse { public_access_block_configuration: Some(block) })
    }
);

put!(put_replication, PutBucketReplicationRequest, PutBucketReplicationResponse,
    |cx, request| Some(checked_replication(cx, &request.bucket, request.replication_configuration)?) => replication);
put!(delete_replication, DeleteBucketReplicationRequest, DeleteBucketReplicationResponse,
    |cx, request| None => replication);
get!(get_replication, GetBucketReplicationRequest, GetBucketReplicationResponse, |settings, bucket| {
    let message = "The replication configuration was not found";
    let absent = || not_configured("ReplicationConfigurationNotFoundError", message, bucket);
    Ok(shapes::GetBucketReplicationResponse {
        replication_configuration: Some(settings.replication.ok_or_else(absent)?),
    })
});

put!(put_request_payment, PutBucketRequestPaymentRequest, PutBucketRequestPaymentResponse,
    |cx, request| Some(request.request_payment_configuration.payer) => payer);
get!(
    get_request_payment,
    GetBucketRequestPaymentRequest,
    GetBucketRequestPaymentResponse,
    |settings, _bucket| {
        Ok(shapes::GetBucketRequestPaymentResponse {
            payer: Some(settings.payer.unwrap_or(shapes::Payer::BucketOwner)),
        })
    }
);

put!(put_website, PutBucketWebsiteRequest, PutBucketWebsiteResponse,
    |cx, request| Some(checked_website(request.website_configuration)?) => website);
put!(delete_website, DeleteBucketWebsiteRequest, DeleteBucketWebsiteResponse, |cx, request| None => website);
get!(get_website, GetBucketWebsiteRequest, GetBucketWebsiteResponse, |settings, bucket| {
    let message = "The specified bucket does not have a website configuration";
    let website =
        settings.website.ok_or_else(|| not_configured("NoSuchWebsiteConfiguration", message, bucket))?;
    Ok(shapes::GetBucketWebsiteResponse {
        redirect_all_requests_to: website.redirect_all_requests_to,
        index_document: website.index_document,
        error_document: website.error_document,
        routing_rules: website.routing_rules,
    })
});

fn no_policy(bucket: &str) -> Refusal {
    not_configured("NoSuchBucketPolicy", "The bucket policy does not exist", bucket)
}

fn checked_cors(cors: shapes::CORSConfiguration) -> Result<shapes::CORSConfiguration, Refusal> {
    if cors.cors_rules.is_empty() {
        return Err(malformed());
    }
    for rule in &cors.cors_rules {
        let known = ["GET", "PUT", "POST", "DELETE", "HEAD"];
        if let Some(method) = rule.allowed_methods.iter().find(|method| !known.contains(&method.as_str())) {
            let message =
                format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}");
            return Err(Refusal::new("InvalidRequest", message));
        }
        if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
            return Err(malformed());
        }
    }
    Ok(cors)
}

fn checked_encryption(
    mut encryption: shapes::ServerSideEncryptionConfiguration,
) -> Result<shapes::ServerSideEncryptionConfiguration, Refusal> {
    let [rule] = &mut encryption.rules[..] else { return Err(malformed()) };
    let by_default = rule.apply_server_side_encryption_by_default.as_ref().ok_or_else(malformed)?;
    if by_default.sse_algorithm == shapes::ServerSideEncryption::Aes256
        && by_default.kms_master_key_id.is_some()
    {
        let message =
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse";
        return Err(invalid_argument(message, "ApplyServerSideEncryptionByDefault", "AES256"));
    }
    rule.bucket_key_enabled = Some(rule.bucket_key_enabled.unwrap_or(false));
    Ok(encryption)
}

fn checked_logging(
    cx: &Engine,
    logging: Option<shapes::LoggingEnabled>,
) -> Result<Option<shapes::LoggingEnabled>, Refusal> {
    match &logging {
        Some(enabled) if !cx.s3.buckets.contains(&Arc::from(enabled.target_bucket.as_str())) => {
            Err(Refusal::new("InvalidTargetBucketForLogging", "The target bucket for logging does not exist"))
        }
        _ => Ok(logging),
    }
}

/// Each notification has an id, given or made.
fn named_notifications(
    cx: &mut Engine,
    mut given: shapes::NotificationConfiguration,
) -> shapes::NotificationConfiguration {
    let mut name = |id: &mut Option<String>| {
        if id.as_ref().is_none_or(String::is_empty) {
            *id = Some(cx.chance.uuid("s3.notification-id"));
        }
    };
    given.topic_configurations.iter_mut().flatten().for_each(|item| name(&mut item.id));
    given.queue_configurations.iter_mut().flatten().for_each(|item| name(&mut item.id));
    given.lambda_function_configurations.iter_mut().flatten().for_each(|item| name(&mut item.id));
    given
}

fn checked_lock(
    cx: &Engine,
    bucket: &str,
    lock: Option<shapes::ObjectLockConfiguration>,
) -> Result<shapes::ObjectLockConfiguration, Refusal> {
    let lock = lock.ok_or_else(malformed)?;
    let row = cx.s3.buckets.get(&Arc::from(bucket));
    if row.is_none_or(|row| row.versioning != Some(shapes::BucketVersioningStatus::Enabled)) {
        let message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
        return Err(Refusal::new("InvalidBucketState", message).with_status(409));
    }
    let retention = lock.rule.as_ref().and_then(|rule| rule.default_retention.as_ref());
    if retention.is_some_and(|retention| retention.days.is_some() == retention.years.is_some()) {
        return Err(malformed());
    }
    Ok(lock)
}

fn checked_ownership(controls: shapes::OwnershipControls) -> Result<shapes::OwnershipControls, Refusal> {
    if controls.rules.len() == 1 { Ok(controls) } else { Err(malformed()) }
}

fn checked_policy(cx: &Engine, bucket: &str, text: String) -> Result<String, Refusal> {
    let wrong = |message: String| Err(Refusal::new("MalformedPolicy", message));
    if text.len() > POLICY_BYTES_MAX {
        return Err(Refusal::new("PolicyTooLarge", "The policy exceeds the maximum allowed document size."));
    }
    if let Err(why) = Policy::parse(&text) {
        return wrong(format!("Policies must be valid JSON and the first byte must be '{{': {why}"));
    }
    let Ok(document) = serde_json::from_str::<serde_json::Value>(&text) else {
        return wrong("not JSON".to_owned());
    };
    // Every resource is the bucket or in it (S3 User Guide, bucket policies).
    let prefix = format!("arn:aws:s3:::{bucket}");
    for statement in one_or_more(&document["Statement"]) {
        for resource in one_or_more(&statement["Resource"]).iter().filter_map(serde_json::Value::as_str) {
            let rest = resource.strip_prefix(&prefix);
            if resource != "*"
                && rest.is_none_or(|rest| !rest.is_empty() && !rest.starts_with(['/', '*', '?']))
            {
                return wrong("Policy has invalid resource".to_owned());
            }
        }
    }
    let block =
        cx.s3.buckets.get(&Arc::from(bucket)).and_then(|row| row.settings.public_access_block.as_ref());
    if block.is_some_and(|block| block.block_public_policy == Some(true)) && is_public(&text) {
        let message = format!(
            "User is not authorized to perform: s3:PutBucketPolicy on resource: \"{prefix}\" because public policies are \
             prevented by the BlockPublicPolicy setting in S3 Block Public Access."
        );
        return Err(Refusal::new("AccessDenied", message).with_status(403));
    }
    Ok(text)
}

fn one_or_more(value: &serde_json::Value) -> &[serde_json::Value] {
    match value {
        serde_json::Value::Array(items) => items,
        serde_json::Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

/// Whether a statement allows something to everybody without a condition (S3 User Guide, "The meaning of public").
fn is_public(policy: &str) -> bool {
    let Ok(document) = serde_json::from_str::<serde_json::Value>(policy) else { return false };
    one_or_more(&document["Statement"]).iter().any(|statement| {
        let principal = &statement["Principal"];
        let everybody = |value: &serde_json::Value| one_or_more(value).iter().any(|name| name == "*");
        let is_open = everybody(principal) || everybody(&principal["AWS"]);
        let has_condition = statement["Condition"].as_object().is_some_and(|condition| !condition.is_empty());
        statement["Effect"] == "Allow" && is_open && !has_condition
    })
}

/// What is left out is off.
fn whole_block(given: shapes::PublicAccessBlockConfiguration) -> shapes::PublicAccessBlockConfiguration {
    let on = |flag: Option<bool>| Some(flag.unwrap_or(false));
    shapes::PublicAccessBlockConfiguration {
        block_public_acls: on(given.block_public_acls),
        ignore_public_acls: on(given.ignore_public_acls),
        block_public_policy: on(given.block_public_policy),
        restrict_public_buckets: on(given.restrict_public_buckets),
    }
}

fn checked_replication(
    cx: &Engine,
    bucket: &str,
    replication: shapes::ReplicationConfiguration,
) -> Result<shapes::ReplicationConfiguration, Refusal> {
    let row = cx.s3.buckets.get(&Arc::from(bucket));
    if row.is_none_or(|row| row.versioning != Some(shapes::BucketVersioningStatus::Enabled)) {
        let message = "Versioning must be 'Enabled' on the bucket to apply a replication configuration";
        return Err(Refusal::new("InvalidRequest", message));
    }
    if replication.rules.is_empty() { Err(malformed()) } else { Ok(replication) }
}

fn checked_website(website: shapes::WebsiteConfiguration) -> Result<shapes::WebsiteConfiguration, Refusal> {
    if website.index_document.is_none() && website.redirect_all_requests_to.is_none() {
        let message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
        return Err(invalid_argument(message, "IndexDocument", "null"));
    }
    Ok(website)
}
