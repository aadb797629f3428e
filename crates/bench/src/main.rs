//! `capstan-bench [--capstan PATH] [api] [start] [proxy] [placement] [stacks] [day]`: measures, and prints a table. Without a name
//! everything is measured. The peer is the program that `MOTO_SERVER` names; of the balancer it is nginx and HAProxy,
//! where they are installed. Always ends with success: a benchmark is no test.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use capstan_bench::load::{self, Load, ecs_request};
use capstan_bench::server::{Program, Running};
use capstan_bench::table::{Row, grouped, render};
use capstan_bench::{day, placement, proxy, stacks};

const CONNECTIONS: usize = 16;
const LOAD_FOR: Duration = Duration::from_secs(5);
/// A server is idle when it has had nothing to do for this long.
const IDLE_AFTER: Duration = Duration::from_secs(2);
const INSTANCES: usize = 10_000;
const TASKS: usize = 100_000;
const STACKS: usize = 1_000;

fn main() {
    let mut capstan = std::env::current_exe().unwrap_or_default().with_file_name("capstan");
    let moto = std::env::var_os("MOTO_SERVER").map(PathBuf::from);
    let mut names = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--backend" => return backend(&args.next().unwrap_or_default()),
            "--capstan" => capstan = PathBuf::from(args.next().unwrap_or_default()),
            name => names.push(name.to_owned()),
        }
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|own| own == name);
    println!("{}", machine());
    if moto.is_none() {
        println!("MOTO_SERVER names no moto_server: the peer's column stays empty (make bench installs one)");
    }
    println!();
    let mut rows = Vec::new();
    if wanted("api") {
        rows.extend(api(&capstan, moto.as_deref()));
    }
    if wanted("start") {
        rows.extend(start(&capstan, moto.as_deref()));
    }
    if wanted("proxy") {
        rows.extend(proxies(&capstan.with_file_name("examples").join("proxy")));
    }
    if wanted("placement") {
        rows.extend(placements());
    }
    if wanted("stacks") {
        rows.extend(templates());
    }
    if wanted("day") {
        rows.extend(a_day());
    }
    print!("{}", render(&rows));
}

/// Processor, cores and kernel.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let model = model.map_or("unknown processor", |(_, model)| model);
    format!("{model}, {cores} cores, Linux {}, load {load} at the start", kernel.trim())
}

/// Says what went wrong, and goes on without the figure.
fn or_say<T>(result: Result<T, String>) -> Option<T> {
    result.map_err(|message| eprintln!("capstan-bench: {message}")).ok()
}

fn api(capstan: &Path, moto: Option<&Path>) -> Vec<Row> {
    let ours = or_say(describe_clusters(Program::Capstan(capstan)));
    let peer = moto.and_then(|path| or_say(describe_clusters(Program::Moto(path))));
    let show = |load: Option<Load>, figure: fn(&Load) -> String| {
        load.map_or_else(String::new, |load| match load.failed {
            0 => figure(&load),
            failed => format!("{} ({failed} failed)", figure(&load)),
        })
    };
    let row = |what: &str, budget, figure: fn(&Load) -> String, kept: fn(&Load) -> bool| Row {
        what: format!("DescribeClusters, {CONNECTIONS} connections: {what}"),
        measured: show(ours, figure),
        peer: show(peer, figure),
        budget,
        kept: ours.map(|load| kept(&load)),
    };
    vec![
        row(
            "requests",
            ">= 20,000 /s",
            |load| format!("{} /s", grouped(load.per_second)),
            |load| load.per_second >= 20_000.0,
        ),
        Row { kept: None, ..row("p50", "", |load| milliseconds(load.p50), |_| true) },
        row("p99", "< 2 ms", |load| milliseconds(load.p99), |load| load.p99 < Duration::from_millis(2)),
    ]
}

fn describe_clusters(program: Program<'_>) -> Result<Load, String> {
    let server = Running::start(program)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("failed to start the load generator: {e}"))?;
    runtime.block_on(async {
        let create = ecs_request(server.address, "CreateCluster", r#"{"clusterName":"default"}"#);
        load::run(server.address, &create, 1, Duration::from_millis(50)).await;
        let describe = ecs_request(server.address, "DescribeClusters", r#"{"clusters":["default"]}"#);
        Ok(load::run(server.address, &describe, CONNECTIONS, LOAD_FOR).await)
    })
}

fn start(capstan: &Path, moto: Option<&Path>) -> Vec<Row> {
    let ours = or_say(started(Program::Capstan(capstan), 7));
    let peer = moto.and_then(|path| or_say(started(Program::Moto(path), 3)));
    let (our_time, peer_time) = (ours.map(|(time, _)| time), peer.map(|(time, _)| time));
    let (our_memory, peer_memory) = (ours.map(|(_, kib)| kib), peer.map(|(_, kib)| kib));
    let binary = or_say(stripped_size(capstan));
    let memory =
        |kib: Option<u64>| kib.map_or_else(String::new, |kib| format!("{:.1} MiB", kib as f64 / 1024.0));
    let time = |time: Option<Duration>| time.map_or_else(String::new, milliseconds);
    vec![
        Row {
            what: "start to first answer (median)".to_owned(),
            measured: time(our_time),
            peer: time(peer_time),
            budget: "< 50 ms",
            kept: our_time.map(|time| time < Duration::from_millis(50)),
        },
        Row {
            what: "memory when idle".to_owned(),
            measured: memory(our_memory),
            peer: memory(peer_memory),
            budget: "< 30 MiB",
            kept: our_memory.map(|kib| kib < 30 * 1024),
        },
        Row {
            what: "binary, stripped".to_owned(),
            measured: binary.map_or_else(String::new, |bytes| format!("{:.1} MB", bytes as f64 / 1e6)),
            peer: String::new(),
            budget: "< 30 MB",
            kept: binary.map(|bytes| bytes < 30_000_000),
        },
    ]
}

/// The median time to the first answer of that many starts, and the memory of the last one in KiB.
fn started(program: Program<'_>, starts: usize) -> Result<(Duration, u64), String> {
    let mut times = Vec::new();
    let mut memory = 0;
    for number in 0..starts {
        let server = Running::start(program)?;
        times.push(server.first_answer);
        if number + 1 == starts {
            std::thread::sleep(IDLE_AFTER);
            memory = server.resident_kib().ok_or("failed to read the server's memory from /proc")?;
        }
    }
    times.sort_unstable();
    Ok((times[starts / 2], memory))
}

/// Size of the binary without symbols, by `strip` (binutils).
fn stripped_size(binary: &Path) -> Result<u64, String> {
    let copy = std::env::temp_dir().join(format!("capstan-stripped-{}", std::process::id()));
    let status = Command::new("strip").arg("-o").arg(&copy).arg(binary).status();
    let size = std::fs::metadata(&copy).map(|file| file.len());
    let _never_written = std::fs::remove_file(&copy);
    match status {
        Ok(status) if status.success() => size.map_err(|e| format!("failed to read {}: {e}", copy.display())),
        Ok(status) => Err(format!("strip {} ended with {status}", binary.display())),
        Err(e) => Err(format!("failed to run strip (of binutils): {e}")),
    }
}

/// What the proxies are measured in front of.
fn backend(address: &str) {
    let address = or_say(address.parse().map_err(|_| format!("--backend {address}: not an address")));
    if let Some(address) = address {
        or_say(proxy::serve(address).map_err(|e| format!("the backend ended: {e}")));
    }
}

fn proxies(ours: &Path) -> Vec<Row> {
    let mut say = |message| eprintln!("capstan-bench: {message}");
    let Some(measured) = or_say(proxy::run(ours, &mut say)) else { return Vec::new() };
    let Some((own, peers)) = measured.split_first() else { return Vec::new() };
    let requests: fn(&Load) -> f64 = |load| load.per_second;
    let p99: fn(&Load) -> f64 = |load| load.p99.as_secs_f64();
    let show = |proxied: &proxy::Proxied, text: String| match proxied.failed() {
        0 => text,
        failed => format!("{text} ({failed} failed)"),
    };
    let row = |peer: &proxy::Proxied,
               what: &str,
               figure,
               text: fn(f64) -> String,
               budget,
               kept: fn(f64) -> bool| {
        let ratio = own.ratio(peer, figure);
        Row {
            what: format!("balancer beside {}, {} connections: {what}", peer.name, proxy::CONNECTIONS),
            measured: format!("{} (x {ratio:.2})", show(own, text(own.median(figure)))),
            peer: show(peer, text(peer.median(figure))),
            budget,
            kept: Some(kept(ratio)),
        }
    };
    let per_second: fn(f64) -> String = |rate| format!("{} /s", grouped(rate));
    let time: fn(f64) -> String = |seconds| milliseconds(Duration::from_secs_f64(seconds));
    peers
        .iter()
        .flat_map(|peer| {
            [
                row(peer, "requests", requests, per_second, ">= 0.9 of its", |ratio| ratio >= 0.9),
                row(peer, "p99", p99, time, "<= 1.1 of its", |ratio| ratio <= 1.1),
            ]
        })
        .collect()
}

fn placements() -> Vec<Row> {
    let paths =
        [(placement::Path::RunTask, "RunTask, 10 a call"), (placement::Path::Service, "services of 500")];
    let row = |(path, name): (placement::Path, &str)| {
        let placed = placement::run(path, INSTANCES, TASKS);
        Row {
            what: format!(
                "placement of {} tasks on {} instances: {name}",
                grouped(placed.tasks as f64),
                grouped(INSTANCES as f64)
            ),
            measured: format!("{} /s", grouped(placed.per_second())),
            peer: String::new(),
            budget: ">= 100,000 /s",
            kept: Some(placed.per_second() >= 100_000.0),
        }
    };
    paths.into_iter().map(row).collect()
}

fn templates() -> Vec<Row> {
    let made = stacks::run(STACKS);
    let row =
        |what: String, measured: String| Row { what, measured, peer: String::new(), budget: "", kept: None };
    let memory = made.grown_kib.map_or_else(String::new, |kib| format!("{:.1} MiB", kib as f64 / 1_024.0));
    vec![
        row(
            format!("stacks of {} resources, in virtual time", stacks::RESOURCES),
            format!("{} /s", grouped(made.per_second())),
        ),
        row(format!("  memory of {} of them, with what they made", grouped(made.stacks as f64)), memory),
    ]
}

fn a_day() -> Vec<Row> {
    let day = day::run(day::FULL);
    let figure = |what: &str, measured: String| Row {
        what: format!("  {what}"),
        measured,
        peer: String::new(),
        budget: "",
        kept: None,
    };
    let count = |number: u64| grouped(number as f64);
    let counts = day.counts;
    vec![
        Row {
            what: "a day of 1,000 instances with 10,000 tasks".to_owned(),
            measured: format!("{:.2} s", day.wall.as_secs_f64()),
            peer: String::new(),
            budget: "<= 2 s",
            kept: Some(day.wall <= Duration::from_secs(2)),
        },
        figure("events (steps of the engine)", count(day.steps)),
        figure(
            "tasks started, stopped",
            format!("{}, {}", count(counts.tasks_started), count(counts.tasks_stopped)),
        ),
        figure(
            "instances launched, ended",
            format!("{}, {}", count(counts.launched), count(counts.terminated)),
        ),
        figure("RUNNING tasks, ACTIVE instances at its end", format!("{}, {}", day.tasks, day.instances)),
    ]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
