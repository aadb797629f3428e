//! The control thread: listeners, health checks, sweeping, shutting down. No request passes here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::front::SETTLE;
use crate::health::Checks;
use crate::listener::Listeners;
use crate::shared::Shared;
use crate::snapshot::TargetGroup;
use crate::worker::Workers;

/// How often idle connections are looked through and failed listeners are tried again.
const TICK: Duration = Duration::from_secs(1);
/// Idle connections to targets are closed after this, unscaled: it is a matter of sockets, not of the story.
const IDLE_TARGET_CONNECTION: Duration = Duration::from_secs(60);

pub(crate) enum Command {
    /// A new snapshot is in place.
    Reconcile,
    /// Stop, and tell when all requests are finished or `grace` is over.
    Shutdown { grace: Duration, done: oneshot::Sender<()> },
}

pub(crate) struct Control {
    pub(crate) shared: Arc<Shared>,
    pub(crate) listeners: Listeners,
    pub(crate) workers: Arc<Workers>,
    /// Ends when all workers have.
    pub(crate) workers_ended: mpsc::Receiver<()>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
}

impl Control {
    /// Runs until it is told to stop or nobody can tell it any more.
    pub(crate) async fn run(mut self) {
        let mut checks = Checks::default();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (grace, done) = loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Reconcile) => {
                        self.listeners.reconcile();
                        checks.reconcile(&self.shared);
                    }
                    Some(Command::Shutdown { grace, done }) => break (grace, Some(done)),
                    None => break (Duration::ZERO, None),
                },
                _ = ticks.tick() => {
                    self.sweep();
                    if self.listeners.has_failed() {
                        self.listeners.reconcile();
                    }
                }
            }
        };
        checks.stop();
        self.stop(grace).await;
        if let Some(done) = done {
            // The caller may have given up waiting.
            let _ = done.send(());
        }
    }

    fn sweep(&self) {
        let now = Instant::now();
        for group in self.shared.groups() {
            for target in group.targets() {
                target.sweep(IDLE_TARGET_CONNECTION, now);
            }
        }
    }

    /// Stops accepting, lets what was accepted settle and finish, and ends the workers.
    async fn stop(self, grace: Duration) {
        let Self { shared, mut listeners, workers, mut workers_ended, .. } = self;
        listeners.close();
        drop(listeners);
        if !grace.is_zero() {
            // The acceptors take in their backlog, the workers take over what was handed to them.
            tokio::time::sleep(SETTLE).await;
            let _ = tokio::time::timeout(grace, shared.tasks.ended()).await;
        }
        for group in shared.groups() {
            group.apply(&TargetGroup::new(group.arn.clone()), shared.time_scale);
        }
        // Acceptors may hold on to the workers for another moment.
        drop(workers);
        let _ = workers_ended.recv().await;
    }
}
