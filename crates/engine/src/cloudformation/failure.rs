//! What a refusal of another room means for a resource.

use capstan_shapes::Refusal;

/// The reason as resource handlers give it: the service's message and a code that is common to all of them.
pub(super) fn reason(refusal: &Refusal, token: &str) -> String {
    format!(
        "Resource handler returned message: \"{}\" (RequestToken: {token}, HandlerErrorCode: {})",
        refusal.message,
        handler_code(refusal)
    )
}

/// `HandlerErrorCode` (CloudFormation CLI guide, handler error codes).
fn handler_code(refusal: &Refusal) -> &'static str {
    let code = refusal.code.as_ref();
    let has = |parts: &[&str]| parts.iter().any(|part| code.contains(part));
    match () {
        () if is_absent(refusal) => "NotFound",
        () if has(&["AlreadyExist", "Duplicate", "AlreadyOwned", "EntityAlreadyExists"]) => "AlreadyExists",
        () if is_in_use(refusal) || has(&["Conflict"]) => "ResourceConflict",
        () if has(&["LimitExceeded", "Quota", "TooMany"]) => "ServiceLimitExceeded",
        () if has(&["AccessDenied", "Unauthorized"]) => "AccessDenied",
        () if has(&["Throttl"]) => "Throttling",
        () if has(&["NotStabilized"]) => "NotStabilized",
        () if has(&["NotUpdatable"]) => "NotUpdatable",
        () if refusal.status >= 500 => "ServiceInternalError",
        () => "InvalidRequest",
    }
}

/// The resource does not exist: what was to be deleted has gone.
pub(super) fn is_absent(refusal: &Refusal) -> bool {
    let (code, message) = (refusal.code.as_ref(), refusal.message.as_str());
    ["NotFound", "NoSuch", "NonExistent", "DoesNotExist", "ServiceNotActive"]
        .iter()
        .any(|part| code.contains(part))
        || message.contains("does not exist")
        || message.contains("not found")
}

/// Something still uses the resource; it may go away.
pub(super) fn is_in_use(refusal: &Refusal) -> bool {
    ["InUse", "DependencyViolation", "DeleteConflict", "ScalingActivityInProgress", "Contains"]
        .iter()
        .any(|part| refusal.code.contains(part))
}

/// A resource did not come to rest in time.
pub(super) fn not_stabilized(token: &str) -> String {
    reason(&Refusal::new("NotStabilized", "Exceeded attempts to wait"), token)
}
