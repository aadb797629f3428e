//! Why things are as they are: the reasons that decisions carry, gathered for one subject.

use capstan_model::Arn;

use crate::{
    Engine, application_autoscaling, autoscaling, cloudformation, cloudtrail, cloudwatch, ec2, ecr, ecs, elb,
    events, fis, iam, kms, lambda, logs, s3, servicediscovery, sns, sqs, ssm, sts,
};

/// Everything that is known about why something is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// `task`, `service`, `instance`, `capacity provider`, `Auto Scaling group`
    pub kind: &'static str,
    pub subject: String,
    /// Sentences, the most telling first.
    pub why: Vec<String>,
}

impl Engine {
    /// Explains a task (id or ARN), a service, an EC2 instance (id), a capacity provider or an Auto Scaling group (name or ARN).
    pub fn explain(&self, subject: &str) -> Option<Explanation> {
        let name = match Arn::parse(subject) {
            Some(arn) => arn.resource.rsplit('/').next().unwrap_or_default(),
            None => subject.rsplit('/').next().unwrap_or_default(),
        };
        ecs::explain(self, name).or_else(|| group(self, name))
    }
}

/// What scaling last decided for an Auto Scaling group.
pub(crate) fn group(cx: &Engine, name: &str) -> Option<Explanation> {
    let row = cx.autoscaling.groups().get(&name.into())?;
    let mut why =
        vec![format!("Its desired capacity is {} (minimum {}, maximum {}).", row.desired, row.min, row.max)];
    why.extend(row.decision.iter().map(|decision| format!("The latest decision, {decision}.")));
    Some(Explanation { kind: "Auto Scaling group", subject: name.to_owned(), why })
}

/// Settings that are accepted without effect: service, then `(Operation.member, why)`.
pub fn inert() -> Vec<(&'static str, &'static [(&'static str, &'static str)])> {
    vec![
        ("application-autoscaling", application_autoscaling::INERT),
        ("autoscaling", autoscaling::INERT),
        ("cloudformation", cloudformation::INERT),
        ("cloudtrail", cloudtrail::INERT),
        ("cloudwatch", cloudwatch::INERT),
        ("ec2", ec2::INERT),
        ("ecr", ecr::INERT),
        ("ecs", ecs::INERT),
        ("elbv2", elb::INERT),
        ("events", events::INERT),
        ("kms", kms::INERT),
        ("lambda", lambda::INERT),
        ("servicediscovery", servicediscovery::INERT),
        ("sns", sns::INERT),
        ("logs", logs::INERT),
        ("fis", fis::INERT),
        ("s3", s3::INERT),
        ("sqs", sqs::INERT),
        ("iam", iam::INERT),
        ("ssm", ssm::INERT),
        ("sts", sts::INERT),
    ]
}
