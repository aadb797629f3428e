//! Scripts: at such a second this happens; what the machine does about it, line by line. Time-outs fall due by themselves.

use super::*;
use crate::spec::{Dependency, HealthCheck, RestartPolicy};
use capstan_model::InstanceId;

/// `essential? name [dependency:CONDITION]`
fn container(text: &str) -> ContainerSpec {
    let mut words = text.split(' ');
    let name = words.next().expect("a name");
    let mut spec = ContainerSpec::new(name.trim_start_matches('-'), "image");
    spec.essential = !name.starts_with('-');
    for word in words {
        let (on, condition) = word.split_once(':').expect("name:CONDITION");
        let condition = match condition {
            "START" => Condition::Start,
            "COMPLETE" => Condition::Complete,
            "SUCCESS" => Condition::Success,
            "HEALTHY" => Condition::Healthy,
            other => panic!("{other}"),
        };
        spec.depends_on.push(Dependency { container_name: on.into(), condition });
    }
    spec
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn health_check(start_period: u64) -> Option<HealthCheck> {
    Some(HealthCheck {
        command: vec!["CMD".into(), "true".into()],
        interval: seconds(10),
        timeout: seconds(5),
        retries: 2,
        start_period: seconds(start_period),
    })
}

fn check(containers: Vec<ContainerSpec>, script: &str, expect: &str) {
    let names: Vec<String> = containers.iter().map(|c| c.name.clone()).collect();
    let place = |name: &str| names.iter().position(|n| n == name).expect(name);
    let spec = TaskSpec {
        arn: "arn:aws:ecs:eu-west-1:111122223333:task/c/t".into(),
        family: "f".into(),
        revision: 1,
        cluster: "c".into(),
        service: String::new(),
        instance: InstanceId(1),
        availability_zone: String::new(),
        capacity_provider: String::new(),
        lifecycle: String::new(),
        private_ip: None,
        metadata_endpoint: None,
        cpu: None,
        memory: None,
        containers,
        generation: 1,
    };
    let limits = Limits { stop_timeout: seconds(30), least_stop_timeout: seconds(1) };
    let mut machine = Machine::new(Arc::new(spec), limits);
    let mut seen = Vec::new();
    let mut apply = |machine: &mut Machine, at: u64, input| {
        let lines = machine.step(seconds(at), input).into_iter().map(|action| line(&names, &action));
        seen.extend(lines.map(|line| format!("{at} {line}")));
    };
    for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
        let (at, what) = step.split_once(' ').expect("a time and an input");
        let at = at.parse().expect("seconds");
        while let Some(due) = machine.next_deadline().filter(|due| *due < seconds(at)) {
            apply(&mut machine, due.as_secs(), Input::Tick);
        }
        let words: Vec<&str> = what.split(' ').collect();
        let input = match words[..] {
            ["tick"] => Input::Tick,
            ["started", name] => {
                let (container, runtime_id) = (place(name), format!("{name}-id"));
                Input::Started { container, runtime_id, bindings: Vec::new() }
            }
            ["failed", name] => Input::StartFailed { container: place(name), error: "no image".into() },
            ["exit", name, code] => {
                let code = code.parse().expect("a code");
                Input::Exited { container: place(name), exit: Exit { code, reason: None } }
            }
            ["pass" | "fail", name, run] => {
                let run = run.parse().expect("a run");
                Input::Probed { container: place(name), run, passed: words[0] == "pass" }
            }
            ["stop"] => Input::Stop { reason: Some("told to".into()) },
            ["restate", generation] => {
                Input::Restate { generation: generation.parse().expect("a generation") }
            }
            _ => panic!("{step}"),
        };
        apply(&mut machine, at, input);
    }
    let expect: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(seen, expect, "\n{}\n", seen.join("\n"));
}

fn line(names: &[String], action: &Action) -> String {
    let state = |state: &ContainerState| {
        let code = state.exit_code.map(|code| format!("({code})")).unwrap_or_default();
        let health = match state.health {
            HealthStatus::Unknown => "",
            known => known.as_str(),
        };
        format!("{}={}{code}{health}", state.name, state.status.as_str())
    };
    match action {
        Action::Start { container } => format!("start {}", names[*container]),
        Action::Probe { container, run } => format!("probe {} {run}", names[*container]),
        Action::Terminate { container } => format!("TERM {}", names[*container]),
        Action::Kill { container } => format!("KILL {}", names[*container]),
        Action::Report(Event::Container(change)) => format!("container {}", state(&change.container)),
        Action::Report(Event::Task(change)) => {
            let containers: Vec<String> = change.containers.iter().map(state).collect();
            let generation =
                if change.generation == 1 { String::new() } else { format!(" g{}", change.generation) };
            let code = change.stop_code.map(|code| format!(" {}", code.as_str())).unwrap_or_default();
            let reason = change.reason.as_ref().map(|reason| format!(" \"{reason}\"")).unwrap_or_default();
            format!("{}{generation} {}{code}{reason}", change.status.as_str(), containers.join(" "))
        }
    }
}

#[test]
fn an_essential_exit_stops_the_others() {
    check(
        vec![container("a"), container("-b")],
        "0 tick
         1 started a
         2 started b
         5 exit a 3
         6 exit b 143
         7 tick",
        "0 start a
         0 start b
         0 PENDING a=PENDING b=PENDING
         1 container a=RUNNING
         2 RUNNING a=RUNNING b=RUNNING
         5 TERM b
         5 container a=STOPPED(3)
         6 STOPPED a=STOPPED(3) b=STOPPED(143) EssentialContainerExited \"Essential container in task exited\"",
    );
}

#[test]
fn a_container_that_is_not_essential_may_end() {
    check(
        vec![container("a"), container("-b")],
        "0 tick
         1 started a
         1 started b
         5 exit b 1
         6 stop
         7 exit a 0",
        "0 start a
         0 start b
         0 PENDING a=PENDING b=PENDING
         1 container a=RUNNING
         1 RUNNING a=RUNNING b=RUNNING
         5 container b=STOPPED(1)
         6 TERM a
         7 STOPPED a=STOPPED(0) b=STOPPED(1) \"told to\"",
    );
}

#[test]
fn term_then_kill_after_the_stop_timeout_of_each() {
    let quick = ContainerSpec { stop_timeout: Some(seconds(2)), ..container("quick") };
    check(
        vec![container("a"), quick],
        "0 tick
         1 started a
         1 started quick
         10 stop
         20 exit quick 137
         20 stop
         41 exit a 137
         99 tick",
        "0 start a
         0 start quick
         0 PENDING a=PENDING quick=PENDING
         1 container a=RUNNING
         1 RUNNING a=RUNNING quick=RUNNING
         10 TERM a
         10 TERM quick
         12 KILL quick
         20 container quick=STOPPED(137)
         40 KILL a
         41 STOPPED a=STOPPED(137) quick=STOPPED(137) \"told to\"",
    );
}

#[test]
fn starts_in_order_and_stops_in_reverse() {
    check(
        vec![container("c b:START"), container("b a:START"), container("a")],
        "0 tick
         1 started a
         2 started b
         3 started c
         4 stop
         5 exit c 0
         6 exit b 0
         7 exit a 0",
        "0 start a
         0 PENDING c=PENDING b=PENDING a=PENDING
         1 start b
         1 container a=RUNNING
         2 start c
         2 container b=RUNNING
         3 RUNNING c=RUNNING b=RUNNING a=RUNNING
         4 TERM c
         5 TERM b
         5 container c=STOPPED(0)
         6 TERM a
         6 container b=STOPPED(0)
         7 STOPPED c=STOPPED(0) b=STOPPED(0) a=STOPPED(0) \"told to\"",
    );
}

#[test]
fn complete_and_success() {
    let containers =
        || vec![container("a init:SUCCESS clean:COMPLETE"), container("-init"), container("-clean")];
    let begin = "0 start init
         0 start clean
         0 PENDING a=PENDING init=PENDING clean=PENDING
         1 container init=RUNNING
         1 container clean=RUNNING
         2 container clean=STOPPED(7)";
    check(
        containers(),
        "0 tick
         1 started init
         1 started clean
         2 exit clean 7
         3 exit init 0
         4 started a",
        &format!(
            "{begin}
         3 start a
         3 container init=STOPPED(0)
         4 RUNNING a=RUNNING init=STOPPED(0) clean=STOPPED(7)"
        ),
    );
    check(
        containers(),
        "0 tick
         1 started init
         1 started clean
         2 exit clean 7
         3 exit init 1",
        &format!(
            "{begin}
         3 STOPPED a=STOPPED init=STOPPED(1) clean=STOPPED(7) TaskFailedToStart \"Container a waits for init to reach \
             SUCCESS, which cannot happen any more: it exited with code 1.\""
        ),
    );
}

#[test]
fn healthy_and_the_start_timeout() {
    let db = || ContainerSpec {
        health_check: health_check(0),
        start_timeout: Some(seconds(25)),
        ..container("db")
    };
    check(
        vec![db(), container("a db:HEALTHY")],
        "0 tick
         1 started db
         12 pass db 1
         13 started a
         23 fail db 1
         34 fail db 1
         45 pass db 1",
        "0 start db
         0 PENDING db=PENDING a=PENDING
         1 container db=RUNNING
         11 probe db 1
         12 start a
         12 container db=RUNNINGHEALTHY
         13 RUNNING db=RUNNINGHEALTHY a=RUNNING
         22 probe db 1
         33 probe db 1
         34 container db=RUNNINGUNHEALTHY
         44 probe db 1
         45 container db=RUNNINGHEALTHY",
    );
    check(
        vec![db(), container("a db:HEALTHY")],
        "0 tick
         1 started db
         12 fail db 1
         30 exit db 0",
        "0 start db
         0 PENDING db=PENDING a=PENDING
         1 container db=RUNNING
         11 probe db 1
         22 probe db 1
         26 TERM db
         26 container a=STOPPED
         30 STOPPED db=STOPPED(0) a=STOPPED TaskFailedToStart \"Container a waited for db to reach HEALTHY, which did not \
             happen within its start timeout of 25 seconds.\"",
    );
}

#[test]
fn failures_in_the_start_period_do_not_count_until_a_success() {
    let slow = ContainerSpec { health_check: health_check(60), ..container("a") };
    check(
        vec![slow],
        "0 tick
         0 started a
         10 fail a 1
         20 fail a 1
         30 pass a 1
         40 fail a 1
         50 fail a 1
         50 pass a 9",
        "0 start a
         0 PENDING a=PENDING
         0 RUNNING a=RUNNING
         30 container a=RUNNINGHEALTHY
         50 container a=RUNNINGUNHEALTHY",
    );
}

#[test]
fn what_cannot_start_says_why() {
    check(
        vec![container("a"), container("b")],
        "0 tick
         1 failed a
         2 started b
         3 exit b 0",
        "0 start a
         0 start b
         0 PENDING a=PENDING b=PENDING
         1 container a=STOPPED
         2 TERM b
         2 container b=RUNNING
         3 STOPPED a=STOPPED b=STOPPED(0) TaskFailedToStart \"no image\"",
    );
    check(
        vec![container("a b:START"), container("b a:START")],
        "0 tick",
        "0 STOPPED a=STOPPED b=STOPPED TaskFailedToStart \"The dependsOn conditions of the task's containers wait for each \
             other.\"",
    );
    check(
        vec![container("a b:START")],
        "0 tick",
        "0 STOPPED a=STOPPED TaskFailedToStart \"Container a depends on b, which the task does not have.\"",
    );
    check(
        vec![container("a b:HEALTHY"), container("b")],
        "0 tick",
        "0 STOPPED a=STOPPED b=STOPPED TaskFailedToStart \"Container a waits for b to reach HEALTHY, which cannot happen \
             any more: it has no health check.\"",
    );
    check(vec![], "0 tick", "0 STOPPED  TaskFailedToStart \"The task has no containers.\"");
}

#[test]
fn a_restart_policy_starts_it_again() {
    let policy = RestartPolicy { ignored_exit_codes: vec![0], attempt_period: seconds(60) };
    let again = ContainerSpec { restart_policy: Some(policy), ..container("-r") };
    check(
        vec![container("a"), again],
        "0 tick
         0 started a
         0 started r
         60 exit r 1
         61 started r
         100 exit r 1",
        "0 start a
         0 start r
         0 PENDING a=PENDING r=PENDING
         0 container a=RUNNING
         0 RUNNING a=RUNNING r=RUNNING
         60 start r
         61 container r=RUNNING
         100 container r=STOPPED(1)",
    );
}

#[test]
fn a_stop_while_starting_waits_for_the_start() {
    check(
        vec![container("a"), container("b a:START")],
        "0 tick
         1 stop
         2 started a
         3 exit a 0
         4 restate 5",
        "0 start a
         0 PENDING a=PENDING b=PENDING
         1 container b=STOPPED
         2 TERM a
         2 container a=RUNNING
         3 STOPPED a=STOPPED(0) b=STOPPED \"told to\"
         4 STOPPED g5 a=STOPPED(0) b=STOPPED \"told to\"",
    );
}
