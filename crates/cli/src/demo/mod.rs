//! `capstan demo`: the ECS workshop on EC2 Spot as a story of about a minute. A server in this process, real tasks, a
//! real load balancer, and clients that never pause.

mod experiment;
mod screen;
mod stack;
mod view;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use capstan_model::{Span, Time};
use capstan_server::{Clock, Config, Options, Runtime, Server};

use crate::load::{Counts, FRONT_PAGE, Load, Plan};
use crate::serve;
use experiment::INTERRUPTED;
use screen::{Progress, Screen, Source};
use stack::{ON_DEMAND, ON_DEMAND_TYPE, Provider, SERVICE, SPOT, SPOT_TYPES, Stack};
use view::{Instance, View};

/// Tasks at the peak, and how base 1 and weights 1 : 1 split them.
const PEAK: usize = 20;
const PEAK_ON_DEMAND: usize = 11;
const PEAK_SPOT: usize = 9;
/// Instances of each provider that one task and a target capacity of 80 % lead to.
const FIRST_INSTANCES: usize = 2;
/// Managed scaling takes instances away after so many minutes below the target capacity.
const SCALE_IN_MINUTES: usize = 15;
/// What the clients send.
const LOAD: Plan = Plan { connections: 8, pace: Duration::from_millis(40), requests: &[FRONT_PAGE] };
/// Looks at the server so often, and draws the status line.
const LOOK: Duration = Duration::from_millis(100);
/// A wait ends in vain after so long, by the server's clock: twice what the longest, scale-in, takes at AWS.
const PATIENCE: Span = Span::from_mins(40);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How fast the server's time runs: xN, or real (the story then takes half an hour)
    #[arg(long, default_value = "x24", value_parser = Clock::parse)]
    clock: Clock,
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
            region: capstan_model::region("eu-west-1").ok_or("eu-west-1 is not in the catalogue")?,
            account: "012345678910".to_owned(),
            trail: true,
            ..Config::new(1)
        },
        capstan_exe: serve::this_program()?,
        port_offset: 8000,
    };
    let no_colours = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    runtime.block_on(async {
        let server = Server::start(options).await.map_err(|e| e.to_string())?;
        let mut screen = Screen::new(!no_colours);
        let told = tokio::select! {
            told = tell(&server, &mut screen, args.clock) => told,
            () = serve::stopped() => Err("interrupted; what the demo started has been stopped".to_owned()),
        };
        screen.clear();
        server.stop().await;
        let outcome = told?;
        let problems = outcome.problems();
        screen.summary(&outcome.line(), problems.is_empty());
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    })
}

/// What came of it.
#[derive(Clone, Debug, Default)]
struct Outcome {
    on_demand: usize,
    spot: usize,
    interrupted: usize,
    drained: usize,
    counts: Counts,
}

impl Outcome {
    fn line(&self) -> String {
        let Self { on_demand, spot, interrupted, drained, counts } = self;
        let tasks = on_demand + spot;
        let instances = if *drained == 1 { "instance" } else { "instances" };
        format!(
            "demo: {tasks} tasks ({on_demand} On-Demand, {spot} Spot), {interrupted} interrupted, {drained} {instances} drained, {} requests, {} failed",
            counts.requests, counts.failed
        )
    }

    /// Sentences, when it is not as the workshop says.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if (self.on_demand, self.spot) != (PEAK_ON_DEMAND, PEAK_SPOT) {
            problems.push(format!(
                "the workshop has {PEAK_ON_DEMAND} tasks On-Demand and {PEAK_SPOT} on Spot, here were {} and {}",
                self.on_demand, self.spot
            ));
        }
        if self.interrupted != INTERRUPTED {
            problems
                .push(format!("{INTERRUPTED} instances were to be interrupted, {} were", self.interrupted));
        }
        if self.drained != 1 {
            problems.push("the instance did not drain".to_owned());
        }
        if self.counts.requests == 0 {
            problems.push("no request was sent".to_owned());
        }
        if let Some(first) = &self.counts.first_failure {
            problems.push(format!("{} requests failed, the first: {first}", self.counts.failed));
        }
        problems
    }
}

async fn tell(server: &Server, screen: &mut Screen, clock: Clock) -> Result<Outcome, String> {
    let port = free_port()?;
    let control = server.control().clone();
    let began = control.look(|engine| engine.now()).await.ok_or("the server has stopped")?;
    screen.blank();
    screen.fact("capstan demo", "the ECS workshop on EC2 Spot, with real tasks and real requests");
    screen.fact("API", &format!("http://{} (eu-west-1, clock {clock})", server.address()));
    screen.fact("load balancer", &format!("http://127.0.0.1:{port}"));

    screen.heading("Two Auto Scaling groups, two capacity providers, one service");
    let stack = Stack::create(control, port).await?;
    let mut story = Story { stack, screen, began, load: None, shown: BTreeSet::new() };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    story.first_task(address).await?;

    story.screen.heading("From 1 to 20 tasks: base 1 on EC2, weights 1 : 1");
    let view = story.peak().await?;
    let mut outcome =
        Outcome { on_demand: view.running_on(ON_DEMAND), spot: view.running_on(SPOT), ..Outcome::default() };

    story.screen.heading("An experiment takes three Spot Instances away");
    outcome.interrupted = story.interrupt().await?;
    let view = story.stack.view().await?;

    story.screen.heading("Drain an instance");
    outcome.drained = story.drain(&view).await?;

    story.screen.heading("Back to 1 task, and 15 minutes later fewer instances");
    story.back().await?;
    if let Some(load) = story.load.take() {
        outcome.counts = load.stop().await;
    }
    story.clients(&outcome.counts).await?;
    Ok(outcome)
}

/// A port for the listener that nobody uses.
pub(crate) fn free_port() -> Result<u16, String> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("failed to find a free port: {error}"))
}

struct Story<'a> {
    stack: Stack,
    screen: &'a mut Screen,
    began: Time,
    load: Option<Load>,
    /// News that were printed.
    shown: BTreeSet<(Time, String)>,
}

impl Story<'_> {
    async fn first_task(&mut self, address: SocketAddr) -> Result<(), String> {
        self.call(&format!("group ecs-on-demand: {ON_DEMAND_TYPE}, On-Demand, up to 10 instances")).await?;
        self.call(&format!("group ecs-spot: Spot, up to 10 instances of {}", SPOT_TYPES.join(", "))).await?;
        self.call("providers EC2 and EC2Spot: managed scaling, target capacity 80%").await?;
        self.call("load balancer and target group: deregistration delay 90 s").await?;
        self.call("EventBridge rule: what EC2 says of Spot to a log group").await?;
        self.stack.watch_spot().await?;
        self.call("service: 1 task of capstan/web (256 CPU units, 512 MiB) on EC2").await?;
        self.stack.create_service().await?;
        let one = |view: &View, _: &Counts| (view.settled(1), None);
        self.until("waiting for the first task", one).await?;

        self.load = Some(Load::start(LOAD, address, &self.stack.dns_name));
        let text = format!(
            "{} connections send {} requests a second from now until the end",
            LOAD.connections,
            LOAD.per_second()
        );
        self.line(Source::Clients, "clients", &text).await?;
        let instances = |view: &View, _: &Counts| {
            let of = |provider: Provider| {
                view.instances.iter().filter(|instance| instance.provider == provider.name).count()
            };
            let have = of(ON_DEMAND).min(FIRST_INSTANCES) + of(SPOT).min(FIRST_INSTANCES);
            (have == 2 * FIRST_INSTANCES, Some(Progress { have, want: 2 * FIRST_INSTANCES }))
        };
        let view = self.until("two instances of each provider", instances).await?;
        self.instances(&view);
        Ok(())
    }

    async fn peak(&mut self) -> Result<View, String> {
        self.call("UpdateService: desired 20, EC2 base 1 weight 1, EC2Spot weight 1, new deployment").await?;
        self.stack.spread(20).await?;
        let settled = |view: &View, _: &Counts| {
            let have = view.running().min(view.healthy).min(PEAK);
            (view.settled(PEAK), Some(Progress { have, want: PEAK }))
        };
        self.until("tasks run and are healthy", settled).await?;
        if let Some(load) = &self.load {
            load.forget_tasks();
        }
        let answer = |_: &View, counts: &Counts| {
            let have = counts.tasks.len();
            (have >= PEAK, Some(Progress { have, want: PEAK }))
        };
        let view = self.until("tasks answer", answer).await?;
        self.tasks(&view);
        self.instances(&view);
        Ok(view)
    }

    /// Has Spot Instances interrupted, and waits until their tasks run elsewhere. How many were.
    async fn interrupt(&mut self) -> Result<usize, String> {
        let since = self.stack.now().await?;
        self.call(&format!("FIS experiment: interrupt {INTERRUPTED} Spot Instances, two minutes' notice"))
            .await?;
        self.stack.interrupt().await?;
        let warned = |view: &View, _: &Counts| {
            let have = view.warned.len();
            let drains = |id: &String| view.instances.iter().all(|row| row.id != *id || row.drains);
            let done = have >= INTERRUPTED && view.warned.iter().all(drains);
            (done, Some(Progress { have, want: INTERRUPTED }))
        };
        let view = self.until("instances have their notice and drain", warned).await?;
        self.instances(&view);
        let taken = view.warned;
        let gone = |view: &View, _: &Counts| {
            let left = view.instances.iter().filter(|row| taken.contains(&row.id)).count();
            (left == 0, Some(Progress { have: taken.len() - left.min(taken.len()), want: taken.len() }))
        };
        self.until("instances gone", gone).await?;
        let replaced = |view: &View, _: &Counts| {
            let done = view.settled(PEAK) && view.steady(since);
            (done, Some(Progress { have: view.running().min(view.healthy).min(PEAK), want: PEAK }))
        };
        let view = self.until("tasks run and are healthy", replaced).await?;
        if let Some(counts) = self.load.as_ref().map(Load::counts) {
            self.clients(&counts).await?;
        }
        self.instances(&view);
        Ok(taken.len())
    }

    /// Drains the Spot instance with the most tasks. How many instances have drained: one.
    async fn drain(&mut self, view: &View) -> Result<usize, String> {
        let spot = view.instances.iter().filter(|instance| instance.provider == SPOT.name);
        let Instance { arn, id, tasks, .. } =
            spot.max_by_key(|instance| instance.tasks).ok_or("there is no Spot instance to drain")?;
        let since = self.stack.now().await?;
        self.call(&format!("{id} with {tasks} tasks to DRAINING")).await?;
        self.stack.drain(arn).await?;
        let empty = |view: &View| {
            let drained =
                |instance: &&Instance| instance.arn == *arn && instance.drains && instance.tasks == 0;
            view.instances.iter().filter(drained).count()
        };
        let replaced = |view: &View, _: &Counts| {
            let left = view.instances.iter().find(|instance| instance.arn == *arn);
            let left = left.map_or(0, |instance| usize::try_from(instance.tasks).unwrap_or(0));
            let want = usize::try_from(*tasks).unwrap_or(0);
            let done = empty(view) == 1 && view.settled(PEAK) && view.steady(since);
            (done, Some(Progress { have: want.saturating_sub(left), want }))
        };
        let view = self.until("tasks moved elsewhere", replaced).await?;
        self.instances(&view);
        Ok(empty(&view))
    }

    async fn back(&mut self) -> Result<(), String> {
        let since = self.stack.now().await?;
        self.call("UpdateService: desired 1").await?;
        self.stack.scale(1).await?;
        let settled = |view: &View, _: &Counts| {
            (
                view.settled(1) && view.steady(since),
                Some(Progress { have: PEAK - view.tasks.len().clamp(1, PEAK), want: PEAK - 1 }),
            )
        };
        self.until("tasks stopped", settled).await?;
        let shrinking = |view: &View, _: &Counts| {
            let minutes = usize::try_from((view.now - since).as_secs() / 60).unwrap_or(0);
            let progress = Progress { have: minutes.min(SCALE_IN_MINUTES), want: SCALE_IN_MINUTES };
            (view.shrinks(ON_DEMAND, since) && view.shrinks(SPOT, since), Some(progress))
        };
        let view = self.until("minutes below the target", shrinking).await?;
        let ended = view.terminating(since);
        let gone = |view: &View, _: &Counts| {
            let left = view.instances.iter().filter(|instance| ended.contains(&instance.id)).count();
            let progress = Progress { have: ended.len() - left.min(ended.len()), want: ended.len() };
            (left == 0 && view.settled(1), Some(progress))
        };
        let view = self.until("instances gone, the task still there", gone).await?;
        self.instances(&view);
        Ok(())
    }

    /// Waits, and prints what happens meanwhile.
    async fn until(
        &mut self,
        what: &str,
        done: impl Fn(&View, &Counts) -> (bool, Option<Progress>),
    ) -> Result<View, String> {
        let since = self.stack.now().await?;
        loop {
            let view = self.stack.view().await?;
            for news in &view.news {
                if news.at >= self.began
                    && self.shown.insert((news.at, format!("{} {}", news.name, news.text)))
                {
                    self.screen.event(news.at - self.began, news.source, news.name, &news.text);
                }
            }
            let counts = self.load.as_ref().map(Load::counts).unwrap_or_default();
            let (done, progress) = done(&view, &counts);
            if done {
                return Ok(view);
            }
            if view.now - since > PATIENCE {
                let text = format!("waited in vain: {what}");
                return Err(self.explained(text).await);
            }
            let clients = match self.load {
                Some(_) => format!("{} requests, {} failed", counts.requests, counts.failed),
                None => String::new(),
            };
            self.screen.status(view.now - self.began, what, progress, &clients);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Adds what the server has to say about the service and the capacity providers.
    async fn explained(&self, mut text: String) -> String {
        for subject in [SERVICE, ON_DEMAND.name, SPOT.name] {
            let found = self.stack.api.control.look(move |engine| engine.explain(subject)).await.flatten();
            for why in found.into_iter().flat_map(|found| found.why) {
                text.push_str(&format!("\n  {subject}: {why}"));
            }
        }
        text
    }

    async fn line(&mut self, source: Source, name: &str, text: &str) -> Result<(), String> {
        let at = self.stack.now().await? - self.began;
        self.screen.event(at, source, name, text);
        Ok(())
    }

    /// What the story does next.
    async fn call(&mut self, text: &str) -> Result<(), String> {
        self.line(Source::Call, "call", text).await
    }

    async fn clients(&mut self, counts: &Counts) -> Result<(), String> {
        let text = format!(
            "{} requests, {} failed, the slowest answer after {} ms",
            counts.requests,
            counts.failed,
            counts.slowest.as_millis()
        );
        self.line(Source::Clients, "clients", &text).await
    }

    fn instances(&mut self, view: &View) {
        let rows: Vec<Vec<String>> = view
            .instances
            .iter()
            .map(|instance| {
                let status = if instance.drains { "DRAINING" } else { "ACTIVE" };
                vec![
                    instance.provider.clone(),
                    instance.id.clone(),
                    instance.kind.clone(),
                    instance.zone.clone(),
                    status.to_owned(),
                    instance.tasks.to_string(),
                ]
            })
            .collect();
        self.screen.table(&["Provider", "Instance", "Type", "Zone", "Status", "Tasks"], &rows);
    }

    /// Running tasks by provider and zone.
    fn tasks(&mut self, view: &View) {
        let zones: BTreeSet<&str> =
            view.tasks.iter().filter(|task| task.runs).map(|task| task.zone.as_str()).collect();
        let mut header = vec!["Provider", "Market"];
        header.extend(&zones);
        header.push("Tasks");
        let row = |name: &str, market: &str, provider: Option<Provider>| {
            let count = |zone: Option<&str>| {
                let counts = |task: &&view::Task| {
                    task.runs
                        && provider.is_none_or(|provider| task.provider == provider.name)
                        && zone.is_none_or(|zone| task.zone == zone)
                };
                view.tasks.iter().filter(counts).count().to_string()
            };
            let mut cells = vec![name.to_owned(), market.to_owned()];
            cells.extend(zones.iter().map(|zone| count(Some(zone))));
            cells.push(count(None));
            cells
        };
        let of = |provider: Provider| row(provider.name, provider.market, Some(provider));
        self.screen.table(&header, &[of(ON_DEMAND), of(SPOT), row("All", "", None)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_outcome() {
        let check = |outcome: Outcome, line: &str, problem: Option<&str>| {
            assert_eq!(outcome.line(), line);
            let problems = outcome.problems().join("; ");
            match problem {
                None => assert_eq!(problems, ""),
                Some(part) => assert!(problems.contains(part), "{problems}"),
            }
        };
        let good = Outcome {
            on_demand: 11,
            spot: 9,
            interrupted: 3,
            drained: 1,
            counts: Counts { requests: 12_345, ..Counts::default() },
        };
        check(
            good.clone(),
            "demo: 20 tasks (11 On-Demand, 9 Spot), 3 interrupted, 1 instance drained, 12345 requests, 0 failed",
            None,
        );
        check(
            Outcome { on_demand: 10, spot: 10, ..good.clone() },
            "demo: 20 tasks (10 On-Demand, 10 Spot), 3 interrupted, 1 instance drained, 12345 requests, 0 failed",
            Some("11 tasks On-Demand and 9 on Spot, here were 10 and 10"),
        );
        check(
            Outcome { drained: 0, ..good.clone() },
            "demo: 20 tasks (11 On-Demand, 9 Spot), 3 interrupted, 0 instances drained, 12345 requests, 0 failed",
            Some("did not drain"),
        );
        let counts = Counts {
            requests: 3,
            failed: 1,
            first_failure: Some("request 2: answered 502 Bad Gateway".to_owned()),
            ..Counts::default()
        };
        check(
            Outcome { counts, ..good },
            "demo: 20 tasks (11 On-Demand, 9 Spot), 3 interrupted, 1 instance drained, 3 requests, 1 failed",
            Some("1 requests failed, the first: request 2: answered 502 Bad Gateway"),
        );
    }
}
