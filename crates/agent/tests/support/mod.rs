//! A host with one agent, real processes, and the events that it sends.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use capstan_agent::{
    AddressBook, Agent, Command, ContainerSpec, ContainerState, Event, InstanceOptions, Options, PortMapping,
    ProcessRuntime, Protocol, Runtime, TaskSpec, TaskStateChange, TaskStatus,
};
use capstan_model::InstanceId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

pub(crate) const INSTANCE: InstanceId = InstanceId(0xabc);
/// Far more than anything here takes; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Host {
    pub(crate) runtime: Runtime,
    pub(crate) addresses: AddressBook,
    pub(crate) agent: Agent,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) directory: PathBuf,
    next_task: u32,
}

impl Host {
    pub(crate) fn new(time_scale: u32) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("capstan-test-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let options = Options {
            capstan_exe: capstan_exe(&directory),
            state_dir: Some(directory.join("state")),
            environment: vec![("FROM_SERVER".into(), "yes".into())],
        };
        let addresses = AddressBook::default();
        let runtime = Runtime::Process(ProcessRuntime::new(options, addresses.clone()).expect("a runtime"));
        let (sender, events) = mpsc::unbounded_channel();
        let options = InstanceOptions { time_scale, ..InstanceOptions::new(INSTANCE) };
        let agent = Agent::start(options, runtime.clone(), sender);
        Self { runtime, addresses, agent, events, directory, next_task: 0 }
    }

    /// A task of these containers, not yet sent.
    pub(crate) fn task(&mut self, containers: Vec<ContainerSpec>) -> TaskSpec {
        self.next_task += 1;
        TaskSpec {
            // Other tests run at the same time, and processes are found by the ids of their tasks.
            arn: format!(
                "arn:aws:ecs:eu-west-1:111122223333:task/fleet/{:016x}{:016x}",
                std::process::id(),
                self.next_task
            ),
            family: "shop".into(),
            revision: 3,
            cluster: "fleet".into(),
            service: "front".into(),
            instance: INSTANCE,
            availability_zone: "eu-west-1b".into(),
            capacity_provider: "spot-provider".into(),
            lifecycle: "spot".into(),
            private_ip: None,
            metadata_endpoint: None,
            cpu: None,
            memory: None,
            containers,
            generation: 1,
        }
    }

    /// Sends a task of these containers; its ARN.
    pub(crate) fn run(&mut self, containers: Vec<ContainerSpec>) -> String {
        let task = self.task(containers);
        self.send(&task)
    }

    pub(crate) fn send(&self, task: &TaskSpec) -> String {
        self.agent.send(Command::RunTask(Box::new(task.clone())));
        task.arn.clone()
    }

    pub(crate) fn stop(&self, task: &str, generation: u64) {
        let reason = Some("Task stopped by user".into());
        self.agent.send(Command::StopTask { task: task.into(), generation, reason });
    }

    pub(crate) async fn event(&mut self) -> Event {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event in time").expect("an agent")
    }

    /// The next report of the task in that status; all before it are passed over.
    pub(crate) async fn reached(&mut self, task: &str, status: TaskStatus) -> TaskStateChange {
        loop {
            if let Event::Task(change) = self.event().await
                && change.task == task
                && change.status == status
            {
                return change;
            }
        }
    }

    /// Reads a container's log until it has the line; events do not tell what is printed. Before the line may stand what
    /// the test harness prints in a stand-in.
    pub(crate) async fn printed(&self, task: &str, container: &str, line: &str) {
        let found = async {
            while !self.lines(task, container).iter().any(|text| text.ends_with(line)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, found).await.is_err() {
            panic!("{line:?} is not in {:?}", self.lines(task, container));
        }
    }

    pub(crate) fn lines(&self, task: &str, container: &str) -> Vec<String> {
        let lines = self.runtime.logs(task, container).unwrap_or_default();
        lines.into_iter().map(|line| line.text).collect()
    }

    /// Ends everything; nothing may be left.
    pub(crate) async fn end(mut self) {
        self.agent.send(Command::Kill);
        self.agent.ended().await;
        self.runtime.shutdown().await;
        std::fs::remove_dir_all(&self.directory).expect("remove the directory");
    }
}

/// A container that runs a line of shell.
pub(crate) fn shell(name: &str, line: &str) -> ContainerSpec {
    ContainerSpec {
        entry_point: vec!["/bin/sh".into(), "-c".into()],
        command: vec![line.into()],
        ..ContainerSpec::new(name, "public.ecr.aws/any/image:1")
    }
}

pub(crate) fn port(container_port: u16, host_port: u16) -> PortMapping {
    PortMapping { container_port, host_port, protocol: Protocol::Tcp, name: None }
}

pub(crate) fn state<'a>(change: &'a TaskStateChange, container: &str) -> &'a ContainerState {
    change.containers.iter().find(|state| state.name == container).expect("the container")
}

/// Sends one request on a connection of its own; the whole answer.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    answer
}

/// Whether a process runs; one that is dead and only not yet waited for does not.
pub(crate) fn runs(pid: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next().map(str::to_owned));
    !matches!(state.as_deref(), Some("Z" | "X"))
}

/// Stands for the `capstan` binary, which this crate does not build: this test binary again, at its server.
fn capstan_exe(directory: &std::path::Path) -> PathBuf {
    let this = std::env::current_exe().expect("this binary");
    let exe = directory.join("capstan");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = web ] || exit 9\nshift\nexport WEB_ARGUMENTS=\"$*\"\n\
         exec '{}' --exact serves_as_capstan_web --ignored --nocapture\n",
        this.display()
    );
    std::fs::write(&exe, script).expect("write the script");
    std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o755)).expect("make it executable");
    exe
}

/// What `capstan web` does, as the stand-in for it. Ends the process.
pub(crate) async fn serve_web() {
    use capstan_agent::workload::web;
    let arguments = std::env::var("WEB_ARGUMENTS").unwrap_or_default();
    let arguments = arguments.split_whitespace().map(str::to_owned);
    let code = match web::Options::parse(arguments, |name| std::env::var(name).ok()) {
        Ok(options) => web::run(options).await.expect("serve"),
        Err(_) => 2,
    };
    std::process::exit(code.into());
}
