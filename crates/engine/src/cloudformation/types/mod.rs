//! The resource types: for each service a file with the handlers of its types.

mod application_autoscaling;
mod autoscaling;
mod cdk;
mod cloudwatch;
mod common;
mod ec2;
mod ecr;
mod ecs;
mod elb;
mod events;
mod fis;
mod iam;
mod kms;
mod lambda;
mod launch_configuration;
mod log_retention;
mod logs;
mod placeholder;
mod s3;
mod servicediscovery;
mod sns;
mod sqs;
mod ssm;
mod vpc_restrict_default_sg;
mod wait_condition;

pub(super) use autoscaling::failing as failing_group;

pub(super) use placeholder::{PLACEHOLDER, attribute as placeholder_attribute};

use super::resource::Handler;

/// Every resource type that templates may use, one list for each service.
const HANDLERS: &[&[Handler]] = &[
    application_autoscaling::HANDLERS,
    autoscaling::HANDLERS,
    cdk::HANDLERS,
    cloudwatch::HANDLERS,
    ec2::ACCESS,
    ec2::ADDRESSES,
    ec2::ENDPOINTS,
    ec2::INSTANCES,
    ec2::LAUNCH_TEMPLATES,
    ec2::ROUTES,
    ec2::VPCS,
    ecr::HANDLERS,
    ecs::HANDLERS,
    elb::HANDLERS,
    events::HANDLERS,
    fis::HANDLERS,
    iam::HANDLERS,
    kms::HANDLERS,
    lambda::HANDLERS,
    launch_configuration::HANDLERS,
    log_retention::HANDLERS,
    logs::HANDLERS,
    s3::HANDLERS,
    servicediscovery::HANDLERS,
    sns::HANDLERS,
    sqs::HANDLERS,
    ssm::HANDLERS,
    vpc_restrict_default_sg::HANDLERS,
    wait_condition::HANDLERS,
];

/// The handler of that resource type.
pub(crate) fn handler(type_name: &str) -> Option<&'static Handler> {
    #[cfg(test)]
    if let Some(handler) = super::tests::thing::HANDLERS.iter().find(|handler| handler.type_name == type_name)
    {
        return Some(handler);
    }
    HANDLERS.iter().copied().flatten().find(|handler| handler.type_name == type_name)
}

/// The handler of a resource type in a template that was taken: where there is none, templates are taken leniently.
pub(crate) fn of(type_name: &str) -> &'static Handler {
    handler(type_name).unwrap_or(&PLACEHOLDER)
}

/// Every resource type that has a handler, and why nothing acts behind it if nothing does.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    HANDLERS.iter().copied().flatten().map(|handler| (handler.type_name, handler.inert))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_type_has_one_handler_and_every_handler_a_resource_type() {
        let mut names: Vec<&str> =
            HANDLERS.iter().copied().flatten().map(|handler| handler.type_name).collect();
        names.retain(|name| !name.starts_with("Custom::"));
        names.sort_unstable();
        let known: Vec<&str> = capstan_shapes::RESOURCE_TYPES.iter().map(|known| known.name).collect();
        assert_eq!(names, known);
    }
}
