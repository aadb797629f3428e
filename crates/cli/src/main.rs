//! The `capstan` binary: the only place that reads the environment and prints.

mod api;
mod client;
mod demo;
mod load;
mod serve;
mod soak;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An ECS-compatible container orchestrator for capacity that comes and goes.
#[derive(Debug, Parser)]
#[command(name = "capstan", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the AWS APIs and acts on them
    Serve(serve::Args),
    /// Prints the exports that point AWS tools of a shell at the server: eval "$(capstan env)"
    Env(client::EnvArgs),
    /// Shows or moves the server's clock
    Clock(client::ClockArgs),
    /// Says why a task, a service, an instance or a capacity provider is as it is
    Explain(client::ExplainArgs),
    /// Shows what instances have cost so far: by group, purchase option and type
    Bill(client::BillArgs),
    /// Lists what acts, what is accepted without effect, and what is absent
    Coverage(client::CoverageArgs),
    /// Plays the ECS workshop on EC2 Spot in about a minute: real tasks, a real load balancer, no lost request
    Demo(demo::Args),
    /// Takes hundreds of instances, tasks and deployments away under load, and counts what clients lose
    Soak(soak::Args),
    /// The small workload behind the image capstan/web
    Web(web::Args),
}

/// Prints a line. A reader that has gone (`capstan coverage | head`) is no reason to fail.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($part)*);
    }};
}
pub(crate) use say;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Env(args) => client::env(&args),
        Command::Clock(args) => client::clock(&args),
        Command::Explain(args) => client::explain(&args),
        Command::Bill(args) => client::bill(&args),
        Command::Coverage(args) => client::coverage(&args),
        Command::Demo(args) => demo::run(args),
        Command::Soak(args) => soak::run(args),
        Command::Web(args) => web::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("capstan: {message}");
            ExitCode::FAILURE
        }
    }
}
