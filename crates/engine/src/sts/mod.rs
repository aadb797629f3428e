//! Security Token Service: who is calling.
//!
//! There are no IAM users or roles: whoever holds an access key is the account itself.

use capstan_shapes::sts::{GetCallerIdentityRequest, GetCallerIdentityResponse};
use capstan_shapes::{Refusal, sts};

use crate::kernel::dispatch;
use crate::{Caller, Engine};

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: sts::Request,
) -> Result<sts::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, sts {
        GetCallerIdentity => get_caller_identity,
    }))
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

/// The user id and the ARN of a caller. Of the account itself the id is the account's; of a service and of an instance
/// it is the session of its role.
pub(crate) fn identity(cx: &Engine, caller: &Caller) -> (String, String) {
    let account = &cx.config.account;
    let session = |role: &str, session: &str| {
        (
            format!(
                "AROA{:0>17}:{session}",
                role.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "")
            ),
            format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
        )
    };
    match caller {
        Caller::User { .. } => (account.clone(), format!("arn:aws:iam::{account}:root")),
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
