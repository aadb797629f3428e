//! Why things are as they are: the reasons that decisions carry, gathered for one subject.

use capstan_model::Arn;

use crate::{Engine, cloudwatch, ec2, ecs, elb, ssm};

/// Everything that is known about why something is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// `task`, `service`, `capacity provider`, `Auto Scaling group`
    pub kind: &'static str,
    pub subject: String,
    /// Sentences, the most telling first.
    pub why: Vec<String>,
}

impl Engine {
    /// Explains a task (id or ARN), a service, a capacity provider or an Auto Scaling group (name or ARN).
    pub fn explain(&self, subject: &str) -> Option<Explanation> {
        let name = match Arn::parse(subject) {
            Some(arn) => arn.resource.rsplit('/').next().unwrap_or_default(),
            None => subject.rsplit('/').next().unwrap_or_default(),
        };
        ecs::explain(self, name)
    }
}

/// Settings that are accepted without effect: service, then `(Operation.member, why)`.
pub fn inert() -> Vec<(&'static str, &'static [(&'static str, &'static str)])> {
    vec![
        ("cloudwatch", cloudwatch::INERT),
        ("ec2", ec2::INERT),
        ("ecs", ecs::INERT),
        ("elbv2", elb::INERT),
        ("ssm", ssm::INERT),
    ]
}
