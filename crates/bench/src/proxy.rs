//! The balancer as a plain proxy beside nginx and HAProxy: one run, the same cores, workers, backend and load.
//!
//! Rounds are interleaved and compared one by one, so that what else the machine does meets all of them alike. Each proxy
//! runs as many workers as there are cores, keeps connections on both sides, writes no log, and adds the headers that an
//! Application Load Balancer adds.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::load::{self, Load};
use crate::server::free_address;

/// Connections of the load generator.
pub const CONNECTIONS: usize = 32;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(2);
const START_MAX: Duration = Duration::from_secs(10);
/// What the backend answers.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 23\r\n\r\nhello from the backend\n";

/// A proxy and what it did in each round.
#[derive(Clone, Debug)]
pub struct Proxied {
    /// With its version, where it is not ours.
    pub name: String,
    pub rounds: Vec<Load>,
}

impl Proxied {
    /// The median of a figure over the rounds.
    pub fn median(&self, figure: fn(&Load) -> f64) -> f64 {
        median(self.rounds.iter().map(figure).collect())
    }

    /// The median, over the rounds, of this proxy's figure divided by the other one's of the same round.
    pub fn ratio(&self, other: &Self, figure: fn(&Load) -> f64) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(own, peer)| figure(own) / figure(peer)).collect())
    }

    /// Requests that failed in all rounds.
    pub fn failed(&self) -> usize {
        self.rounds.iter().map(|load| load.failed).sum()
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Measures our proxy (the balancer's example `proxy`) first, then those peers that are installed. `say` is told which
/// are not, and why.
pub fn run(ours: &Path, say: &mut dyn FnMut(String)) -> Result<Vec<Proxied>, String> {
    let backend = Running::backend()?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut proxies = vec![("capstan".to_owned(), Running::ours(ours, backend.address, workers)?)];
    for (peer, start) in [
        ("nginx", Running::nginx as fn(SocketAddr, usize) -> Result<Running, String>),
        ("haproxy", Running::haproxy),
    ] {
        match version(peer).and_then(|name| Ok((name, start(backend.address, workers)?))) {
            Ok(proxy) => proxies.push(proxy),
            Err(reason) => say(format!("{reason}: the balancer is not compared with it")),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("failed to start the load generator: {e}"))?;
    let mut measured: Vec<Proxied> = Vec::new();
    measured.extend(proxies.iter().map(|(name, _)| Proxied { name: name.clone(), rounds: Vec::new() }));
    for round in 0..ROUNDS {
        // Whoever begins, begins in turn.
        for at in (0..proxies.len()).map(|at| (at + round) % proxies.len()) {
            let address = proxies[at].1.address;
            let request = format!("GET /index.html HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
            measured[at].rounds.push(runtime.block_on(load::run(
                address,
                request.as_bytes(),
                CONNECTIONS,
                ROUND,
            )));
        }
    }
    Ok(measured)
}

/// `nginx/1.22.1`; an error when it is not installed.
fn version(program: &str) -> Result<String, String> {
    let told = Command::new(program).arg("-v").output();
    let told =
        told.map_err(|e| format!("{program} cannot be run ({e}; make bench installs it by apt-get)"))?;
    let text = [told.stdout, told.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let number = text.split([' ', '/']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(format!("{program}/{}", number.and_then(|n| n.split(['-', '\n']).next()).unwrap_or("?")))
}

/// A child process that listens; it ends when this is dropped.
struct Running {
    child: Child,
    address: SocketAddr,
    /// For what has to be told to stop.
    stop: Option<Command>,
    /// Its configuration and whatever it writes.
    directory: Option<PathBuf>,
}

impl Running {
    fn start(mut command: Command, address: SocketAddr) -> Result<Self, String> {
        let name = command.get_program().display().to_string();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|e| format!("failed to start {name}: {e}"))?;
        let mut running = Self { child, address, stop: None, directory: None };
        let start = Instant::now();
        while !answers(address) {
            if let Ok(Some(status)) = running.child.try_wait() {
                return Err(format!("{name} ended with {status}"));
            }
            if start.elapsed() > START_MAX {
                return Err(format!("{name} does not answer on {address}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(running)
    }

    /// This program again, as [`serve`].
    fn backend() -> Result<Self, String> {
        let address = free()?;
        let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
        command.args(["--backend", &address.to_string()]);
        Self::start(command, address)
    }

    fn ours(program: &Path, backend: SocketAddr, workers: usize) -> Result<Self, String> {
        let address = free()?;
        let mut command = Command::new(program);
        command.args(["--listen", &address.to_string(), "--target", &backend.to_string()]);
        command.args(["--workers", &workers.to_string()]);
        Self::start(command, address)
            .map_err(|e| format!("{e}. Build it: cargo build --release -p capstan-balancer --example proxy"))
    }

    fn nginx(backend: SocketAddr, workers: usize) -> Result<Self, String> {
        let (address, directory) = (free()?, directory("nginx")?);
        let configuration = format!(
            "daemon off; worker_processes {workers}; pid {directory}/pid; error_log {directory}/error.log;
             events {{ worker_connections 4096; }}
             http {{
                 access_log off;
                 client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
                 fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
                 scgi_temp_path {directory}/scgi;
                 keepalive_requests 1000000000;
                 upstream backend {{ server {backend}; keepalive 256; keepalive_requests 1000000000; }}
                 server {{
                     listen {address} backlog=4096;
                     location / {{
                         proxy_pass http://backend;
                         proxy_http_version 1.1;
                         proxy_set_header Connection \"\";
                         proxy_set_header Host $http_host;
                         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                         proxy_set_header X-Forwarded-Proto http;
                         proxy_set_header X-Forwarded-Port 80;
                         proxy_set_header X-Amzn-Trace-Id Root=$request_id;
                     }}
                 }}
             }}\n",
            directory = directory.display()
        );
        let path = write(&directory, &configuration)?;
        let nginx = || {
            let mut command = Command::new("nginx");
            command.arg("-e").arg(directory.join("error.log")).arg("-c").arg(&path);
            command
        };
        let mut running = Self::start(nginx(), address)?;
        // Killing its master alone would leave the workers.
        let mut stop = nginx();
        stop.args(["-s", "stop"]);
        running.stop = Some(stop);
        running.directory = Some(directory);
        Ok(running)
    }

    fn haproxy(backend: SocketAddr, workers: usize) -> Result<Self, String> {
        let (address, directory) = (free()?, directory("haproxy")?);
        let configuration = format!(
            "global
  nbthread {workers}
  maxconn 8192
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend front
  bind {address}
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port 80
  http-request set-header X-Amzn-Trace-Id Root=%[uuid()]
  default_backend back
backend back
  server backend {backend}
"
        );
        let path = write(&directory, &configuration)?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(path);
        let mut running = Self::start(command, address)?;
        running.directory = Some(directory);
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let told = self.stop.as_mut().is_some_and(|stop| stop.status().is_ok_and(|status| status.success()));
        if !told {
            let _ended_already = self.child.kill();
        }
        let _ = self.child.wait();
        if let Some(directory) = &self.directory {
            let _left_behind = std::fs::remove_dir_all(directory);
        }
    }
}

fn free() -> Result<SocketAddr, String> {
    free_address().map_err(|e| format!("failed to find a free port: {e}"))
}

fn directory(name: &str) -> Result<PathBuf, String> {
    let path = std::env::temp_dir().join(format!("capstan-bench-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).map_err(|e| format!("failed to make {}: {e}", path.display()))?;
    Ok(path)
}

fn write(directory: &Path, configuration: &str) -> Result<PathBuf, String> {
    let path = directory.join("configuration");
    std::fs::write(&path, configuration).map_err(|e| format!("failed to write {}: {e}", path.display()))?;
    Ok(path)
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let request = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let mut status = [0; 12];
    let asked = stream.set_read_timeout(Some(START_MAX)).and_then(|()| stream.write_all(request));
    asked.and_then(|()| std::io::Read::read_exact(&mut stream, &mut status)).is_ok()
        && status.ends_with(b" 200")
}

/// The backend: answers every request with the same few bytes, for ever.
pub fn serve(address: SocketAddr) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(answer(stream));
        }
    })
}

async fn answer(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // A proxy sends the next request when it has the answer.
        if buffer.ends_with(b"\r\n\r\n") {
            buffer.clear();
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let proxied = |figures: [f64; 3]| Proxied {
            name: String::new(),
            rounds: figures
                .map(|per_second| Load {
                    per_second,
                    p50: Duration::ZERO,
                    p99: Duration::ZERO,
                    answers: 0,
                    failed: 1,
                })
                .to_vec(),
        };
        let (own, peer) = (proxied([10.0, 20.0, 30.0]), proxied([10.0, 40.0, 20.0]));
        assert_eq!(own.median(|load| load.per_second), 20.0);
        assert_eq!(own.ratio(&peer, |load| load.per_second), 1.0);
        assert_eq!(own.failed(), 3);
    }
}
