//! The live driver: the gateway, the engine thread, and what carries out the engine's effects.
//!
//! [`Server::start`] opens the port and starts one thread for the engine. Requests are decoded and answers encoded on
//! tokio's workers; the engine thread takes inputs in batches and is the only one to touch the state.

mod admin;
mod balancing;
mod clock;
mod control;
pub mod gateway;
mod hosts;
mod log_driver;
mod long_poll;
mod process;
mod slice;
mod traffic;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;

use capstan_engine::Engine;
use capstan_model::Time;

pub use capstan_engine::{Caller, Config};
pub use clock::Clock;
pub use control::Control;

/// Who runs tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Nobody: boots, starts and health checks take modelled times.
    Virtual,
    /// Plain processes of this host, behind a real balancer.
    Process,
}

/// How a server runs.
#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    pub clock: Clock,
    pub runtime: Runtime,
    pub config: Config,
    /// The `capstan` binary, for the workloads that it brings itself (`capstan/web`).
    pub capstan_exe: PathBuf,
    /// Ports above the listener ports of load balancers, for those that cannot be opened (80 without privileges).
    pub port_offset: u16,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{listen} is not a loopback address. Capstan checks no signatures yet, so it answers on this machine only: use --listen 127.0.0.1:PORT"
    )]
    NotLoopback { listen: SocketAddr },
    #[error("a manual clock needs --runtime virtual: processes do not wait for time to be moved")]
    ManualProcesses,
    #[error(
        "failed to listen on {listen}: {source}. Is another server running there? Give another port with --listen"
    )]
    Listen { listen: SocketAddr, source: std::io::Error },
    #[error("failed to start the balancer: {0}")]
    Balancer(#[from] capstan_balancer::Error),
    #[error("failed to prepare the process runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("failed to start the engine's thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// A running server. Dropping it without [`Server::stop`] leaves its threads to the process's end.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    control: Control,
    gateway: tokio::task::JoinHandle<()>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Server {
    /// Opens the port and starts everything. Must be called on a tokio runtime.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let Options { listen, .. } = options;
        if !listen.ip().is_loopback() {
            return Err(Error::NotLoopback { listen });
        }
        if options.clock.is_manual() && options.runtime != Runtime::Virtual {
            return Err(Error::ManualProcesses);
        }
        let listener =
            tokio::net::TcpListener::bind(listen).await.map_err(|source| Error::Listen { listen, source })?;
        let address = listener.local_addr().map_err(|source| Error::Listen { listen, source })?;
        // Tasks are told the port that was found, not the 0 that asked for any.
        let mut options = Options { listen: address, ..options };
        options.config.endpoint = format!("http://{address}");
        let clock = options.clock.started();
        let engine = Engine::new(options.config.clone(), clock.now());
        let tokens = capstan_agent::metadata::Tokens::default();
        let hosts = hosts::Hosts::new(&options, &clock, &tokens)?;
        let (control, balancer) = control::start(engine, hosts, clock)?;
        let backend = admin::Backend::new(control.clone(), balancer, tokens, options.clone());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let gateway = tokio::spawn(gateway::Gateway::default().serve(listener, backend, async move {
            let mut stopped = stopped;
            let _ = stopped.wait_for(|stop| *stop).await;
        }));
        Ok(Self { address, control, gateway, stop })
    }

    /// Where the API answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops answering, then stops everything that was started: tasks, load balancers, the engine. Nothing is left
    /// running.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        self.control.end_long_polls();
        let _ = self.gateway.await;
        self.control.stop().await;
    }
}

/// The time of this machine's clock.
pub fn wall_clock() -> Time {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
