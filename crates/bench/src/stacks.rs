//! How fast CloudFormation makes stacks in virtual time, and what they take up. Nothing but the engine runs.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use capstan_engine::{Caller, Config, Engine, Input};
use capstan_shapes::Call;
use capstan_shapes::cloudformation::{Capability, CreateStackRequest, DescribeStacksRequest, StackStatus};

use crate::START;

/// Resources of each stack.
pub const RESOURCES: usize = 30;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub stacks: usize,
    /// From the first CreateStack until the last stack was complete.
    pub wall: Duration,
    /// By which the resident memory of this process has grown, KiB; `None` where the kernel does not tell.
    pub grown_kib: Option<u64>,
}

impl Made {
    pub fn per_second(&self) -> f64 {
        self.stacks as f64 / self.wall.as_secs_f64()
    }
}

/// Creates that many stacks, one after the other, each until it is complete.
pub fn run(stacks: usize) -> Made {
    let mut engine = Engine::new(Config::new(1), START);
    let body = template();
    let before = resident_kib();
    let start = Instant::now();
    for number in 0..stacks {
        let name = format!("stack-{number}");
        let request = CreateStackRequest {
            stack_name: name.clone(),
            template_body: Some(body.clone()),
            capabilities: Some(vec![Capability::CapabilityIam]),
            ..Default::default()
        };
        call(&mut engine, request);
        while status(&mut engine, &name) == StackStatus::CreateInProgress {
            let next = engine.next_deadline().expect("an operation has a deadline");
            let _ = engine.step(next, Input::Time);
        }
        assert_eq!(status(&mut engine, &name), StackStatus::CreateComplete, "{name}");
    }
    let wall = start.elapsed();
    let grown_kib = before.zip(resident_kib()).map(|(before, after)| after.saturating_sub(before));
    Made { stacks, wall, grown_kib }
}

fn call<C: Call>(engine: &mut Engine, request: C) -> C::Output {
    let caller = Caller::User { access_key: "bench".to_owned() };
    let now = engine.now();
    let outcome = engine.step(now, Input::Call { caller, request: Box::new(request.into()) });
    let response = outcome.reply.expect("a call has a reply").unwrap_or_else(|refusal| panic!("{refusal}"));
    C::output(response).expect("the answer is the operation's own")
}

fn status(engine: &mut Engine, name: &str) -> StackStatus {
    let request = DescribeStacksRequest { stack_name: Some(name.to_owned()), next_token: None };
    call(engine, request).stacks.unwrap_or_default().remove(0).stack_status
}

/// A cluster, a launch template with its role, and task definitions, logs, queues, alarms and parameters around them: as
/// many as fit a thousand times into an account's quotas.
fn template() -> String {
    let mut text = String::from(
        "Resources:
  Cluster: {Type: AWS::ECS::Cluster}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: []}
  Profile: {Type: AWS::IAM::InstanceProfile, Properties: {Roles: [!Ref Role]}}
  Launch:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData:
        InstanceType: m5.large
        ImageId: '{{resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id}}'
        UserData: !Base64 {'Fn::Sub': 'echo ECS_CLUSTER=${Cluster} >> /etc/ecs/ecs.config'}
",
    );
    let repeated = [
        (
            "Tasks",
            "AWS::ECS::TaskDefinition, Properties: {ContainerDefinitions: [{Name: a, Image: b, Memory: 16}]}",
        ),
        ("Logs", "AWS::Logs::LogGroup, Properties: {RetentionInDays: 7}"),
        ("Queue", "AWS::SQS::Queue"),
        (
            "Alarm",
            "AWS::CloudWatch::Alarm, Properties: {Namespace: n, MetricName: m, Statistic: Sum, Period: 86400, \
             EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: GreaterThanThreshold}",
        ),
        ("Parameter", "AWS::SSM::Parameter, Properties: {Type: String, Value: !GetAtt Cluster.Arn}"),
    ];
    for number in 0..RESOURCES - 4 {
        let (name, resource) = repeated[number % repeated.len()];
        // Each waits for one of those before it.
        let needs = if number < repeated.len() {
            "Cluster".to_owned()
        } else {
            format!("{name}{}", number - repeated.len())
        };
        writeln!(text, "  {name}{number}: {{Type: {resource}, DependsOn: {needs}}}")
            .expect("texts take lines");
    }
    text
}

/// Resident memory of this process.
fn resident_kib() -> Option<u64> {
    crate::server::resident_kib("self")
}
