//! `capstan soak`: hundreds of Spot interruptions, deployments, scale-ins, stops and drains under load that never pauses.
//! A server in this process, real tasks, a real load balancer.
//!
//! Two services share the instances, and so meet the same interruptions at the same moments. One target group waits for
//! requests in flight before its tasks are stopped; the other one does not (deregistration delay 0), and shows what
//! clients see where nothing waits for them.

mod round;
mod stack;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use capstan_server::{Clock, Config, Options, Runtime, Server};

use crate::load::{Counts, Kind, Load, Plan};
use crate::{say, serve};
use round::{Done, Goals, Rounds};
use stack::Stack;

/// What each service's clients send: a quarter may not be sent twice, and some take long enough to be met by any stop.
const LOAD: Plan = Plan {
    connections: 48,
    pace: Duration::from_millis(25),
    requests: &[
        GET, GET, GET, POST, GET, GET, GET, POST, GET, GET, GET, POST, GET, GET, GET, SLOW_POST, GET, GET,
        GET, POST, GET, GET, GET, POST, GET, GET, GET, POST, GET, GET, GET, SLOW_GET,
    ],
};
const GET: Kind = crate::load::FRONT_PAGE;
const POST: Kind = Kind { post: Some("an order that nobody may send twice"), path: "/orders" };
const SLOW_POST: Kind = Kind { post: Some("a long order"), path: "/orders?delay=150ms" };
const SLOW_GET: Kind = Kind { post: None, path: "/reports?delay=150ms" };
/// Requests a second that the service that waits has to have.
const RATE: u64 = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How fast the server's time runs: xN, or real
    #[arg(long, default_value = "x40", value_parser = Clock::parse)]
    clock: Clock,
    /// Instances that Spot takes back
    #[arg(long, default_value_t = 200)]
    interruptions: u32,
    /// Rolling deployments
    #[arg(long, default_value_t = 20)]
    deployments: u32,
    /// Times that the service or a group gets smaller
    #[arg(long, default_value_t = 50)]
    scale_ins: u32,
}

pub(crate) fn run(args: Args) -> Result<(), String> {
    serve::log("off");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("failed to start: {e}"))?;
    let options = Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        clock: args.clock,
        runtime: Runtime::Process,
        config: Config {
            region: capstan_model::region(stack::REGION).ok_or("the region is not in the catalogue")?,
            account: stack::ACCOUNT.to_owned(),
            // As `capstan serve` has it.
            trail: true,
            ..Config::new(1)
        },
        capstan_exe: serve::this_program()?,
        port_offset: 8000,
    };
    let goals =
        Goals { interruptions: args.interruptions, deployments: args.deployments, scale_ins: args.scale_ins };
    runtime.block_on(async {
        let server = Server::start(options).await.map_err(|e| e.to_string())?;
        let outcome = tokio::select! {
            outcome = soak(&server, args.clock, goals) => outcome,
            () = serve::stopped() => Err("interrupted; what the soak started has been stopped".to_owned()),
        };
        server.stop().await;
        outcome?.verdict()
    })
}

/// What came of it.
struct Outcome {
    done: Done,
    goals: Goals,
    took: Duration,
    waits: Counts,
    does_not_wait: Counts,
}

async fn soak(server: &Server, clock: Clock, goals: Goals) -> Result<Outcome, String> {
    say!("soak: clock {clock}, API http://{}", server.address());
    let stack = Stack::create(server.control().clone()).await?;
    let mut rounds = Rounds::new(stack, goals);
    rounds.settle().await?;
    let load = |service: &stack::Service| Load::start(LOAD, service.address, &service.front.dns_name);
    let (waits, does_not_wait) = (load(&rounds.stack.waits), load(&rounds.stack.does_not_wait));
    let since = Instant::now();
    let mut told: Result<(), String> = Ok(());
    while told.is_ok() && !rounds.is_done() {
        told = rounds.next().await;
        let line = |name: &str, counts: &Counts| {
            format!("{name}: {} requests, {} failed", grouped(counts.requests), grouped(counts.failed))
        };
        say!(
            "  {:>4} s  {}; {}; {}",
            since.elapsed().as_secs(),
            rounds.done,
            line("waits", &waits.counts()),
            line("does not wait", &does_not_wait.counts()),
        );
    }
    let took = since.elapsed();
    let (waits, does_not_wait) = (waits.stop().await, does_not_wait.stop().await);
    told?;
    Ok(Outcome { done: rounds.done, goals, took, waits, does_not_wait })
}

impl Outcome {
    /// Prints the table. An error when a request was lost, or it was not the load that it has to be.
    fn verdict(&self) -> Result<(), String> {
        let secs = self.took.as_secs().max(1);
        say!("soak: {} in {secs} s", self.done);
        say!(
            "  {:<28} {:>10} {:>9} {:>8} {:>15}",
            "load balancer",
            "requests",
            "a second",
            "failed",
            "longest answer"
        );
        for (name, counts) in [("waits", &self.waits), ("does not wait (delay 0)", &self.does_not_wait)] {
            say!(
                "  {name:<28} {:>10} {:>9} {:>8} {:>12} ms",
                grouped(counts.requests),
                grouped(counts.requests / secs),
                grouped(counts.failed),
                counts.slowest.as_millis(),
            );
            for (why, times) in &counts.failures {
                say!("    {} times: {why}", grouped(*times));
            }
        }
        say!("  A sixteenth of the requests take 150 ms of their own.");
        let mut problems = Vec::new();
        if let Some(first) = &self.waits.first_failure {
            problems.push(format!("{} requests were lost, the first: {first}", self.waits.failed));
        }
        if self.waits.requests / secs < RATE {
            problems.push(format!("this machine sent less than {} requests a second", grouped(RATE)));
        }
        if !self.done.reaches(&self.goals) {
            problems.push("less was done than asked for".to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

/// `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits() {
        for (number, expect) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expect);
        }
    }

    #[test]
    fn a_lost_request_is_a_failure() {
        let enough = Counts { requests: 10_000, ..Counts::default() };
        let goals = Goals { interruptions: 1, deployments: 0, scale_ins: 0 };
        let mut outcome = Outcome {
            done: Done { interruptions: 1, ..Done::default() },
            goals,
            took: Duration::from_secs(10),
            waits: enough.clone(),
            does_not_wait: Counts { failed: 7, ..enough.clone() },
        };
        assert_eq!(outcome.verdict(), Ok(()));
        outcome.waits.failed = 1;
        outcome.waits.first_failure = Some("request 3: answered 502".to_owned());
        assert!(outcome.verdict().is_err_and(|why| why.contains("request 3")));
        outcome.waits = Counts { requests: 9_000, ..Counts::default() };
        assert!(outcome.verdict().is_err_and(|why| why.contains("less than 1,000")));
        outcome.waits = enough;
        outcome.done.interruptions = 0;
        assert!(outcome.verdict().is_err());
    }
}
