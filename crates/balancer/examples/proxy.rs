//! The balancer in front of given addresses, for measuring it beside another proxy:
//!
//! `proxy --listen 127.0.0.1:8081 --target 127.0.0.1:9001 [--target …] [--workers 2]`

use std::collections::BTreeMap;
use std::net::SocketAddr;

use capstan_balancer::snapshot::{
    Action, HealthCheck, Listener, ListenerProtocol, LoadBalancer, LoadBalancerAttributes, Target,
    TargetGroup, WeightedTargetGroup,
};
use capstan_balancer::{Balancer, Options, Snapshot};

const GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/example/0";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut listen: SocketAddr = "127.0.0.1:8081".parse()?;
    let mut targets: Vec<SocketAddr> = Vec::new();
    let mut workers = 0;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => listen = value.parse()?,
            "--target" => targets.push(value.parse()?),
            "--workers" => workers = value.parse()?,
            _ => return Err(format!("{name} is not an option; use --listen, --target or --workers").into()),
        }
    }
    let options = Options {
        listen_ip: listen.ip(),
        ports: BTreeMap::from([(80, listen.port())]),
        workers,
        ..Options::default()
    };
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let balancer = Balancer::start(options, reports)?;
    balancer.apply(&snapshot(&targets));
    loop {
        tokio::select! {
            Some(report) = reported.recv() => eprintln!("{report:?}"),
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    balancer.shutdown().await;
    Ok(())
}

fn snapshot(targets: &[SocketAddr]) -> Snapshot {
    let target = |address: &SocketAddr| Target {
        id: address.ip().to_string(),
        port: address.port(),
        availability_zone: None,
        address: Some(*address),
        draining: false,
    };
    let group = TargetGroup {
        targets: targets.iter().map(target).collect(),
        health_check: HealthCheck { matcher: "200-499".into(), ..HealthCheck::default() },
        ..TargetGroup::new(GROUP)
    };
    let forward = vec![WeightedTargetGroup { target_group_arn: GROUP.into(), weight: 1 }];
    Snapshot {
        load_balancers: vec![LoadBalancer {
            name: "example".into(),
            arn: "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/example/0".into(),
            dns_name: "example-0.us-east-1.elb.localhost".into(),
            attributes: LoadBalancerAttributes::default(),
            listeners: vec![Listener {
                port: 80,
                protocol: ListenerProtocol::Http,
                default_action: Action::Forward(forward),
                rules: Vec::new(),
            }],
        }],
        target_groups: vec![group],
    }
}
