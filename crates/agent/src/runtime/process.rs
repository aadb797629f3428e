//! Runs containers as plain processes of this host, each in a process group of its own.
//!
//! The image is not used, except to tell Capstan's own workloads (`program`). A container is gone when its first process
//! is gone: what that leaves behind is killed, as the end of a PID namespace would kill it. Nothing outlives the runtime:
//! its groups are killed when it is shut down or dropped, and by a watchdog when this process dies.
//!
//! There are no network namespaces: a container port is some free port of 127.0.0.1, told by `PORT` (the first mapping)
//! and `CAPSTAN_PORT_<containerPort>`, to health checks too (`curl -f http://localhost:$PORT/health`). CPU and memory are
//! not limited.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, SystemTime};

use capstan_model::InstanceId;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::address::{AddressBook, Key};
use crate::event::NetworkBinding;
use crate::logs::{ContainerLog, ForwardedLine, LogLine, Stream, Tap};
use crate::ports::PortPool;
use crate::runtime::program::{self, Program};
use crate::runtime::sweep::{CONTAINER_ID, group_is_gone, kill_escaped};
use crate::runtime::usage::{self, Used};
use crate::runtime::watchdog::Watchdog;
use crate::runtime::{Exit, StartError, Started};
use crate::spec::{ContainerSpec, PortMapping, Protocol, TaskSpec};

/// Tasks that are over and whose logs can still be read from memory.
const CLOSED_TASKS_KEPT: usize = 200;
/// A process that kept the output open and is not ours to kill does not hold up the report for longer.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
pub struct Options {
    /// The `capstan` binary, which is also the image `capstan/web`.
    pub capstan_exe: PathBuf,
    /// Logs (`logs/TASK/CONTAINER.log`) and working directories. `None`: a temporary directory that goes with the runtime.
    pub state_dir: Option<PathBuf>,
    /// Variables for every container. Nothing else of this process's environment is passed on; `PATH` has a default.
    pub environment: Vec<(String, String)>,
}

/// Shared by the agents of all instances of this host. Clones share one runtime; dropping the last kills what runs.
#[derive(Clone, Debug)]
pub struct ProcessRuntime(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: Options,
    state_dir: PathBuf,
    addresses: AddressBook,
    /// Where lines for log drivers go.
    forward: OnceLock<mpsc::Sender<ForwardedLine>>,
    state: Mutex<State>,
    /// Told whenever something left `State::live`.
    gone: Notify,
    /// Containers whose escaped processes are to be killed; answered when that is done.
    sweeps: mpsc::UnboundedSender<(String, oneshot::Sender<()>)>,
}

#[derive(Debug)]
struct State {
    ports: PortPool,
    watchdog: Watchdog,
    tasks: BTreeMap<String, OpenTask>,
    /// Tasks that are over, oldest first; their logs are still in `tasks`.
    closed: VecDeque<String>,
    /// What runs, by runtime id: containers and health checks.
    live: BTreeMap<String, Group>,
    killed: BTreeSet<InstanceId>,
    shut: bool,
}

impl State {
    /// SIGKILL to those groups; whether there are any.
    fn kill(&self, which: impl Fn(&Group) -> bool) -> bool {
        let mut any = false;
        for group in self.live.values().filter(|group| which(group)) {
            any = true;
            if let Some(leader) = group.leader {
                let _ = kill_process_group(leader, Signal::KILL);
            }
        }
        any
    }
}

#[derive(Debug)]
struct Group {
    instance: InstanceId,
    /// ARN.
    task: String,
    /// `None` while it is being started.
    leader: Option<Pid>,
}

#[derive(Debug)]
struct OpenTask {
    /// For each container its mappings.
    ports: Vec<Vec<AssignedPort>>,
    logs: BTreeMap<String, ContainerLog>,
    directory: PathBuf,
}

#[derive(Clone, Debug)]
struct AssignedPort {
    mapping: PortMapping,
    /// The port of 127.0.0.1.
    real: u16,
    /// Where others look for it; only TCP is looked for.
    key: Option<Key>,
}

impl AssignedPort {
    fn reported(&self) -> u16 {
        if self.mapping.host_port == 0 { self.real } else { self.mapping.host_port }
    }

    fn socket(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.real).into()
    }
}

impl ProcessRuntime {
    /// Needs a tokio runtime around it.
    ///
    /// # Errors
    /// The state directory cannot be created.
    pub fn new(mut options: Options, addresses: AddressBook) -> io::Result<Self> {
        // Containers have working directories of their own, where a relative path would mean something else.
        options.capstan_exe = std::path::absolute(options.capstan_exe)?;
        let state_dir = match &options.state_dir {
            Some(directory) => {
                std::fs::create_dir_all(directory)?;
                std::path::absolute(directory)?
            }
            None => temporary_directory()?,
        };
        let (sweeps, wanted) = mpsc::unbounded_channel();
        tokio::spawn(sweep(wanted));
        let state = State {
            ports: PortPool::new(),
            watchdog: Watchdog::start(),
            tasks: BTreeMap::new(),
            closed: VecDeque::new(),
            live: BTreeMap::new(),
            killed: BTreeSet::new(),
            shut: false,
        };
        let (state, gone) = (Mutex::new(state), Notify::new());
        let forward = OnceLock::new();
        Ok(Self(Arc::new(Shared { options, state_dir, addresses, forward, state, gone, sweeps })))
    }

    /// From now on, what containers with a [`log_destination`](ContainerSpec::log_destination) print goes there too. Only
    /// the first call counts.
    pub fn forward_logs(&self, lines: mpsc::Sender<ForwardedLine>) {
        let _ = self.0.forward.set(lines);
    }

    /// Where logs and working directories are.
    pub fn state_dir(&self) -> &Path {
        &self.0.state_dir
    }

    pub(super) async fn start(&self, task: &Arc<TaskSpec>, index: usize) -> Result<Started, StartError> {
        let shared = &self.0;
        let container = &task.containers[index];
        let line = program::command_line(container, &shared.options.capstan_exe)?;
        let launch = shared.begin(task, index)?;
        let child = shared.spawn(task, index, &launch, &line, true);
        let mut child = shared.register(&launch, child)?;

        let log = shared.log(task, container);
        let mut pumps = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            pumps.spawn(pump(stdout, Stream::Stdout, log.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            pumps.spawn(pump(stderr, Stream::Stderr, log.clone()));
        }
        let mapped = launch.ports[index].iter();
        let bindings = mapped.clone().filter(|_| task.private_ip.is_none()).map(|port| NetworkBinding {
            bind_ip: "0.0.0.0".into(),
            container_port: port.mapping.container_port,
            host_port: port.reported(),
            protocol: port.mapping.protocol,
        });
        let bindings = bindings.collect();
        for port in mapped {
            if let Some(key) = &port.key {
                shared.addresses.insert(key.clone(), port.socket());
            }
        }
        let (done, exit) = oneshot::channel();
        let runtime_id = launch.id.clone();
        tokio::spawn(supervise(Arc::downgrade(shared), launch, index, child, pumps, log, done));
        Ok(Started { runtime_id, bindings, exit })
    }

    pub(super) fn terminate(&self, runtime_id: &str) {
        self.0.signal(runtime_id, Signal::TERM);
    }

    pub(super) fn kill(&self, runtime_id: &str) {
        self.0.signal(runtime_id, Signal::KILL);
    }

    pub(super) async fn probe(&self, task: &Arc<TaskSpec>, index: usize, timeout: Duration) -> bool {
        let shared = &self.0;
        let Some(check) = &task.containers[index].health_check else { return true };
        let line: Vec<String> = match check.command.split_first() {
            Some((kind, rest)) if kind == "CMD-SHELL" => {
                ["/bin/sh".into(), "-c".into()].into_iter().chain(rest.iter().cloned()).collect()
            }
            Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
            _ => check.command.clone(),
        };
        if line.is_empty() {
            return false;
        }
        let Ok(launch) = shared.begin(task, index) else { return false };
        let child = shared.spawn(task, index, &launch, &line, false);
        let mut child = match shared.register(&launch, child) {
            Ok(child) => child,
            Err(error) => {
                tracing::warn!(task = task.id(), container = task.containers[index].name, %error, "health check");
                return false;
            }
        };
        let status = tokio::time::timeout(timeout, child.wait()).await;
        if status.is_err() {
            shared.signal(&launch.id, Signal::KILL);
            let _ = child.wait().await;
        }
        if let Some(leader) = shared.reaped(&launch.id) {
            group_is_gone(leader).await;
        }
        shared.end(&launch.id);
        matches!(status, Ok(Ok(status)) if status.success())
    }

    pub(super) fn close(&self, task: &str) {
        let mut state = self.0.state();
        let Some(open) = state.tasks.get_mut(task) else { return };
        let ports = std::mem::take(&mut open.ports);
        let directory = open.directory.clone();
        for port in ports.iter().flatten() {
            state.ports.give_back(port.mapping.protocol, port.real);
        }
        state.closed.push_back(task.to_owned());
        if state.closed.len() > CLOSED_TASKS_KEPT
            && let Some(oldest) = state.closed.pop_front()
        {
            state.tasks.remove(&oldest);
        }
        drop(state);
        tokio::task::spawn_blocking(move || remove_directory(&directory));
    }

    pub(super) fn power_on(&self, instance: InstanceId) {
        self.0.state().killed.remove(&instance);
    }

    pub(super) fn power_off(&self, instance: InstanceId) {
        let mut state = self.0.state();
        state.killed.insert(instance);
        state.kill(|group| group.instance == instance);
    }

    pub(super) async fn kill_instance(&self, instance: InstanceId) {
        self.0.state().killed.insert(instance);
        self.0.kill_all(|group| group.instance == instance).await;
    }

    pub(super) async fn shutdown(&self) {
        self.0.state().shut = true;
        self.0.kill_all(|_| true).await;
    }

    pub(super) fn used(&self) -> BTreeMap<String, Used> {
        let groups = usage::by_group();
        let state = self.0.state();
        let mut tasks = BTreeMap::<String, Used>::new();
        for group in state.live.values() {
            let used = group.leader.and_then(|leader| groups.get(&leader.as_raw_nonzero().get()));
            if let Some(used) = used {
                tasks.entry(group.task.clone()).or_default().add(*used);
            }
        }
        tasks
    }

    pub(super) fn logs(&self, task: &str, container: &str) -> Option<Vec<LogLine>> {
        let log = self.0.state().tasks.get(task)?.logs.get(container)?.clone();
        Some(log.lines())
    }
}

/// One start of a container or of its health check.
#[derive(Debug)]
struct Launch {
    id: String,
    ports: Vec<Vec<AssignedPort>>,
    directory: PathBuf,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Opens the task if this is its first start, and announces the process to come, so that from here on whoever kills
    /// the instance waits for it.
    fn begin(&self, task: &TaskSpec, index: usize) -> Result<Launch, StartError> {
        let mut state = self.state();
        if state.shut || state.killed.contains(&task.instance) {
            return Err(StartError::Gone);
        }
        if !state.tasks.contains_key(&task.arn) {
            let ports = assign_ports(&mut state.ports, task)?;
            let directory = self.state_dir.join("tasks").join(file_name(task.id()));
            state.tasks.insert(task.arn.clone(), OpenTask { ports, logs: BTreeMap::new(), directory });
        }
        let id = runtime_id(task);
        let group = Group { instance: task.instance, task: task.arn.clone(), leader: None };
        state.live.insert(id.clone(), group);
        let open = &state.tasks[&task.arn];
        let directory = open.directory.join(file_name(&task.containers[index].name));
        Ok(Launch { id, ports: open.ports.clone(), directory })
    }

    fn spawn(
        &self,
        task: &TaskSpec,
        index: usize,
        launch: &Launch,
        line: &[String],
        keep_output: bool,
    ) -> Result<Child, StartError> {
        let container = &task.containers[index];
        let directory = match &container.working_directory {
            Some(directory) if Path::new(directory).is_dir() => PathBuf::from(directory),
            Some(directory) => {
                return Err(StartError::CannotStart(format!(
                    "workingDirectory {directory:?} is not a directory of this host, where the process runtime runs \
                     the container"
                )));
            }
            None => {
                std::fs::create_dir_all(&launch.directory).map_err(|error| {
                    StartError::CannotStart(format!(
                        "cannot create the working directory {}: {error}",
                        launch.directory.display()
                    ))
                })?;
                launch.directory.clone()
            }
        };
        let environment = self.environment(task, index, launch);
        let Program { path, name, arguments } = program::find(line, &directory, &environment)?;
        let output = || if keep_output { Stdio::piped() } else { Stdio::null() };
        Command::new(path)
            .arg0(&name)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| StartError::CannotStart(format!("exec: {name:?}: {error}")))
    }

    fn environment(&self, task: &TaskSpec, index: usize, launch: &Launch) -> BTreeMap<String, String> {
        let container = &task.containers[index];
        let mut environment = program::base();
        environment.extend(self.options.environment.iter().cloned());
        environment.extend(program::identity(task, container));
        environment.insert("HOST".into(), Ipv4Addr::LOCALHOST.to_string());
        if let Some(endpoint) = &task.metadata_endpoint {
            environment.insert("AWS_EC2_METADATA_SERVICE_ENDPOINT".into(), endpoint.clone());
        }
        // The others' ports too: containers of a task talk to each other.
        let own = &launch.ports[index];
        for port in launch.ports.iter().flatten().chain(own) {
            let name = format!("CAPSTAN_PORT_{}", port.mapping.container_port);
            environment.insert(name, port.real.to_string());
        }
        if let Some(first) = own.first() {
            environment.insert("PORT".into(), first.real.to_string());
        }
        environment.extend(container.environment.iter().cloned());
        // A PORT that names a container port means the port in the container's own network, which is another one here.
        let named = environment.get("PORT").and_then(|port| port.parse().ok());
        if let Some(port) = own.iter().find(|port| Some(port.mapping.container_port) == named) {
            environment.insert("PORT".into(), port.real.to_string());
        }
        environment.insert(CONTAINER_ID.into(), launch.id.clone());
        environment
    }

    /// Enters what was started, or takes back the announcement.
    fn register(&self, launch: &Launch, child: Result<Child, StartError>) -> Result<Child, StartError> {
        let child = child.inspect_err(|_| self.end(&launch.id))?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let mut state = self.state();
        if let Some(leader) = leader {
            state.watchdog.add(leader.as_raw_nonzero().get().cast_unsigned());
        }
        let dead = state.shut;
        let Some(group) = state.live.get_mut(&launch.id) else { return Err(StartError::Gone) };
        group.leader = leader;
        let instance = group.instance;
        if !dead && !state.killed.contains(&instance) {
            return Ok(child);
        }
        drop(state);
        // The instance was killed while this was being started. Dropping the child kills and reaps it.
        self.reaped(&launch.id);
        self.end(&launch.id);
        Err(StartError::Gone)
    }

    fn log(&self, task: &TaskSpec, spec: &ContainerSpec) -> ContainerLog {
        let container = spec.name.as_str();
        let tap = spec.log_destination.as_ref().zip(self.forward.get()).map(|(destination, lines)| Tap {
            instance: task.instance,
            destination: Arc::new(destination.clone()),
            lines: lines.clone(),
        });
        let path = self
            .state_dir
            .join("logs")
            .join(file_name(task.id()))
            .join(format!("{}.log", file_name(container)));
        let mut state = self.state();
        let log = state.tasks.get_mut(&task.arn).map(|open| {
            let log = open.logs.entry(container.to_owned());
            log.or_insert_with(|| ContainerLog::open(path.clone(), tap.clone())).clone()
        });
        drop(state);
        let log = log.unwrap_or_else(|| ContainerLog::open(path, tap));
        log.reopen();
        log
    }

    fn signal(&self, runtime_id: &str, signal: Signal) {
        let state = self.state();
        if let Some(leader) = state.live.get(runtime_id).and_then(|group| group.leader) {
            let _ = kill_process_group(leader, signal);
        }
    }

    async fn kill_all(&self, which: impl Fn(&Group) -> bool) {
        loop {
            let gone = self.gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if !self.state().kill(&which) {
                return;
            }
            gone.await;
        }
    }

    /// The first process is gone: its group goes with it, and no signal is sent to its number from now on, which may soon
    /// mean another process.
    fn reaped(&self, runtime_id: &str) -> Option<Pid> {
        let mut state = self.state();
        let leader = state.live.get_mut(runtime_id).and_then(|group| group.leader.take())?;
        let _ = kill_process_group(leader, Signal::KILL);
        state.watchdog.remove(leader.as_raw_nonzero().get().cast_unsigned());
        Some(leader)
    }

    /// Nothing is left of it, or nothing came to be.
    fn end(&self, runtime_id: &str) {
        self.state().live.remove(runtime_id);
        self.gone.notify_waiters();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
        for leader in state.live.values().filter_map(|group| group.leader) {
            let _ = kill_process_group(leader, Signal::KILL);
        }
        let ids: BTreeSet<String> = std::mem::take(&mut state.live).into_keys().collect();
        if !ids.is_empty() {
            kill_escaped(&ids);
        }
        if self.options.state_dir.is_none() {
            remove_directory(&self.state_dir);
        }
    }
}

/// Waits for a container's end and cleans up after it. Holds the runtime only weakly: dropping that ends the container.
async fn supervise(
    shared: Weak<Shared>,
    launch: Launch,
    index: usize,
    mut child: Child,
    mut pumps: JoinSet<()>,
    log: ContainerLog,
    done: oneshot::Sender<Exit>,
) {
    let exit = match child.wait().await {
        Ok(status) => Exit { code: exit_code(status), reason: None },
        Err(error) => {
            Exit { code: 255, reason: Some(format!("ContainerRuntimeError: cannot wait for it: {error}")) }
        }
    };
    // What the first process leaves behind goes with it, also what hid from the group.
    let swept = shared.upgrade().map(|shared| {
        let leader = shared.reaped(&launch.id);
        let (reply, swept) = oneshot::channel();
        let _ = shared.sweeps.send((launch.id.clone(), reply));
        (leader, swept)
    });
    if let Some((leader, swept)) = swept {
        let _ = swept.await;
        if let Some(leader) = leader {
            group_is_gone(leader).await;
        }
    }
    let all = async { while pumps.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(OUTPUT_PATIENCE, all).await;
    pumps.shutdown().await;
    log.close(SystemTime::now());
    if let Some(shared) = shared.upgrade() {
        for port in &launch.ports[index] {
            if let Some(key) = &port.key {
                shared.addresses.remove(key, port.socket());
            }
        }
        shared.end(&launch.id);
    }
    let _ = done.send(exit);
}

/// Kills escaped processes; all requests that came during one look at `/proc` share the next.
async fn sweep(mut wanted: mpsc::UnboundedReceiver<(String, oneshot::Sender<()>)>) {
    let mut batch = Vec::new();
    while wanted.recv_many(&mut batch, usize::MAX).await > 0 {
        let (ids, replies): (BTreeSet<String>, Vec<_>) = batch.drain(..).unzip();
        let _ = tokio::task::spawn_blocking(move || kill_escaped(&ids)).await;
        for reply in replies {
            let _ = reply.send(());
        }
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, stream: Stream, log: ContainerLog) {
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        log.write(SystemTime::now(), stream, &buffer[..count]);
    }
}

/// As shells and Docker count: 128 + n for signal n.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

/// Differs from every other on this host, also from those of other runtimes and servers that happen to run a task of the
/// same id: escaped processes are told apart by it.
fn runtime_id(task: &TaskSpec) -> String {
    static STARTS: AtomicU64 = AtomicU64::new(0);
    let start = STARTS.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}{start:06}", task.id(), std::process::id())
}

fn assign_ports(pool: &mut PortPool, task: &TaskSpec) -> Result<Vec<Vec<AssignedPort>>, StartError> {
    let mut all: Vec<Vec<AssignedPort>> = Vec::new();
    for container in &task.containers {
        let mut own = Vec::new();
        for mapping in &container.port_mappings {
            // A task with its own interface shares no port with others, so its number need not be kept here.
            let wanted = if task.private_ip.is_some() { 0 } else { mapping.host_port };
            let Some(real) = pool.take(mapping.protocol, wanted) else {
                for port in all.iter().chain([&own]).flatten() {
                    pool.give_back(port.mapping.protocol, port.real);
                }
                return Err(StartError::CannotStart("this host has no free port left on 127.0.0.1".into()));
            };
            let mut port = AssignedPort { mapping: mapping.clone(), real, key: None };
            if mapping.protocol == Protocol::Tcp {
                port.key = Some(key(task, &port));
            }
            own.push(port);
        }
        all.push(own);
    }
    Ok(all)
}

fn key(task: &TaskSpec, port: &AssignedPort) -> Key {
    match task.private_ip {
        Some(ip) => Key::Task(ip, port.mapping.container_port),
        None => Key::Instance(task.instance, port.reported()),
    }
}

/// A directory of this process's own.
fn temporary_directory() -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("capstan-{}-{count}", std::process::id()));
        match std::fs::create_dir(&directory) {
            // Left by a process of the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|()| directory),
        }
    }
}

fn remove_directory(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(directory = %directory.display(), %error, "cannot remove");
    }
}

/// A name that stays within its directory.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect()
}
