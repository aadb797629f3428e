//! The agent and the process runtime with real processes.

mod support;

use std::io::Write;
use std::time::Duration;

use capstan_agent::{
    Agent, Command, Condition, ContainerSpec, ContainerStatus, Dependency, Event, HealthCheck, HealthStatus,
    InstanceOptions, RestartPolicy, StopCode, Stream, TaskSpec, TaskStatus, Usage,
};
use capstan_model::{InstanceId, Resources};
use tokio::io::{AsyncBufReadExt, BufReader};

use support::{Host, INSTANCE, PATIENCE, get, port, runs, shell, state};

#[tokio::test]
async fn exit_codes_and_reasons() {
    let mut host = Host::new(1);
    for (line, expect) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)] {
        let task = host.run(vec![shell("app", line)]);
        let over = host.reached(&task, TaskStatus::Stopped).await;
        assert_eq!(state(&over, "app").exit_code, Some(expect), "{line}");
        assert_eq!(over.reason.as_deref(), Some("Essential container in task exited"));
        assert_eq!(over.stop_code, Some(StopCode::EssentialContainerExited));
        assert_eq!(over.generation, 1);
    }
    host.end().await;
}

#[tokio::test]
async fn what_cannot_start_says_so() {
    let mut host = Host::new(1);
    let missing = |command: &str| ContainerSpec {
        command: vec![command.into()],
        ..ContainerSpec::new("app", "nginx:latest")
    };
    let nowhere = ContainerSpec { working_directory: Some("/no/such".into()), ..shell("app", "true") };
    for (container, expect) in [
        (ContainerSpec::new("app", "nginx:latest"), "CannotPullContainerError: the process runtime"),
        (
            missing("no-such-program"),
            "CannotStartContainerError: exec: \"no-such-program\": executable file not found",
        ),
        (missing("/no/such"), "CannotStartContainerError: exec: \"/no/such\": no such file or directory"),
        (nowhere, "CannotStartContainerError: workingDirectory \"/no/such\""),
        (missing("a\0b"), "CannotStartContainerError: "),
    ] {
        let task = host.run(vec![container.clone()]);
        let over = host.reached(&task, TaskStatus::Stopped).await;
        assert_eq!(over.stop_code, Some(StopCode::TaskFailedToStart));
        let reason = over.reason.clone().expect("a reason");
        assert!(reason.starts_with(expect), "{reason}");
        assert_eq!(state(&over, "app").reason, over.reason);
        assert_eq!(state(&over, "app").exit_code, None);
    }
    host.end().await;
}

#[tokio::test]
async fn told_who_it_is() {
    let mut host = Host::new(1);
    let line = "echo $ECS_CONTAINER_NAME $CAPSTAN_TASK_ID $CAPSTAN_CLUSTER $CAPSTAN_SERVICE $CAPSTAN_AVAILABILITY_ZONE; \
                echo $CAPSTAN_INSTANCE_ID $CAPSTAN_CAPACITY_PROVIDER $CAPSTAN_LIFECYCLE $FROM_SERVER $OWN; \
                echo $CAPSTAN_TASK_ARN; echo home:$HOME; pwd";
    let container = ContainerSpec {
        environment: vec![
            ("OWN".into(), "1".into()),
            ("OWN".into(), "2".into()),
            ("CAPSTAN_LIFECYCLE".into(), "mine".into()),
        ],
        working_directory: Some("/".into()),
        ..shell("app", line)
    };
    let task = host.run(vec![container]);
    host.reached(&task, TaskStatus::Stopped).await;
    let id = task.rsplit('/').next().expect("an id");
    assert_eq!(
        host.lines(&task, "app"),
        [
            &format!("app {id} fleet front eu-west-1b"),
            "i-00000000000000abc spot-provider mine yes 2",
            &task,
            "home:",
            "/"
        ]
    );
    host.end().await;
}

#[tokio::test]
async fn output_is_kept_in_order_of_each_stream() {
    let mut host = Host::new(1);
    let task = host.run(vec![shell("app", "echo one; echo two; printf three; echo oops >&2")]);
    host.reached(&task, TaskStatus::Stopped).await;
    let lines = host.runtime.logs(&task, "app").expect("logs");
    let of = |stream| -> Vec<&str> {
        lines.iter().filter(|line| line.stream == stream).map(|line| line.text.as_str()).collect()
    };
    assert_eq!(of(Stream::Stdout), ["one", "two", "three"]);
    assert_eq!(of(Stream::Stderr), ["oops"]);
    let id = task.rsplit('/').next().expect("an id");
    let file = host.directory.join(format!("state/logs/{id}/app.log"));
    let text = std::fs::read_to_string(file).expect("the log file");
    assert!(text.contains("one\ntwo\nthree") && text.contains("oops\n"), "{text}");
    assert_eq!(host.runtime.logs(&task, "other"), None);
    assert_eq!(host.runtime.logs("other", "app"), None);
    host.end().await;
}

#[tokio::test]
async fn term_is_heard() {
    let mut host = Host::new(1);
    let line = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    let task = host.run(vec![shell("app", line)]);
    host.reached(&task, TaskStatus::Running).await;
    host.printed(&task, "app", "ready").await;
    host.stop(&task, 1);
    let over = host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(state(&over, "app").exit_code, Some(3));
    assert_eq!(over.reason.as_deref(), Some("Task stopped by user"));
    assert_eq!(over.stop_code, None, "the one who asked knows the code");
    assert_eq!(host.lines(&task, "app").last().map(String::as_str), Some("bye"));
    host.end().await;
}

#[tokio::test]
async fn who_does_not_hear_term_is_killed_with_all_its_children() {
    let mut host = Host::new(60);
    let line = "trap '' TERM; sleep 1000 & echo child $!; echo ready; while :; do sleep 0.01; done";
    let task = host.run(vec![shell("app", line)]);
    host.printed(&task, "app", "ready").await;
    host.stop(&task, 1);
    let over = host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(state(&over, "app").exit_code, Some(137));
    let child = host.lines(&task, "app")[0].clone();
    assert!(!runs(child.strip_prefix("child ").expect("a child")), "{child}");
    host.end().await;
}

#[tokio::test]
async fn an_essential_exit_ends_the_task() {
    let mut host = Host::new(1);
    let side = ContainerSpec {
        essential: false,
        ..shell("side", "trap 'exit 0' TERM; while :; do sleep 0.01; done")
    };
    let task = host.run(vec![shell("app", "exit 5"), side]);
    let over = host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(state(&over, "app").exit_code, Some(5));
    assert!(matches!(state(&over, "side").exit_code, Some(0 | 143)), "{over:?}");
    assert_eq!(over.reason.as_deref(), Some("Essential container in task exited"));
    host.end().await;
}

#[tokio::test]
async fn dependencies_order_the_start_and_the_stop() {
    let mut host = Host::new(1);
    let journal = host.directory.join("journal");
    let path = journal.display().to_string();
    let wait = "while :; do sleep 0.01; done";
    let line = |name: &str| {
        shell(
            name,
            &format!("trap 'echo stop {name} >> {path}; exit 0' TERM; echo start {name} >> {path}; {wait}"),
        )
    };
    let on = |name: &str, condition| Dependency { container_name: name.into(), condition };
    let init = ContainerSpec { essential: false, ..shell("init", &format!("echo init >> {path}")) };
    let db = ContainerSpec {
        depends_on: vec![on("init", Condition::Success)],
        health_check: Some(HealthCheck {
            command: vec!["CMD-SHELL".into(), format!("grep -q 'start db' {path}")],
            interval: Duration::from_millis(10),
            timeout: Duration::from_secs(30),
            retries: 3,
            start_period: Duration::ZERO,
        }),
        ..line("db")
    };
    let app = ContainerSpec { depends_on: vec![on("db", Condition::Healthy)], ..line("app") };
    let task = host.run(vec![app, db, init]);
    host.reached(&task, TaskStatus::Running).await;
    let text = || std::fs::read_to_string(&journal).unwrap_or_default();
    let started = async {
        while !text().contains("start app") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, started).await.expect("app starts");
    host.stop(&task, 1);
    host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(text(), "init\nstart db\nstart app\nstop app\nstop db\n");
    host.end().await;
}

#[tokio::test]
async fn health_is_reported_when_it_changes() {
    let mut host = Host::new(1);
    let app = ContainerSpec {
        environment: vec![("FLAG".into(), host.directory.join("flag").display().to_string())],
        health_check: Some(HealthCheck {
            command: vec!["CMD".into(), "sh".into(), "-c".into(), "test ! -e $FLAG".into()],
            interval: Duration::from_millis(10),
            timeout: Duration::from_secs(30),
            retries: 2,
            start_period: Duration::ZERO,
        }),
        ..shell("app", "sleep 1000")
    };
    let task = host.run(vec![app]);
    let running = host.reached(&task, TaskStatus::Running).await;
    assert_eq!(state(&running, "app").health, HealthStatus::Unknown);
    for expect in [HealthStatus::Healthy, HealthStatus::Unhealthy] {
        let Event::Container(change) = host.event().await else { panic!("not a container's") };
        assert_eq!((change.container.health, change.container.status), (expect, ContainerStatus::Running));
        std::fs::write(host.directory.join("flag"), "").expect("a flag");
    }
    host.end().await;
}

#[tokio::test]
async fn a_health_check_that_hangs_is_killed_and_fails() {
    let mut host = Host::new(1000);
    let app = ContainerSpec {
        health_check: Some(HealthCheck {
            command: vec!["CMD-SHELL".into(), "echo $$ >> pids; sleep 1000".into()],
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            retries: 1,
            start_period: Duration::ZERO,
        }),
        working_directory: Some(host.directory.display().to_string()),
        ..shell("app", "sleep 1000")
    };
    let task = host.run(vec![app]);
    host.reached(&task, TaskStatus::Running).await;
    let Event::Container(change) = host.event().await else { panic!("not a container's") };
    assert_eq!(change.container.health, HealthStatus::Unhealthy);
    let pids = std::fs::read_to_string(host.directory.join("pids")).expect("pids");
    assert!(!runs(pids.lines().next().expect("a pid")));
    host.end().await;
}

#[tokio::test]
async fn ports_are_told_reported_and_looked_up() {
    let mut host = Host::new(1);
    let echo = "echo $PORT $CAPSTAN_PORT_80 $CAPSTAN_PORT_81 $CAPSTAN_PORT_9000 $HOST; sleep 1000";
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let busy = held.local_addr().expect("an address").port();
    let app = ContainerSpec { port_mappings: vec![port(80, 0), port(81, busy)], ..shell("app", echo) };
    let side = ContainerSpec {
        port_mappings: vec![port(9000, 0)],
        environment: vec![("PORT".into(), "9000".into())],
        ..shell("side", echo)
    };
    let task = host.run(vec![app, side]);
    let running = host.reached(&task, TaskStatus::Running).await;
    let bindings = state(&running, "app").network_bindings.clone();
    assert_eq!(bindings.len(), 2);
    assert_eq!((bindings[0].container_port, bindings[1].container_port), (80, 81));
    assert_eq!(bindings[0].bind_ip, "0.0.0.0");
    assert_eq!(bindings[1].host_port, busy, "the declared port is reported");

    let dynamic = host.addresses.of_instance(INSTANCE, bindings[0].host_port).expect("an address");
    assert_eq!(dynamic.port(), bindings[0].host_port, "a dynamic port is the real one");
    let fixed = host.addresses.of_instance(INSTANCE, busy).expect("an address");
    assert_ne!(fixed.port(), busy, "it is held by somebody else");
    let other = host
        .addresses
        .of_instance(INSTANCE, state(&running, "side").network_bindings[0].host_port)
        .expect("an address");
    let line = |port: u16| format!("{port} {} {} {} 127.0.0.1", dynamic.port(), fixed.port(), other.port());
    host.printed(&task, "app", &line(dynamic.port())).await;
    host.printed(&task, "side", &line(other.port())).await;

    host.stop(&task, 1);
    host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(host.addresses.of_instance(INSTANCE, busy), None, "gone with the container");
    host.end().await;
}

#[tokio::test]
async fn a_task_with_its_own_address() {
    let mut host = Host::new(1);
    let ip = "10.0.1.7".parse().expect("an address");
    let app = ContainerSpec { port_mappings: vec![port(80, 80)], ..shell("app", "sleep 1000") };
    let task = TaskSpec { private_ip: Some(ip), ..host.task(vec![app]) };
    host.send(&task);
    let running = host.reached(&task.arn, TaskStatus::Running).await;
    assert_eq!(state(&running, "app").network_bindings, []);
    assert!(host.addresses.of_task_ip(ip, 80).is_some());
    assert_eq!(host.addresses.of_instance(INSTANCE, 80), None);
    host.end().await;
}

#[tokio::test]
async fn a_restart_keeps_the_task_its_ports_and_its_log() {
    let mut host = Host::new(1);
    let policy = RestartPolicy { ignored_exit_codes: vec![0], attempt_period: Duration::ZERO };
    let app = ContainerSpec {
        port_mappings: vec![port(80, 0)],
        restart_policy: Some(policy),
        working_directory: Some(host.directory.display().to_string()),
        ..shell("app", "echo $PORT; echo >> runs; test $(wc -l < runs) = 3")
    };
    let task = host.run(vec![app]);
    let running = host.reached(&task, TaskStatus::Running).await;
    let over = host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(state(&over, "app").exit_code, Some(0));
    assert_ne!(state(&over, "app").runtime_id, state(&running, "app").runtime_id);
    let real = state(&running, "app").network_bindings[0].host_port.to_string();
    assert_eq!(host.lines(&task, "app"), [&*real, &*real, &*real]);
    host.end().await;
}

/// The watchdog: SIGKILL gives the server no chance to clean up.
#[tokio::test]
async fn nothing_survives_a_server_that_is_killed() {
    let mut server = tokio::process::Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "runs_as_a_server", "--ignored", "--nocapture"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a server");
    let mut lines = BufReader::new(server.stdout.take().expect("its output")).lines();
    let found = async {
        loop {
            let line = lines.next_line().await.expect("read").expect("a line");
            if let Some((_, pid)) = line.split_once("task ") {
                return pid.to_owned();
            }
        }
    };
    let pid = tokio::time::timeout(PATIENCE, found).await.expect("the server's task");
    assert!(runs(&pid));
    server.kill().await.expect("kill");
    let dead = async {
        while runs(&pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dead).await.expect("the watchdog kills it");
}

/// Not a test: the server of the one above.
#[tokio::test]
#[ignore = "started by the one above"]
async fn runs_as_a_server() {
    let mut host = Host::new(1);
    let task =
        host.run(vec![shell("app", "trap '' TERM; echo $$; echo ready; while :; do sleep 0.01; done")]);
    host.printed(&task, "app", "ready").await;
    // The directory goes now: this process has no orderly end.
    std::fs::remove_dir_all(&host.directory).expect("remove the directory");
    writeln!(std::io::stdout(), "task {}", host.lines(&task, "app")[0]).expect("write");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn kill_leaves_no_process_and_says_nothing() {
    let mut host = Host::new(1);
    // One that ignores SIGTERM, one with a child, and one that left its group and its session.
    let lines = [
        "trap '' TERM; echo $$; echo ready; while :; do sleep 0.01; done",
        "sleep 1000 & echo $!; echo ready; wait",
        "setsid sh -c 'echo $$; echo ready; exec sleep 1000' & wait",
    ];
    let tasks: Vec<String> = lines.iter().map(|line| host.run(vec![shell("app", line)])).collect();
    let mut pids = Vec::new();
    for task in &tasks {
        host.printed(task, "app", "ready").await;
        pids.push(host.lines(task, "app")[0].clone());
    }
    assert!(pids.iter().all(|pid| runs(pid)));
    assert_eq!(host.agent.usage().tasks, 3);
    while host.events.try_recv().is_ok() {}
    host.agent.send(Command::Kill);
    host.agent.ended().await;
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
    assert_eq!(host.events.recv().await, None, "a dead host says nothing");
    host.end().await;
}

/// Deaf to signals, with a child in its group, one in a session of its own, and children that come and go.
const STUBBORN: &str = "trap '' TERM INT HUP; sleep 1000 & echo $!; \
    setsid sh -c 'trap \"\" TERM; while :; do sleep 0.01; done' & echo $!; \
    echo $$; echo ready; while :; do (sleep 0.02; :) & sleep 0.01; done";

#[tokio::test]
async fn an_instance_without_power_runs_nothing_and_comes_back_empty() {
    let mut host = Host::new(1);
    let task = host.run(vec![shell("app", STUBBORN)]);
    host.printed(&task, "app", "ready").await;
    let pids: Vec<String> = host.lines(&task, "app").into_iter().take(3).collect();
    assert!(pids.iter().all(|pid| runs(pid)), "{pids:?}");
    // It hears of a stop, and goes on.
    host.stop(&task, 1);
    host.runtime.power_off(INSTANCE);
    let refused = host.task(vec![shell("app", "echo never")]);
    host.send(&refused);
    let over = host.reached(&refused.arn, TaskStatus::Stopped).await;
    assert!(state(&over, "app").reason.as_deref().is_some_and(|why| why.contains("the instance is gone")));
    host.agent.send(Command::Kill);
    host.agent.ended().await;
    assert!(host.agent.has_ended());
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
    let left = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let id = task.rsplit('/').next()?;
        String::from_utf8_lossy(&environment).contains(id).then(|| entry.file_name())
    });
    assert_eq!(left.collect::<Vec<_>>(), Vec::<std::ffi::OsString>::new());

    // Started again, the instance is an empty machine.
    let (sender, events) = tokio::sync::mpsc::unbounded_channel();
    host.agent = Agent::start(InstanceOptions::new(INSTANCE), host.runtime.clone(), sender);
    host.events = events;
    assert!(!host.agent.has_ended());
    let next = host.run(vec![shell("app", "exit 0")]);
    let over = host.reached(&next, TaskStatus::Stopped).await;
    assert_eq!(state(&over, "app").exit_code, Some(0));
    host.end().await;
}

#[tokio::test]
async fn dropping_everything_kills_everything() {
    let mut host = Host::new(1);
    let task =
        host.run(vec![shell("app", "trap '' TERM; echo $$; echo ready; while :; do sleep 0.01; done")]);
    host.printed(&task, "app", "ready").await;
    let pid = host.lines(&task, "app")[0].clone();
    let Host { runtime, agent, directory, .. } = host;
    drop((agent, runtime));
    let dead = async {
        while runs(&pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dead).await.expect("it is killed");
    std::fs::remove_dir_all(directory).expect("remove the directory");
}

#[tokio::test]
async fn shutdown_stops_in_order_and_ends() {
    let mut host = Host::new(1);
    let task = host.run(vec![shell("app", "trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done")]);
    host.printed(&task, "app", "ready").await;
    host.agent.send(Command::Shutdown);
    let late = host.run(vec![shell("app", "true")]);
    let refused = host.reached(&late, TaskStatus::Stopped).await;
    assert_eq!(refused.reason.as_deref(), Some("Host EC2 (instance i-00000000000000abc) terminated."));
    let over = host.reached(&task, TaskStatus::Stopped).await;
    assert_eq!(over.reason, refused.reason);
    assert_eq!(state(&over, "app").exit_code, Some(4));
    host.agent.ended().await;
    host.end().await;
}

#[tokio::test]
async fn orders_may_come_twice_late_or_in_the_wrong_order() {
    let mut host = Host::new(1);
    let task = TaskSpec { generation: 5, ..host.task(vec![shell("app", "echo started; sleep 1000")]) };
    host.send(&task);
    let running = host.reached(&task.arn, TaskStatus::Running).await;
    assert_eq!(running.generation, 5);

    // The same again, an older one, an older stop: nothing happens.
    host.send(&task);
    host.send(&TaskSpec { generation: 4, ..task.clone() });
    host.stop(&task.arn, 4);
    // A newer one is asked again: where it stands.
    host.send(&TaskSpec { generation: 6, ..task.clone() });
    let Event::Task(again) = host.event().await else { panic!("not a task's") };
    assert_eq!((again.status, again.generation), (TaskStatus::Running, 6));
    assert_eq!(again.containers, running.containers, "not started again");

    host.stop(&task.arn, 6);
    let Event::Task(over) = host.event().await else { panic!("not a task's") };
    assert_eq!((over.status, over.generation), (TaskStatus::Stopped, 6));
    assert_eq!(state(&over, "app").exit_code, Some(143));
    host.send(&TaskSpec { generation: 6, ..task.clone() });
    host.stop(&task.arn, 7);
    let Event::Task(restated) = host.event().await else { panic!("not a task's") };
    assert_eq!((restated.status, restated.generation), (TaskStatus::Stopped, 7));
    assert_eq!(restated.reason, over.reason);

    // A stop that overtakes its run.
    let overtaken = TaskSpec { generation: 2, ..host.task(vec![shell("app", "true")]) };
    host.stop(&overtaken.arn, 2);
    let Event::Task(unknown) = host.event().await else { panic!("not a task's") };
    assert_eq!((unknown.task.as_str(), unknown.status), (overtaken.arn.as_str(), TaskStatus::Stopped));
    host.send(&overtaken);

    // Of all that was to be ignored nothing was heard.
    let last = host.run(vec![shell("app", "true")]);
    let Event::Task(next) = host.event().await else { panic!("not a task's") };
    assert_eq!(next.task, last);

    let elsewhere = TaskSpec { instance: InstanceId(1), ..host.task(vec![]) };
    host.send(&elsewhere);
    let over = host.reached(&elsewhere.arn, TaskStatus::Stopped).await;
    assert!(over.reason.expect("a reason").contains("was sent to i-00000000000000abc"));
    host.end().await;
}

#[tokio::test]
async fn usage_counts_what_is_not_over() {
    let mut host = Host::new(1);
    let part = ContainerSpec { cpu: 128, memory: Some(512), ..shell("part", "sleep 1000") };
    let soft = ContainerSpec { memory_reservation: Some(100), name: "soft".into(), ..part.clone() };
    let sum = host.run(vec![part.clone(), soft]);
    let whole = TaskSpec { cpu: Some(1024), memory: Some(2048), ..host.task(vec![part]) };
    host.send(&whole);
    host.reached(&sum, TaskStatus::Running).await;
    host.reached(&whole.arn, TaskStatus::Running).await;
    let resources = Resources { cpu: 256 + 1024, memory: 612 + 2048 };
    assert_eq!(host.agent.usage(), Usage { tasks: 2, resources });
    for task in [&sum, &whole.arn] {
        host.stop(task, 1);
        host.reached(task, TaskStatus::Stopped).await;
    }
    assert_eq!(host.agent.usage(), Usage::default());
    host.end().await;
}

#[tokio::test]
async fn many_tasks_of_one_port_live_side_by_side() {
    let mut host = Host::new(1);
    let web = ContainerSpec {
        image: "capstan/web".into(),
        entry_point: vec![],
        command: vec![],
        port_mappings: vec![port(80, 0)],
        ..shell("web", "")
    };
    let tasks: Vec<String> = (0..5).map(|_| host.run(vec![web.clone()])).collect();
    let mut left = tasks.len();
    while left > 0 {
        let Event::Task(change) = host.event().await else { continue };
        if change.status != TaskStatus::Running {
            continue;
        }
        left -= 1;
        let host_port = state(&change, "web").network_bindings[0].host_port;
        let address = host.addresses.of_instance(INSTANCE, host_port).expect("an address");
        host.printed(&change.task, "web", &format!("capstan web listens on http://{address}")).await;
        let answer = get(address, "/", "").await;
        assert!(answer.contains(&change.task), "{answer}");
    }
    host.end().await;
}

/// Not a test: what the stand-in for the `capstan` binary runs.
#[tokio::test]
#[ignore = "started by the others"]
async fn serves_as_capstan_web() {
    support::serve_web().await;
}
