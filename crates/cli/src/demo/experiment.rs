//! The experiment of the Spot workshop: the Fault Injection Service interrupts three Spot Instances, and EventBridge
//! writes what EC2 says of it to a log group.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::Time;
use capstan_shapes::{events, fis, logs};

use super::screen::Source;
use super::stack::{SPOT, Stack};
use super::view::News;
use crate::api::text;

/// Instances that the experiment takes.
pub(super) const INTERRUPTED: usize = 3;
/// Two minutes of notice, which is all that Spot gives.
const NOTICE: &str = "PT2M";
const LOG_GROUP: &str = "/aws/events/spotinterruptions";
const RULE: &str = "spot-signals";
const WARNING: &str = "EC2 Spot Instance Interruption Warning";
const RECOMMENDATION: &str = "EC2 Instance Rebalance Recommendation";

/// What EC2 has told of Spot Instances.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    /// Ids of instances that have got their notice.
    pub(super) warned: BTreeSet<String>,
    pub(super) news: Vec<News>,
}

impl Stack {
    /// A rule that writes what EC2 says about Spot Instances to a log group, which lets it in.
    pub(super) async fn watch_spot(&self) -> Result<(), String> {
        let create =
            logs::CreateLogGroupRequest { log_group_name: LOG_GROUP.to_owned(), ..Default::default() };
        self.call(create).await?;
        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"] },
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": "*",
            }],
        });
        let allow = logs::PutResourcePolicyRequest {
            policy_name: text("events"),
            policy_document: Some(policy.to_string()),
            ..Default::default()
        };
        self.call(allow).await?;
        let pattern = serde_json::json!({ "source": ["aws.ec2"], "detail-type": [WARNING, RECOMMENDATION] });
        let rule = events::PutRuleRequest {
            name: RULE.to_owned(),
            event_pattern: Some(pattern.to_string()),
            ..Default::default()
        };
        self.call(rule).await?;
        let (region, account) = self
            .api
            .control
            .look(|engine| (engine.config().region.name, engine.config().account.clone()))
            .await
            .ok_or("the server has stopped")?;
        let target = events::Target {
            id: "log".to_owned(),
            arn: format!("arn:aws:logs:{region}:{account}:log-group:{LOG_GROUP}"),
            ..Default::default()
        };
        let put =
            events::PutTargetsRequest { rule: RULE.to_owned(), targets: vec![target], ..Default::default() };
        let failed = self.call(put).await?.failed_entries.unwrap_or_default();
        failed.first().map_or(Ok(()), |entry| Err(format!("the rule has no target: {entry:?}")))
    }

    /// Starts the experiment on three of the Spot group's running instances.
    pub(super) async fn interrupt(&self) -> Result<(), String> {
        let target = fis::CreateExperimentTemplateTargetInput {
            resource_type: "aws:ec2:spot-instance".to_owned(),
            resource_tags: Some(BTreeMap::from([(
                "aws:autoscaling:groupName".to_owned(),
                SPOT.group.to_owned(),
            )])),
            filters: Some(vec![fis::ExperimentTemplateTargetInputFilter {
                path: "State.Name".to_owned(),
                values: vec!["running".to_owned()],
            }]),
            selection_mode: format!("COUNT({INTERRUPTED})"),
            ..Default::default()
        };
        let action = fis::CreateExperimentTemplateActionInput {
            action_id: "aws:ec2:send-spot-instance-interruptions".to_owned(),
            parameters: Some(BTreeMap::from([("durationBeforeInterruption".to_owned(), NOTICE.to_owned())])),
            targets: Some(BTreeMap::from([("SpotInstances".to_owned(), "three".to_owned())])),
            ..Default::default()
        };
        let create = fis::CreateExperimentTemplateRequest {
            client_token: "demo".to_owned(),
            description: "Interrupt three Spot Instances".to_owned(),
            stop_conditions: vec![fis::CreateExperimentTemplateStopConditionInput {
                source: "none".to_owned(),
                ..Default::default()
            }],
            targets: Some(BTreeMap::from([("three".to_owned(), target)])),
            actions: BTreeMap::from([("interrupt".to_owned(), action)]),
            role_arn: "arn:aws:iam::012345678910:role/experiments".to_owned(),
            ..Default::default()
        };
        let made = self.call(create).await?.experiment_template;
        let template = made.and_then(|template| template.id).ok_or("the experiment template has no id")?;
        let start = fis::StartExperimentRequest {
            client_token: "demo".to_owned(),
            experiment_template_id: template,
            ..Default::default()
        };
        self.call(start).await.map(drop)
    }

    /// What the log group holds.
    pub(super) async fn signals(&self) -> Result<Signals, String> {
        let filter = logs::FilterLogEventsRequest { log_group_name: text(LOG_GROUP), ..Default::default() };
        let events = self.call(filter).await?.events.unwrap_or_default();
        let mut signals = Signals::default();
        for event in events {
            let Some(message) = event.message else { continue };
            let Ok(event) = serde_json::from_str::<serde_json::Value>(&message) else { continue };
            let Some(instance) = event["detail"]["instance-id"].as_str() else { continue };
            let Some(at) = event["time"].as_str().and_then(Time::parse_iso) else { continue };
            let said = match event["detail-type"].as_str() {
                Some(WARNING) => {
                    signals.warned.insert(instance.to_owned());
                    format!("interruption warning: {instance} has two minutes")
                }
                Some(RECOMMENDATION) => format!("rebalance recommendation: {instance}"),
                _ => continue,
            };
            signals.news.push(News { at, source: Source::Signal, name: "signal", text: said });
        }
        Ok(signals)
    }
}
