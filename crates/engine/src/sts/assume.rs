//! Temporary credentials.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::{Arn, Span};
use capstan_shapes::{Refusal, sts as shapes};

use super::{Session, identity};
use crate::iam::{check_policy, code, secret};
use crate::{Caller, Engine};

/// What the account itself gets at most, and at first (API reference, GetSessionToken).
const ROOT_SESSION_SECONDS: i32 = 3_600;
/// What an IAM user gets at first.
const USER_SESSION_SECONDS: i32 = 43_200;

pub(super) fn role(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::AssumeRoleRequest,
) -> Result<shapes::AssumeRoleResponse, Refusal> {
    let arn = Arn::parse(&request.role_arn).filter(|arn| arn.service == "iam" && arn.after("role").is_some());
    if arn.is_none() {
        return Err(invalid(format!("{} is invalid", request.role_arn)));
    }
    if let Some(policy) = &request.policy {
        check_policy(policy)
            .map_err(|refusal| Refusal::of(&shapes::MALFORMED_POLICY_DOCUMENT_EXCEPTION, refusal.message))?;
    }
    // STS does not tell a role that is not there from one that may not be assumed.
    let Some(role) = cx.iam.role(&request.role_arn) else {
        let (_, who) = identity(cx, caller);
        return Err(Refusal::new(
            "AccessDenied",
            format!(
                "User: {who} is not authorized to perform: sts:AssumeRole on resource: {}",
                request.role_arn
            ),
        )
        .with_status(403));
    };
    let seconds = request.duration_seconds.unwrap_or(3_600);
    if seconds > role.session_seconds_max {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    let session = &request.role_session_name;
    let assumed_role_id = format!("{}:{session}", role.identity.id);
    let arn = format!("arn:aws:sts::{}:assumed-role/{}/{session}", cx.config.account, role.identity.name);
    let credentials = Some(session_of(cx, &assumed_role_id, &arn, seconds));
    let bytes = request.policy.as_ref().map_or(0, String::len);
    Ok(shapes::AssumeRoleResponse {
        credentials,
        assumed_role_user: Some(shapes::AssumedRoleUser { assumed_role_id, arn }),
        // Of 2,048 characters that a session policy may have.
        packed_policy_size: request.policy.map(|_| i32::try_from(bytes * 100 / 2048).unwrap_or(100)),
        source_identity: request.source_identity,
    })
}

pub(super) fn session_token(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::GetSessionTokenRequest,
) -> Result<shapes::GetSessionTokenResponse, Refusal> {
    let (id, arn) = identity(cx, caller);
    if arn.contains(":assumed-role/") {
        return Err(Refusal::new("AccessDenied", "Cannot call GetSessionToken with session credentials")
            .with_status(403));
    }
    let seconds = match arn.ends_with(":root") {
        true => request.duration_seconds.unwrap_or(ROOT_SESSION_SECONDS).min(ROOT_SESSION_SECONDS),
        false => request.duration_seconds.unwrap_or(USER_SESSION_SECONDS),
    };
    Ok(shapes::GetSessionTokenResponse { credentials: Some(session_of(cx, &id, &arn, seconds)) })
}

fn session_of(cx: &mut Engine, user_id: &str, arn: &str, seconds: i32) -> shapes::Credentials {
    let access_key_id = code("ASIA", 16, cx.chance.u128("sts.access-key"));
    let expiration = cx.now + Span::from_secs(i64::from(seconds));
    cx.sts.sessions.insert(Session {
        access_key: access_key_id.clone(),
        user_id: user_id.to_owned(),
        arn: arn.to_owned(),
        expires: expiration,
    });
    let token: Vec<u8> = (0..12).flat_map(|_| cx.chance.u128("sts.session-token").to_be_bytes()).collect();
    shapes::Credentials {
        access_key_id,
        secret_access_key: secret(cx, "sts.secret-key"),
        session_token: BASE64.encode(token),
        expiration,
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationError", message)
}
