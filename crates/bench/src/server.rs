//! Servers as child processes: how soon they answer, and how much memory they hold.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::ecs_request;

/// A server that has not answered after this long will not.
const START_MAX: Duration = Duration::from_secs(30);

/// Which server, and where its program is.
#[derive(Clone, Copy, Debug)]
pub enum Program<'a> {
    Capstan(&'a Path),
    Moto(&'a Path),
}

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process to the end of its first answer.
    pub first_answer: Duration,
}

impl Running {
    /// Starts a server and asks it for DescribeClusters until it answers.
    pub fn start(program: Program<'_>) -> Result<Self, String> {
        let address = free_address().map_err(|e| format!("failed to find a free port: {e}"))?;
        let mut command = match program {
            Program::Capstan(path) => {
                let mut command = Command::new(path);
                command.args(["serve", "--runtime", "virtual", "--listen", &address.to_string()]);
                command
            }
            Program::Moto(path) => {
                let mut command = Command::new(path);
                command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
                command
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let child = command
            .spawn()
            .map_err(|e| format!("failed to start {}: {e}", command.get_program().display()))?;
        let mut running = Self { child, address, first_answer: Duration::ZERO };
        let request = ecs_request(address, "DescribeClusters", "{}");
        while !answers(address, &request) {
            if start.elapsed() > START_MAX {
                return Err(format!("{} does not answer on {address}", command.get_program().display()));
            }
            if let Ok(Some(status)) = running.child.try_wait() {
                return Err(format!("{} ended with {status}", command.get_program().display()));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        running.first_answer = start.elapsed();
        Ok(running)
    }

    /// Resident memory in KiB, as the kernel counts it now.
    pub fn resident_kib(&self) -> Option<u64> {
        resident_kib(&self.child.id().to_string())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory of a process (`self` for this one), KiB.
pub(crate) fn resident_kib(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A port of the loopback address at which nobody listens.
pub(crate) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn answers(address: SocketAddr, request: &[u8]) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut bytes = [0; 12];
    let asked = stream.set_read_timeout(Some(START_MAX)).and_then(|()| stream.write_all(request));
    asked.and_then(|()| stream.read_exact(&mut bytes)).is_ok() && bytes.ends_with(b" 200")
}
