//! Spot interruptions on purpose: the timing table of the FIS guide (spec timelines.md A4).

use capstan_model::{InstanceId, Span};
use capstan_shapes::ec2::InstanceStateName;

use super::{Account, interruption, tagged};
use crate::Config;
use crate::ec2::Cause;

const SPOT: &str = "aws:ec2:spot-instance";

/// Signals of one instance, relative to the action's start: recommendation, notice, end.
#[test]
fn signals_come_in_time() {
    let check = |before: &str, notice: i64, gone: i64| {
        let mut account = Account::new();
        let ids = account.launch(1, true, "a");
        let template = account.template(&[("T", tagged(SPOT, "a", "ALL"))], &[("A", interruption(before))]);
        let id = account.start(template);
        let spot = |account: &Account| {
            let instance: InstanceId = ids[0].parse().unwrap();
            account.engine.ec2().instances().get(&instance).unwrap().spot.clone().unwrap()
        };
        // The first action starts 11 s after its experiment, which takes 12 s (observed).
        account.secs(10);
        assert_eq!(spot(&account).recommended_at, None, "{before}");
        account.secs(1);
        let t0 = account.now();
        assert_eq!(spot(&account).recommended_at, Some(t0), "{before}");
        let interruption = spot(&account).interruption.expect("an interruption");
        assert_eq!(interruption.cause, Cause::Experiment);
        assert_eq!(interruption.notice_at, t0 + Span::from_secs(notice), "{before}");
        assert_eq!(interruption.gone_at, t0 + Span::from_secs(gone), "{before}");
        account.secs(1);
        assert_eq!(account.told(&id), "completed: Experiment completed", "{before}");
        assert_eq!(account.action_told(&id, "A"), "completed: Action was completed.");
        let experiment = account.experiment(&id);
        let took = experiment.end_time.zip(experiment.start_time).map(|(end, start)| end - start);
        assert_eq!(took, Some(Span::from_secs(12)));

        account.pass(t0 + Span::from_secs(gone - 1) - account.now());
        assert_eq!(account.state_of(&ids[0]), InstanceStateName::Running, "{before}");
        account.secs(1);
        assert_eq!(account.state_of(&ids[0]), InstanceStateName::Terminated, "{before}");
    };
    check("PT2M", 0, 120);
    check("PT3M30S", 90, 210);
    check("PT5M", 180, 300);
    check("PT15M", 780, 900);
}

/// An On-Demand instance, one without the tag and one that is not chosen stay.
#[test]
fn only_chosen_spot_instances_go() {
    let check = |mode: &str, expect: usize| {
        let mut account = Account::new();
        let mut ids = account.launch(7, true, "a");
        ids.extend(account.launch(2, false, "a"));
        let others = account.launch(2, true, "b");
        let template = account.template(&[("T", tagged(SPOT, "a", mode))], &[("A", interruption("PT2M"))]);
        let id = account.start(template);
        account.secs(11 + 120);
        assert_eq!(account.count_in(&ids[..7], InstanceStateName::Terminated), expect, "{mode}");
        assert_eq!(account.count_in(&ids[7..], InstanceStateName::Running), 2, "{mode}");
        assert_eq!(account.count_in(&others, InstanceStateName::Running), 2, "{mode}");
        let listed = account.done(capstan_shapes::fis::ListExperimentResolvedTargetsRequest {
            experiment_id: id,
            ..Default::default()
        });
        assert_eq!(listed.resolved_targets.unwrap().len(), expect, "{mode}");
    };
    check("ALL", 7);
    check("COUNT(3)", 3);
    check("COUNT(20)", 7);
    check("PERCENT(50)", 3);
    check("PERCENT(100)", 7);
}

/// More than five are allowed, as today's quota page has it; a setting gives the console's.
#[test]
fn the_quota_is_a_setting() {
    let check = |quota: usize, count: i32, expect: &str| {
        let mut account = Account::of(Config { fis_spot_targets: quota, ..Config::new(3) });
        let _ids = account.launch(count, true, "a");
        let template = account.template(&[("T", tagged(SPOT, "a", "ALL"))], &[("A", interruption("PT2M"))]);
        let id = account.start(template);
        account.secs(12);
        assert_eq!(account.told(&id), expect);
    };
    let above = |resolved: usize, quota: usize| {
        format!(
            "failed: The target resolved to {resolved} resources. The quota for SpotInstances of \
             aws:ec2:send-spot-instance-interruptions is {quota}."
        )
    };
    check(100, 6, "completed: Experiment completed");
    check(5, 5, "completed: Experiment completed");
    check(5, 6, &above(6, 5));
    check(crate::fis::SPOT_TARGETS, 101, &above(101, 100));
}

#[test]
fn the_same_seed_chooses_the_same() {
    let chosen = |seed: u64| {
        let mut account = Account::of(Config::new(seed));
        let _ids = account.launch(30, true, "a");
        let template =
            account.template(&[("T", tagged(SPOT, "a", "COUNT(4)"))], &[("A", interruption("PT2M"))]);
        let id = account.start(template);
        account.secs(2);
        account.engine.fis().experiments().get(&id).unwrap().resolved["T"].clone()
    };
    assert_eq!(chosen(1), chosen(1));
    let mut sorted = chosen(1);
    sorted.sort();
    assert_eq!(chosen(1), sorted);
    assert_eq!(sorted.len(), 4);
}
