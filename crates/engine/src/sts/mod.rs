//! Security Token Service: who is calling.
//!
//! There are no IAM users or roles: whoever holds an access key is the account itself.

use capstan_shapes::sts::{GetCallerIdentityRequest, GetCallerIdentityResponse};
use capstan_shapes::{Refusal, sts};

use crate::ec2::digest;
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
            format!("AROA{:017X}:{session}", digest(role.bytes())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Input};
    use capstan_model::Time;

    #[test]
    fn a_user_is_the_account() {
        let mut engine = Engine::new(Config::new(1), Time::ZERO);
        let caller = Caller::User { access_key: "test".into() };
        let request = Box::new(GetCallerIdentityRequest {}.into());
        let reply = engine.step(Time::ZERO, Input::Call { caller, request }).reply;
        let expected = GetCallerIdentityResponse {
            user_id: Some("000000000000".into()),
            account: Some("000000000000".into()),
            arn: Some("arn:aws:iam::000000000000:root".into()),
        };
        assert_eq!(reply, Some(Ok(expected.into())));
    }
}
