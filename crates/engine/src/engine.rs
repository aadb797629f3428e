//! The one door, and the way from room to room.

use std::collections::{BTreeMap, VecDeque};

use capstan_model::Time;
use capstan_shapes::{Call, Refusal, Request, Response};

use crate::kernel::{Caller, Chance, Effect, Event, Fact};
use crate::{
    Config, application_autoscaling, autoscaling, cloudformation, cloudtrail, cloudwatch, ec2, ecr, ecs, elb,
    events, fis, iam, kms, lambda, logs, s3, servicediscovery, sns, sqs, ssm, sts,
};

/// Everything that can happen to an engine.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody calls the API. The request has passed its schema.
    Call { caller: Caller, request: Box<Request> },
    /// Something happened outside.
    Fact(Fact),
    /// Time has passed: what is due happens.
    Time,
}

/// What a step gives back.
#[derive(Debug, Default)]
#[must_use = "replies and effects are lost otherwise"]
pub struct Outcome {
    /// The answer to [`Input::Call`].
    pub reply: Option<Result<Response, Refusal>>,
    pub effects: Vec<Effect>,
    /// Rows that changed; empty unless [`Engine::record`] asked for them.
    pub changes: Vec<Change>,
    /// Calls that were made, the user's and the services'; empty unless [`Engine::record`] asked for them.
    pub calls: Vec<CallRecord>,
}

/// A row that changed: its table and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub table: &'static str,
    pub key: String,
}

/// One API call as CloudTrail would tell it.
#[derive(Clone, Debug)]
pub struct CallRecord {
    pub time: Time,
    pub caller: Caller,
    /// `ecs`, `autoscaling` …
    pub service: &'static str,
    pub operation: &'static str,
    /// The error code, when it was refused.
    pub refused: Option<String>,
}

/// The whole system: state, chance and time.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) config: Config,
    pub(crate) now: Time,
    pub(crate) chance: Chance,
    pub(crate) ecs: ecs::Ecs,
    pub(crate) application_autoscaling: application_autoscaling::ApplicationAutoScaling,
    pub(crate) autoscaling: autoscaling::AutoScaling,
    pub(crate) ec2: ec2::Ec2,
    pub(crate) elb: elb::Elb,
    pub(crate) events: events::Events,
    pub(crate) cloudformation: cloudformation::CloudFormation,
    pub(crate) cloudtrail: cloudtrail::CloudTrail,
    pub(crate) cloudwatch: cloudwatch::CloudWatch,
    pub(crate) fis: fis::Fis,
    pub(crate) iam: iam::Iam,
    pub(crate) kms: kms::Kms,
    pub(crate) lambda: lambda::Lambda,
    pub(crate) servicediscovery: servicediscovery::ServiceDiscovery,
    pub(crate) sns: sns::Sns,
    pub(crate) logs: logs::Logs,
    pub(crate) ecr: ecr::Ecr,
    pub(crate) s3: s3::S3,
    pub(crate) sqs: sqs::Sqs,
    pub(crate) ssm: ssm::Ssm,
    pub(crate) sts: sts::Sts,
    effects: Vec<Effect>,
    /// What rooms announced and the others were not told yet.
    news: VecDeque<Event>,
    calls: Option<Vec<CallRecord>>,
}

/// A row that stays due after it was handled would hang the engine; so many in one moment is a broken invariant.
const DUE_PER_MOMENT_MAX: u32 = 5_000_000;

impl Engine {
    /// An empty account at that moment: nothing in it but what AWS puts there (the default VPC, FARGATE providers).
    pub fn new(config: Config, now: Time) -> Self {
        let mut engine = Self {
            chance: Chance::new(config.seed),
            config,
            now,
            ecs: ecs::Ecs::default(),
            application_autoscaling: application_autoscaling::ApplicationAutoScaling::default(),
            autoscaling: autoscaling::AutoScaling::default(),
            ec2: ec2::Ec2::default(),
            elb: elb::Elb::default(),
            events: events::Events::default(),
            cloudformation: cloudformation::CloudFormation::default(),
            cloudtrail: cloudtrail::CloudTrail::default(),
            cloudwatch: cloudwatch::CloudWatch::default(),
            fis: fis::Fis::default(),
            iam: iam::Iam::default(),
            kms: kms::Kms::default(),
            lambda: lambda::Lambda::default(),
            servicediscovery: servicediscovery::ServiceDiscovery::default(),
            sns: sns::Sns::default(),
            logs: logs::Logs::default(),
            ecr: ecr::Ecr::default(),
            s3: s3::S3::default(),
            sqs: sqs::Sqs::default(),
            ssm: ssm::Ssm::default(),
            sts: sts::Sts::default(),
            effects: Vec::new(),
            news: VecDeque::new(),
            calls: None,
        };
        ec2::start(&mut engine);
        ecs::start(&mut engine);
        fis::start(&mut engine);
        events::start(&mut engine);
        engine
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The time of the latest step.
    pub fn now(&self) -> Time {
        self.now
    }

    pub fn ecs(&self) -> &ecs::Ecs {
        &self.ecs
    }

    pub fn application_autoscaling(&self) -> &application_autoscaling::ApplicationAutoScaling {
        &self.application_autoscaling
    }

    pub fn autoscaling(&self) -> &autoscaling::AutoScaling {
        &self.autoscaling
    }

    pub fn ec2(&self) -> &ec2::Ec2 {
        &self.ec2
    }

    pub fn elb(&self) -> &elb::Elb {
        &self.elb
    }

    pub fn events(&self) -> &events::Events {
        &self.events
    }

    pub fn cloudformation(&self) -> &cloudformation::CloudFormation {
        &self.cloudformation
    }

    pub fn cloudtrail(&self) -> &cloudtrail::CloudTrail {
        &self.cloudtrail
    }

    pub fn cloudwatch(&self) -> &cloudwatch::CloudWatch {
        &self.cloudwatch
    }

    pub fn fis(&self) -> &fis::Fis {
        &self.fis
    }

    pub fn iam(&self) -> &iam::Iam {
        &self.iam
    }

    pub fn kms(&self) -> &kms::Kms {
        &self.kms
    }

    pub fn lambda(&self) -> &lambda::Lambda {
        &self.lambda
    }

    pub fn servicediscovery(&self) -> &servicediscovery::ServiceDiscovery {
        &self.servicediscovery
    }

    pub fn sns(&self) -> &sns::Sns {
        &self.sns
    }

    pub fn logs(&self) -> &logs::Logs {
        &self.logs
    }

    pub fn ecr(&self) -> &ecr::Ecr {
        &self.ecr
    }

    pub fn s3(&self) -> &s3::S3 {
        &self.s3
    }

    pub fn sqs(&self) -> &sqs::Sqs {
        &self.sqs
    }

    pub fn ssm(&self) -> &ssm::Ssm {
        &self.ssm
    }

    pub fn sts(&self) -> &sts::Sts {
        &self.sts
    }

    /// All that exists, by table (`ecs.services`), in order. What AWS still describes though it is gone (INACTIVE services,
    /// STOPPED tasks, terminated instances) is not among it, nor are records such as metrics and activities.
    pub fn resources(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut resources: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let mut put = |table, name| resources.entry(table).or_default().push(name);
        self.ecs.tell(&mut put);
        self.application_autoscaling.tell(&mut put);
        self.autoscaling.tell(&mut put);
        self.ec2.tell(&mut put);
        self.elb.tell(&mut put);
        self.events.tell(&mut put);
        self.cloudformation.tell(&mut put);
        self.cloudwatch.tell(&mut put);
        self.fis.tell(&mut put);
        self.iam.tell(&mut put);
        self.kms.tell(&mut put);
        self.lambda.tell(&mut put);
        self.servicediscovery.tell(&mut put);
        self.sns.tell(&mut put);
        self.logs.tell(&mut put);
        self.ecr.tell(&mut put);
        self.s3.tell(&mut put);
        self.sqs.tell(&mut put);
        self.ssm.tell(&mut put);
        self.sts.tell(&mut put);
        resources
    }

    /// Whether outcomes shall tell changed rows and calls. Off at first: a simulation need not pay for them.
    pub fn record(&mut self, on: bool) {
        self.calls = on.then(Vec::new);
        self.ecs.record_changes(on);
        self.application_autoscaling.record_changes(on);
        self.autoscaling.record_changes(on);
        self.ec2.record_changes(on);
        self.elb.record_changes(on);
        self.events.record_changes(on);
        self.cloudformation.record_changes(on);
        self.cloudwatch.record_changes(on);
        self.fis.record_changes(on);
        self.iam.record_changes(on);
        self.kms.record_changes(on);
        self.lambda.record_changes(on);
        self.servicediscovery.record_changes(on);
        self.sns.record_changes(on);
        self.logs.record_changes(on);
        self.ecr.record_changes(on);
        self.s3.record_changes(on);
        self.sqs.record_changes(on);
        self.ssm.record_changes(on);
        self.sts.record_changes(on);
    }

    /// The one door. First what fell due until `now` happens, each at its own moment and in order; then the input.
    /// A `now` before the latest step counts as that step's time: time does not go back.
    pub fn step(&mut self, now: Time, input: Input) -> Outcome {
        let now = now.max(self.now);
        self.pass_time(now);
        let reply = match input {
            Input::Call { caller, request } => Some(self.handle(&caller, *request)),
            Input::Fact(fact) => {
                self.fact(fact);
                None
            }
            Input::Time => None,
        };
        self.tell();
        // What the input made due at this very moment belongs to this step.
        self.pass_time(now);
        let mut outcome = Outcome { reply, effects: std::mem::take(&mut self.effects), ..Outcome::default() };
        if let Some(calls) = &mut self.calls {
            outcome.calls = std::mem::take(calls);
            let mut put = |table, key| outcome.changes.push(Change { table, key });
            self.ecs.take_changed(&mut put);
            self.application_autoscaling.take_changed(&mut put);
            self.autoscaling.take_changed(&mut put);
            self.ec2.take_changed(&mut put);
            self.elb.take_changed(&mut put);
            self.events.take_changed(&mut put);
            self.cloudformation.take_changed(&mut put);
            self.cloudwatch.take_changed(&mut put);
            self.fis.take_changed(&mut put);
            self.iam.take_changed(&mut put);
            self.kms.take_changed(&mut put);
            self.lambda.take_changed(&mut put);
            self.servicediscovery.take_changed(&mut put);
            self.sns.take_changed(&mut put);
            self.logs.take_changed(&mut put);
            self.ecr.take_changed(&mut put);
            self.s3.take_changed(&mut put);
            self.sqs.take_changed(&mut put);
            self.ssm.take_changed(&mut put);
            self.sts.take_changed(&mut put);
        }
        outcome
    }

    /// When the engine wants to be woken if nothing else happens.
    pub fn next_deadline(&self) -> Option<Time> {
        self.next_due().map(|(time, _)| time)
    }

    /// The earliest deadline and its room. At one moment the order of the list counts: a metric is put before the alarm
    /// on it is evaluated, and the policy has run before instances are launched.
    fn next_due(&self) -> Option<(Time, OnDue)> {
        let rooms: &[(Option<Time>, OnDue)] = &[
            (self.ec2.next_due(), ec2::on_due),
            (self.elb.next_due(), elb::on_due),
            (self.ecs.next_due(), ecs::on_due),
            (self.sqs.next_due(), sqs::on_due),
            (self.cloudwatch.next_due(), cloudwatch::on_due),
            (self.autoscaling.next_due(), autoscaling::on_due),
            (self.application_autoscaling.next_due(), application_autoscaling::on_due),
            (self.fis.next_due(), fis::on_due),
            (self.logs.next_due(), logs::on_due),
            (self.events.next_due(), events::on_due),
            (self.cloudformation.next_due(), cloudformation::on_due),
            (self.kms.next_due(), kms::on_due),
            (self.sts.next_due(), sts::on_due),
            (self.s3.next_due(), s3::on_due),
        ];
        let mut earliest: Option<(Time, OnDue)> = None;
        for &(time, room) in rooms {
            let Some(time) = time else { continue };
            if earliest.is_none_or(|(first, _)| time < first) {
                earliest = Some((time, room));
            }
        }
        earliest
    }

    fn pass_time(&mut self, now: Time) {
        let mut at_this_moment = 0;
        while let Some((time, on_due)) = self.next_due() {
            if time > now {
                break;
            }
            if time > self.now {
                self.now = time;
                at_this_moment = 0;
            }
            at_this_moment += 1;
            assert!(at_this_moment < DUE_PER_MOMENT_MAX, "a row stays due at {}", self.now);
            on_due(self);
            self.tell();
        }
        self.now = now;
    }

    fn fact(&mut self, fact: Fact) {
        match fact {
            Fact::AgentConnection { instance, connected } => ecs::agent_connection(self, instance, connected),
            Fact::ContainerHealth { task, container, healthy } => {
                ecs::container_health(self, task, &container, healthy);
            }
            Fact::InstanceRunning { instance } => ec2::instance_running(self, instance),
            Fact::InstanceStopped { instance } => ec2::instance_stopped(self, instance),
            Fact::InstanceTerminated { instance } => ec2::instance_terminated(self, instance),
            Fact::SpotInterruption { instance } => {
                ec2::interrupt(self, instance, self.now, true, ec2::Cause::Capacity);
            }
            Fact::TaskUsage { task, usage } => ecs::task_usage(self, task, usage),
            Fact::TargetHealth { target_group, target, port, health } => {
                elb::target_health(self, &target_group, &target, port, health);
            }
            Fact::Traffic(traffic) => elb::traffic(self, traffic),
        }
    }

    /// One room calls another as AWS documents it: through the API.
    pub(crate) fn call<C: Call>(&mut self, caller: Caller, request: C) -> Result<C::Output, Refusal> {
        let response = self.handle(&caller, request.into())?;
        Ok(C::output(response).expect("a handler answers with its own operation's response"))
    }

    fn handle(&mut self, caller: &Caller, request: Request) -> Result<Response, Refusal> {
        let (service, operation) = (request.service().name, request.operation().name);
        let noted = cloudtrail::note(self, &request);
        let reply = match request {
            Request::ApplicationAutoscaling(request) => {
                application_autoscaling::handle(self, caller, request).map(Response::ApplicationAutoscaling)
            }
            Request::Autoscaling(request) => {
                autoscaling::handle(self, caller, request).map(Response::Autoscaling)
            }
            Request::Cloudformation(request) => {
                cloudformation::handle(self, caller, request).map(Response::Cloudformation)
            }
            Request::Cloudtrail(request) => {
                cloudtrail::handle(self, caller, request).map(Response::Cloudtrail)
            }
            Request::Cloudwatch(request) => {
                cloudwatch::handle(self, caller, request).map(Response::Cloudwatch)
            }
            Request::Ec2(request) => ec2::handle(self, caller, request).map(Response::Ec2),
            Request::Ecr(request) => ecr::handle(self, caller, request).map(Response::Ecr),
            Request::Ecs(request) => ecs::handle(self, caller, request).map(Response::Ecs),
            Request::Elbv2(request) => elb::handle(self, caller, request).map(Response::Elbv2),
            Request::Events(request) => events::handle(self, caller, request).map(Response::Events),
            Request::Fis(request) => fis::handle(self, caller, request).map(Response::Fis),
            Request::Iam(request) => iam::handle(self, caller, request).map(Response::Iam),
            Request::Kms(request) => kms::handle(self, caller, request).map(Response::Kms),
            Request::Lambda(request) => lambda::handle(self, caller, request).map(Response::Lambda),
            Request::Servicediscovery(request) => {
                servicediscovery::handle(self, caller, request).map(Response::Servicediscovery)
            }
            Request::Sns(request) => sns::handle(self, caller, request).map(Response::Sns),
            Request::Logs(request) => logs::handle(self, caller, request).map(Response::Logs),
            Request::S3(request) => s3::handle(self, caller, request).map(Response::S3),
            Request::Sqs(request) => sqs::handle(self, caller, request).map(Response::Sqs),
            Request::Ssm(request) => ssm::handle(self, caller, request).map(Response::Ssm),
            Request::Sts(request) => sts::handle(self, caller, request).map(Response::Sts),
        };
        if let Some(request) = noted {
            cloudtrail::record(self, caller, request, &reply);
        }
        let (time, caller) = (self.now, caller.clone());
        if let Some(calls) = &mut self.calls {
            let refused = reply.as_ref().err().map(|refusal| refusal.code.to_string());
            calls.push(CallRecord { time, caller, service, operation, refused });
        }
        reply
    }

    /// Asks the driver for something.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Tells the other rooms, after this one has finished.
    pub(crate) fn announce(&mut self, event: Event) {
        self.news.push_back(event);
    }

    fn tell(&mut self) {
        while let Some(event) = self.news.pop_front() {
            ec2::on_event(self, &event);
            elb::on_event(self, &event);
            ecs::on_event(self, &event);
            autoscaling::on_event(self, &event);
            application_autoscaling::on_event(self, &event);
            fis::on_event(self, &event);
            cloudformation::on_event(self, &event);
            cloudtrail::on_event(self, &event);
        }
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE` in this account and region.
    pub(crate) fn arn(&self, service: &str, resource: impl std::fmt::Display) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.config.region.name, self.config.account)
    }
}

type OnDue = fn(&mut Engine);
