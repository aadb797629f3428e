//! What tasks use, measured on this host, for the engine to make metrics of.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use capstan_agent::{Runtime, Used};
use capstan_engine::ecs::Usage;
use capstan_engine::{Fact, Input};
use capstan_model::Hex32;

use crate::Control;

/// Real time between two looks. Stock agents send what they measured every 20 s; a clock that runs faster wants more.
const PERIOD: Duration = Duration::from_secs(5);

/// A CPU has 1,024 units.
const MILLI_UNITS: f64 = 1_024_000.0;

/// Measures and reports for as long as the server runs.
pub(crate) async fn report(runtime: Runtime, control: Control) {
    let mut before: BTreeMap<String, (Instant, Used)> = BTreeMap::new();
    loop {
        tokio::time::sleep(PERIOD).await;
        let runtime = runtime.clone();
        let Ok(used) = tokio::task::spawn_blocking(move || runtime.used()).await else { return };
        let now = Instant::now();
        for (task, used) in &used {
            let id = task.rsplit('/').next().and_then(|id| id.parse::<Hex32>().ok());
            let (Some(id), Some((since, earlier))) = (id, before.get(task)) else { continue };
            let usage = usage(*earlier, *used, now - *since);
            control.input(Input::Fact(Fact::TaskUsage { task: id, usage }));
        }
        before = used.into_iter().map(|(task, used)| (task, (now, used))).collect();
    }
}

/// The average between two looks. A container that was started anew begins with no processor time.
fn usage(earlier: Used, used: Used, elapsed: Duration) -> Usage {
    let cpu = used.cpu.saturating_sub(earlier.cpu).as_secs_f64() / elapsed.as_secs_f64().max(1e-3);
    Usage {
        cpu_milli_units: (cpu * MILLI_UNITS) as i64,
        memory_kib: i64::try_from(used.memory_kib).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_an_average_over_the_time_between() {
        let used = |millis, memory_kib| Used { cpu: Duration::from_millis(millis), memory_kib };
        let cases = [
            (used(0, 5), used(2_500, 7), Usage { cpu_milli_units: 512_000, memory_kib: 7 }),
            (used(900, 5), used(900, 5), Usage { cpu_milli_units: 0, memory_kib: 5 }),
            (used(900, 5), used(100, 5), Usage { cpu_milli_units: 0, memory_kib: 5 }),
        ];
        for (earlier, later, expected) in cases {
            assert_eq!(usage(earlier, later, Duration::from_secs(5)), expected);
        }
    }
}
