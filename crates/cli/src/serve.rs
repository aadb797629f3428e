//! `capstan serve`.

use std::net::SocketAddr;

use capstan_market::{Market, Model, Trace};
use capstan_server::{Clock, Error, Options, Runtime, Server};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address and port of the API; port 0 takes any free one
    #[arg(long, env = "CAPSTAN_LISTEN", default_value = "127.0.0.1:4566")]
    pub(crate) listen: SocketAddr,
    /// real, xN (N times faster), or manual (moved by `capstan clock advance`)
    #[arg(long, default_value = "real", value_parser = Clock::parse)]
    clock: Clock,
    /// auto, virtual (nothing runs; times are modelled), or process (plain processes of this host)
    #[arg(long, default_value = "auto")]
    runtime: RuntimeName,
    /// The region to play
    #[arg(long, env = "CAPSTAN_REGION", default_value = "us-east-1")]
    region: String,
    /// The account to play: twelve digits
    #[arg(long, env = "CAPSTAN_ACCOUNT", default_value = "000000000000")]
    account: String,
    /// Root of all chance: the same seed and the same calls give the same ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What Spot costs and how much of it there is: calm (catalogue prices, all the capacity one likes), model (prices and
    /// capacity that come and go like real pools: small types are deep, large ones scarce), scarce (every pool is), or a CSV
    /// file of time,zone,type,price,capacity
    #[arg(long, default_value = "calm")]
    spot_market: String,
    /// Added to a load balancer's port that cannot be opened, such as 80 without privileges
    #[arg(long, default_value_t = 8000)]
    port_offset: u16,
    /// Spot Instances that one action of a fault injection experiment may interrupt; AWS's console has 5
    #[arg(long, default_value_t = 100)]
    fis_spot_targets: usize,
    /// Takes templates with resource types that are not built, too, and puts placeholders in their place
    #[arg(long)]
    lenient_templates: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RuntimeName {
    Auto,
    Virtual,
    Process,
}

pub(crate) fn run(args: Args) -> Result<(), String> {
    log("info");
    let options = options(&args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("failed to start: {e}"))?;
    let shown = options.clone();
    runtime.block_on(async {
        let stopped = stopped();
        let server = Server::start(options).await.map_err(|e: Error| e.to_string())?;
        tracing::info!("seed {}", shown.config.seed);
        tracing::info!(
            "capstan {} answers at http://{} (region {}, account {}, clock {}, runtime {:?})",
            env!("CARGO_PKG_VERSION"),
            server.address(),
            shown.config.region.name,
            shown.config.account,
            shown.clock,
            shown.runtime,
        );
        tracing::info!("state is kept in memory: nothing outlives this process");
        stopped.await;
        tracing::info!("stopping: tasks, load balancers, the API");
        server.stop().await;
        Ok(())
    })
}

/// Logs to stderr what `CAPSTAN_LOG` asks for, or that.
pub(crate) fn log(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CAPSTAN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
}

/// The file of this binary, which runs its own workloads.
pub(crate) fn this_program() -> Result<std::path::PathBuf, String> {
    std::env::current_exe().map_err(|e| format!("failed to find this program's own file: {e}"))
}

fn options(args: &Args) -> Result<Options, String> {
    let region = capstan_model::region(&args.region).ok_or_else(|| {
        let known: Vec<&str> = capstan_model::REGIONS.iter().map(|region| region.name).collect();
        format!("{} is not in the catalogue; give one of {}", args.region, known.join(", "))
    })?;
    if args.account.len() != 12 || !args.account.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{} is no account id: give twelve digits", args.account));
    }
    let runtime = match args.runtime {
        RuntimeName::Virtual => Runtime::Virtual,
        RuntimeName::Process => Runtime::Process,
        // Processes do not wait for a clock that is moved by hand.
        RuntimeName::Auto if args.clock.is_manual() => Runtime::Virtual,
        RuntimeName::Auto => Runtime::Process,
    };
    let mut config = capstan_server::Config::new(args.seed);
    config.trail = true;
    config.region = region;
    config.account.clone_from(&args.account);
    config.fis_spot_targets = args.fis_spot_targets;
    config.lenient_templates = args.lenient_templates;
    config.market = spot_market(&args.spot_market, args.seed)?;
    let capstan_exe = this_program()?;
    Ok(Options {
        listen: args.listen,
        clock: args.clock,
        runtime,
        config,
        capstan_exe,
        port_offset: args.port_offset,
    })
}

/// `calm`, `model`, `scarce` or the name of a file.
fn spot_market(text: &str, seed: u64) -> Result<Market, String> {
    match text {
        "calm" => Ok(Market::Calm),
        "model" => Ok(Market::Model(Model::new(seed))),
        "scarce" => Ok(Market::Model(Model::scarce(seed))),
        file => {
            let text = std::fs::read_to_string(file).map_err(|e| {
                format!("{file}: {e}. --spot-market takes calm, model, scarce, or a CSV file with the line time,zone,type,price,capacity")
            })?;
            let trace = Trace::parse(&text, capstan_server::wall_clock());
            trace.map(Market::Trace).map_err(|e| format!("{file}: {e}"))
        }
    }
}

/// Ctrl-C or SIGTERM, from this call on and not from the first poll on: a signal that comes while the server starts stops
/// it, too. Belongs into a runtime.
pub(crate) fn stopped() -> impl Future<Output = ()> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn comes(signal: std::io::Result<Signal>) {
        match signal {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    }
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    async move {
        tokio::select! {
            () = comes(interrupt) => {}
            () = comes(terminate) => {}
        }
    }
}
