//! Security Token Service: who is calling, and credentials for roles.
//!
//! Whoever holds an access key that is neither an IAM user's nor a session's is the account itself. Signatures are not
//! checked; a key is only a name.

mod assume;
mod rows;
#[cfg(test)]
mod tests;

use capstan_shapes::sts::{
    GetAccessKeyInfoRequest, GetAccessKeyInfoResponse, GetCallerIdentityRequest, GetCallerIdentityResponse,
};
use capstan_shapes::{Refusal, sts};

use crate::ec2::digest;
use crate::kernel::{Table, dispatch, tables};
use crate::{Caller, Engine};
use capstan_model::Time;

pub use rows::Session;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("AssumeRole.ExternalId", "trust policies are not enforced"),
    ("AssumeRole.Policy", "policies are not enforced"),
    ("AssumeRole.PolicyArns", "policies are not enforced"),
    ("AssumeRole.ProvidedContexts", "trust policies are not enforced"),
    ("AssumeRole.SerialNumber", "there are no MFA devices"),
    ("AssumeRole.Tags", "policies are not enforced"),
    ("AssumeRole.TokenCode", "there are no MFA devices"),
    ("AssumeRole.TransitiveTagKeys", "policies are not enforced"),
    ("GetSessionToken.SerialNumber", "there are no MFA devices"),
    ("GetSessionToken.TokenCode", "there are no MFA devices"),
];

/// The table of STS.
#[derive(Clone, Debug, Default)]
pub struct Sts {
    sessions: Table<Session>,
}

impl Sts {
    /// Sessions that have not expired.
    pub fn sessions(&self) -> &Table<Session> {
        &self.sessions
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.sessions.next_due()
    }
}

tables!(Sts { sessions });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: sts::Request,
) -> Result<sts::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, sts {
        AssumeRole => assume::role,
        GetAccessKeyInfo => get_access_key_info,
        GetCallerIdentity => get_caller_identity,
        GetSessionToken => assume::session_token,
    }))
}

/// A session is over.
pub(crate) fn on_due(cx: &mut Engine) {
    if let Some((time, key)) = cx.sts.sessions.first_due()
        && time <= cx.now
    {
        cx.sts.sessions.remove(&key);
    }
}

fn get_caller_identity(
    cx: &mut Engine,
    caller: &Caller,
    _request: GetCallerIdentityRequest,
) -> Result<GetCallerIdentityResponse, Refusal> {
    let (user_id, arn) = identity(cx, caller);
    Ok(GetCallerIdentityResponse {
        user_id: Some(user_id),
        account: Some(cx.config.account.clone()),
        arn: Some(arn),
    })
}

/// Every key is one of the one account.
fn get_access_key_info(
    cx: &mut Engine,
    _caller: &Caller,
    _request: GetAccessKeyInfoRequest,
) -> Result<GetAccessKeyInfoResponse, Refusal> {
    Ok(GetAccessKeyInfoResponse { account: Some(cx.config.account.clone()) })
}

/// The user id and the ARN of a caller. Of the account itself the id is the account's; of a service, of an instance and of
/// whoever assumed a role it is the session of that role.
pub(crate) fn identity(cx: &Engine, caller: &Caller) -> (String, String) {
    let account = &cx.config.account;
    let session = |role: &str, session: &str| {
        let id = match cx.iam.role(role) {
            Some(role) => role.identity.id.clone(),
            None => format!("AROA{:017X}", digest(role.bytes())),
        };
        (format!("{id}:{session}"), format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"))
    };
    match caller {
        Caller::User { access_key } => {
            if let Some(row) = cx.sts.sessions.get(access_key) {
                return (row.user_id.clone(), row.arn.clone());
            }
            let key = cx.iam.access_keys().get(access_key);
            match key.and_then(|key| cx.iam.users().get(&key.user)) {
                Some(user) => (user.identity.id.clone(), user.identity.arn.clone()),
                None => (account.clone(), format!("arn:aws:iam::{account}:root")),
            }
        }
        Caller::Service(name) if *name == "autoscaling.amazonaws.com" => {
            session("AWSServiceRoleForAutoScaling", "AutoScaling")
        }
        Caller::Service(name) if *name == "ecs.amazonaws.com" => {
            session("AWSServiceRoleForECS", "ecs-service-scheduler")
        }
        Caller::Service(name) => session("AWSServiceRole", name.split('.').next().unwrap_or(name)),
        Caller::Agent(instance) => session("ecsInstanceRole", &instance.to_string()),
    }
}
