//! The life of an experiment: order, stop conditions, failures, skipping, its log and its end.

use capstan_model::Span;
use capstan_shapes::ec2::InstanceStateName;
use capstan_shapes::fis::{
    self, ActionsMode, CreateExperimentTemplateStopConditionInput, EmptyTargetResolutionMode,
    StartExperimentExperimentOptionsInput, StopExperimentRequest,
};
use capstan_shapes::{cloudwatch, logs};

use super::{Account, action, interruption, tagged, wait};

const ALARM: &str = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:errors";
const HALTED: &str = "Experiment halted by stop condition.";

fn alarm(account: &mut Account, state: cloudwatch::StateValue) {
    if account.engine.cloudwatch().alarm("errors").is_none() {
        account.done(cloudwatch::PutMetricAlarmRequest {
            alarm_name: "errors".to_owned(),
            namespace: Some("test".to_owned()),
            metric_name: Some("errors".to_owned()),
            statistic: Some(cloudwatch::Statistic::Sum),
            period: Some(60),
            evaluation_periods: Some(1),
            threshold: Some(1.0),
            comparison_operator: Some(cloudwatch::ComparisonOperator::GreaterThanThreshold),
            treat_missing_data: Some("ignore".to_owned()),
            ..Default::default()
        });
    }
    account.done(cloudwatch::SetAlarmStateRequest {
        alarm_name: "errors".to_owned(),
        state_value: state,
        state_reason: "a test".to_owned(),
        state_reason_data: None,
    });
}

fn stops_on_alarm(template: &mut fis::CreateExperimentTemplateRequest) {
    template.stop_conditions = vec![CreateExperimentTemplateStopConditionInput {
        source: "aws:cloudwatch:alarm".to_owned(),
        value: Some(ALARM.to_owned()),
    }];
}

fn stop_for_an_hour() -> fis::CreateExperimentTemplateActionInput {
    action("aws:ec2:stop-instances", &[("startInstancesAfterDuration", "PT1H")], "Instances=T", &[])
}

#[test]
fn states_follow_each_other() {
    let mut account = Account::new();
    let template = account.template(&[], &[("A", wait("PT1M", &[]))]);
    let id = account.start(template);
    assert!(id.starts_with("EXP") && id.len() == 18, "{id}");
    assert_eq!(account.told(&id), "initiating: Experiment is initiating.");
    assert_eq!(account.action_told(&id, "A"), "pending: Initial state");
    account.secs(2);
    assert_eq!(account.told(&id), "running: Experiment is running.");
    assert_eq!(account.action_told(&id, "A"), "pending: Initial state");
    account.secs(9);
    assert_eq!(account.action_told(&id, "A"), "running: Action is running.");
    account.secs(60);
    assert_eq!(account.action_told(&id, "A"), "completed: Action was completed.");
    assert_eq!(account.told(&id), "running: Experiment is running.");
    account.secs(1);
    assert_eq!(account.told(&id), "completed: Experiment completed");
    account.pass(Span::from_hours(120 * 24) - Span::from_secs(1));
    assert_eq!(account.told(&id), "completed: Experiment completed");
    account.secs(1);
    let gone = account.refused(fis::GetExperimentRequest { id: id.clone() });
    assert_eq!(gone, format!("ResourceNotFoundException: There is no experiment {id}."));
}

/// Two begin together, a third after both, a fourth after that.
#[test]
fn actions_begin_after_those_they_wait_for() {
    let mut account = Account::new();
    let actions = [
        ("A", wait("PT1M", &["D", "B"])),
        ("B", wait("PT3M", &[])),
        ("C", wait("PT1M", &["A"])),
        ("D", wait("PT2M", &[])),
    ];
    let template = account.template(&[], &actions);
    let id = account.start(template);
    account.secs(11 + 5 * 60 + 1);
    assert_eq!(account.told(&id), "completed: Experiment completed");
    let experiment = account.experiment(&id);
    let start = experiment.start_time.unwrap() + Span::from_secs(11);
    let mins = |time: Option<capstan_model::Time>| (time.unwrap() - start).as_secs() / 60;
    let times: Vec<(String, i64, i64)> = experiment
        .actions
        .unwrap()
        .into_iter()
        .map(|(name, action)| (name, mins(action.start_time), mins(action.end_time)))
        .collect();
    let expect = [("A", 3, 4), ("B", 0, 3), ("C", 4, 5), ("D", 0, 2)];
    assert_eq!(times, expect.map(|(name, start, end)| (name.to_owned(), start, end)));
}

#[test]
fn an_alarm_that_goes_off_stops_the_experiment_and_its_faults() {
    let mut account = Account::new();
    let ids = account.launch(2, false, "a");
    alarm(&mut account, cloudwatch::StateValue::Ok);
    let actions = [("A", stop_for_an_hour()), ("B", wait("PT1M", &["A"])), ("C", wait("PT1M", &[]))];
    let mut template = account.template(&[("T", tagged("aws:ec2:instance", "a", "ALL"))], &actions);
    stops_on_alarm(&mut template);
    let id = account.start(template);
    account.secs(11 + 90);
    assert_eq!(account.count_in(&ids, InstanceStateName::Stopped), 2);
    alarm(&mut account, cloudwatch::StateValue::Alarm);
    assert_eq!(account.told(&id), format!("stopping: {HALTED}"));
    account.secs(1);
    assert_eq!(account.told(&id), format!("stopped: {HALTED}"));
    assert_eq!(account.action_told(&id, "A"), "stopped: Action was stopped.");
    assert_eq!(account.action_told(&id, "B"), "cancelled: Action was cancelled.");
    assert_eq!(account.action_told(&id, "C"), "completed: Action was completed.");
    assert_eq!(account.count_in(&ids, InstanceStateName::Running), 2, "they were started again");
}

#[test]
fn an_alarm_that_is_on_lets_nothing_begin() {
    let mut account = Account::new();
    let ids = account.launch(2, false, "a");
    alarm(&mut account, cloudwatch::StateValue::Alarm);
    let targets = [("T", tagged("aws:ec2:instance", "a", "ALL"))];
    let mut template = account.template(&targets, &[("A", stop_for_an_hour())]);
    stops_on_alarm(&mut template);
    let id = account.start(template);
    account.secs(60);
    assert_eq!(account.told(&id), format!("stopped: {HALTED}"));
    assert_eq!(account.action_told(&id, "A"), "cancelled: Action was cancelled.");
    assert_eq!(account.count_in(&ids, InstanceStateName::Running), 2);
}

#[test]
fn a_user_stops_an_experiment_at_each_stage() {
    for after in [0, 2, 11, 60] {
        let mut account = Account::new();
        let ids = account.launch(1, false, "a");
        let targets = [("T", tagged("aws:ec2:instance", "a", "ALL"))];
        let template = account.template(&targets, &[("A", stop_for_an_hour())]);
        let id = account.start(template);
        account.secs(after);
        account.done(StopExperimentRequest { id: id.clone() });
        assert_eq!(account.told(&id), "stopping: Experiment stopped by user.");
        account.secs(1);
        assert_eq!(account.told(&id), "stopped: Experiment stopped by user.", "{after}");
        account.secs(60);
        assert_eq!(account.state_of(&ids[0]), InstanceStateName::Running, "{after}");
        let again = account.refused(StopExperimentRequest { id: id.clone() });
        assert_eq!(again, format!("ValidationException: Experiment {id} cannot be stopped: it is stopped."));
    }
}

#[test]
fn a_failing_action_fails_the_experiment() {
    let mut account = Account::new();
    let ids = account.launch(1, false, "a");
    alarm(&mut account, cloudwatch::StateValue::Ok);
    let assertion = action(
        "aws:cloudwatch:assert-alarm-state",
        &[("alarmArns", ALARM), ("alarmStates", "ALARM,INSUFFICIENT_DATA")],
        "",
        &["W"],
    );
    let actions =
        [("A", assertion), ("B", wait("PT1M", &["A"])), ("S", stop_for_an_hour()), ("W", wait("PT2M", &[]))];
    let template = account.template(&[("T", tagged("aws:ec2:instance", "a", "ALL"))], &actions);
    let id = account.start(template);
    account.secs(11 + 121);
    let reason = "The alarm errors is in the state OK, which is not expected.";
    assert_eq!(account.told(&id), format!("failed: {reason}"));
    assert_eq!(account.action_told(&id, "A"), format!("failed: {reason}"));
    assert_eq!(account.action_told(&id, "B"), "cancelled: Action was cancelled.");
    assert_eq!(account.action_told(&id, "S"), "stopped: Action was stopped.");
    assert_eq!(account.state_of(&ids[0]), InstanceStateName::Running);
    let error = account.experiment(&id).state.unwrap().error.unwrap();
    assert_eq!(error.code.as_deref(), Some("ConfigurationFailure"));
    assert_eq!(error.location.as_deref(), Some("actions.A"));
}

#[test]
fn an_empty_target_fails_or_is_skipped() {
    let check = |mode: Option<EmptyTargetResolutionMode>, expect: &str, of_action: &str| {
        let mut account = Account::new();
        let targets = [("T", tagged("aws:ec2:spot-instance", "a", "ALL"))];
        let actions = [("A", interruption("PT2M")), ("B", wait("PT1M", &["A"]))];
        let mut template = account.template(&targets, &actions);
        template.experiment_options = Some(fis::CreateExperimentTemplateExperimentOptionsInput {
            account_targeting: None,
            empty_target_resolution_mode: mode,
        });
        let id = account.start(template);
        account.secs(11 + 61);
        assert_eq!(account.told(&id), expect);
        assert_eq!(account.action_told(&id, "A"), of_action);
    };
    let empty = "Target resolution returned empty set";
    for mode in [None, Some(EmptyTargetResolutionMode::Fail)] {
        check(mode, &format!("failed: {empty}"), "cancelled: Action was cancelled.");
    }
    check(
        Some(EmptyTargetResolutionMode::Skip),
        "completed: Experiment completed",
        "skipped: Action was skipped: its target resolution returned empty set.",
    );
}

/// The targets are told, and nothing is done to them.
#[test]
fn skip_all_only_chooses() {
    let mut account = Account::new();
    let ids = account.launch(3, true, "a");
    let targets = [("T", tagged("aws:ec2:spot-instance", "a", "ALL"))];
    let template = account.template(&targets, &[("A", interruption("PT2M"))]);
    let template = account.create(template);
    let mut request = account.start_request(&template);
    request.experiment_options =
        Some(StartExperimentExperimentOptionsInput { actions_mode: Some(ActionsMode::SkipAll) });
    let id = account.done(request).experiment.unwrap().id.unwrap();
    account.secs(300);
    assert_eq!(account.told(&id), "completed: Experiment completed");
    assert_eq!(account.action_told(&id, "A"), "skipped: Action was skipped: the actions mode is skip-all.");
    assert_eq!(account.count_in(&ids, InstanceStateName::Running), 3);
    assert_eq!(account.engine.fis().experiments().get(&id).unwrap().resolved["T"].len(), 3);
}

#[test]
fn five_experiments_run_at_once() {
    let mut account = Account::new();
    let template = account.template(&[], &[("A", wait("PT10M", &[]))]);
    let template = account.create(template);
    for _ in 0..5 {
        let request = account.start_request(&template);
        account.done(request);
    }
    let request = account.start_request(&template);
    let refused = account.refused(request.clone());
    assert_eq!(refused, "ServiceQuotaExceededException: An account can have at most 5 active experiments.");
    account.pass(Span::from_mins(11));
    account.done(request);
}

#[test]
fn a_client_token_starts_one_experiment() {
    let mut account = Account::new();
    let template = account.template(&[], &[("A", wait("PT10M", &[]))]);
    let template = account.create(template);
    let request = account.start_request(&template);
    let first = account.done(request.clone()).experiment.unwrap().id;
    account.secs(5);
    assert_eq!(account.done(request.clone()).experiment.unwrap().id, first);
    let other = fis::StartExperimentRequest { tags: Some([("a".into(), "b".into())].into()), ..request };
    let refused = account.refused(other);
    assert_eq!(refused, "ConflictException: Another experiment was started with this client token.");
}

#[test]
fn the_safety_lever_stops_everything_and_lets_nothing_begin() {
    let mut account = Account::new();
    let template = account.template(&[], &[("A", wait("PT10M", &[]))]);
    let template = account.create(template);
    let request = account.start_request(&template);
    let id = account.done(request).experiment.unwrap().id.unwrap();
    account.secs(30);
    let lever = |status, reason: &str| fis::UpdateSafetyLeverStateRequest {
        id: "default".to_owned(),
        state: fis::UpdateSafetyLeverStateInput { status, reason: reason.to_owned() },
    };
    let engage = lever(fis::SafetyLeverStatusInput::Engaged, "an incident");
    let status = account.done(engage.clone()).safety_lever.unwrap().state.unwrap().status;
    assert_eq!(status, Some(fis::SafetyLeverStatus::Engaging));
    assert!(account.refused(engage).starts_with("ConflictException: "));
    account.secs(1);
    let state = account
        .done(fis::GetSafetyLeverRequest { id: "default".into() })
        .safety_lever
        .unwrap()
        .state
        .unwrap();
    assert_eq!(state.status, Some(fis::SafetyLeverStatus::Engaged));
    assert_eq!(state.reason.as_deref(), Some("an incident"));
    assert_eq!(account.told(&id), "stopped: Experiment stopped: the safety lever was engaged.");
    let request = account.start_request(&template);
    let id = account.done(request).experiment.unwrap().id.unwrap();
    account.secs(30);
    assert_eq!(account.told(&id), "cancelled: Experiment cancelled: the safety lever is engaged.");
    account.done(lever(fis::SafetyLeverStatusInput::Disengaged, "over"));
    let request = account.start_request(&template);
    let id = account.done(request).experiment.unwrap().id.unwrap();
    account.secs(30);
    assert_eq!(account.told(&id), "running: Experiment is running.");
}

fn logged(group: &str) -> Option<fis::CreateExperimentTemplateLogConfigurationInput> {
    Some(fis::CreateExperimentTemplateLogConfigurationInput {
        cloud_watch_logs_configuration: Some(fis::ExperimentTemplateCloudWatchLogsLogConfigurationInput {
            log_group_arn: format!("arn:aws:logs:us-east-1:000000000000:log-group:{group}:*"),
        }),
        s3_configuration: None,
        log_schema_version: 2,
    })
}

#[test]
fn the_log_tells_the_run() {
    let mut account = Account::new();
    let ids = account.launch(1, true, "a");
    account.done(logs::CreateLogGroupRequest { log_group_name: "fis".to_owned(), ..Default::default() });
    let targets = [("T", tagged("aws:ec2:spot-instance", "a", "ALL"))];
    let mut template = account.template(&targets, &[("A", interruption("PT2M"))]);
    template.log_configuration = logged("fis");
    let id = account.start(template);
    account.secs(15);
    let events = account.done(logs::GetLogEventsRequest {
        log_group_name: Some("fis".to_owned()),
        log_stream_name: format!("/aws/fis/{id}"),
        start_from_head: Some(true),
        ..Default::default()
    });
    let records: Vec<serde_json::Value> = events
        .events
        .unwrap()
        .iter()
        .map(|event| serde_json::from_str(event.message.as_deref().unwrap()).unwrap())
        .collect();
    let kinds: Vec<&str> = records.iter().map(|record| record["log_type"].as_str().unwrap()).collect();
    let expect = [
        "experiment-start",
        "target-resolution-start",
        "target-resolution-detail",
        "target-resolution-end",
        "action-start",
        "action-end",
        "experiment-end",
    ];
    assert_eq!(kinds, expect);
    assert!(records.iter().all(|record| record["id"] == id.as_str() && record["version"] == "2"));
    let arn = format!("arn:aws:ec2:us-east-1:000000000000:instance/{}", ids[0]);
    assert_eq!(records[3]["details"]["resolved_targets"], serde_json::json!([{ "arn": arn }]));
    assert_eq!(records[4]["details"]["parameters"]["durationBeforeInterruption"], "PT2M");
    assert_eq!(records[5]["details"]["action_state"]["reason"], "Action was completed.");
    assert_eq!(records[6]["details"]["experiment_end_time"], "2026-03-01T12:00:12Z");
    assert_eq!(records[6]["details"]["experiment_state"]["status"], "completed");
}

#[test]
fn a_log_without_its_group_fails_the_experiment() {
    let mut account = Account::new();
    let mut template = account.template(&[], &[("A", wait("PT1M", &[]))]);
    template.log_configuration = logged("nowhere");
    let id = account.start(template);
    account.secs(3);
    let reason = "Unable to write the experiment's log. The log group nowhere does not exist.";
    assert_eq!(account.told(&id), format!("failed: {reason}"));
}
