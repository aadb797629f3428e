//! One instance against what a task asks, and rules against what the API allows.

use capstan_model::Hex32;
use capstan_shapes::{Refusal, ecs as shapes};

use super::Placed;
use super::index::has_attributes;
use super::reason::{Because, Lack, Unplaced};
use crate::Engine;
use crate::ecs::cluster::invalid;
use crate::ecs::query::{Expression, LENGTH_MAX};
use crate::ecs::{ContainerInstance, Ecs, InstanceStatus, Name, TaskIndex, TaskNeeds};

/// Constraints of a task, those of its definition included; rules of a strategy (ECS model).
const CONSTRAINTS_MAX: usize = 10;
const STRATEGY_MAX: usize = 5;

/// Refuses constraints and strategies that ECS would not take.
pub(in crate::ecs) fn check_rules(
    constraints: &[shapes::PlacementConstraint],
    strategy: &[shapes::PlacementStrategy],
) -> Result<(), Refusal> {
    if constraints.len() > CONSTRAINTS_MAX {
        return Err(invalid(format!(
            "Placement constraints cannot have more than {CONSTRAINTS_MAX} elements."
        )));
    }
    if strategy.len() > STRATEGY_MAX {
        return Err(invalid(format!("Placement strategies cannot have more than {STRATEGY_MAX} elements.")));
    }
    for constraint in constraints {
        let expression = constraint.expression.as_deref();
        match constraint.r#type {
            None => return Err(invalid("Placement constraint type must be given.")),
            Some(shapes::PlacementConstraintType::DistinctInstance) if expression.is_some() => {
                return Err(invalid("distinctInstance expression should not be specified."));
            }
            Some(shapes::PlacementConstraintType::DistinctInstance) => {}
            Some(shapes::PlacementConstraintType::MemberOf) => check_expression(expression)?,
        }
    }
    strategy.iter().try_for_each(check_strategy)
}

/// The expression of a memberOf constraint.
fn check_expression(expression: Option<&str>) -> Result<(), Refusal> {
    let text = expression.unwrap_or_default();
    if text.is_empty() {
        return Err(invalid("memberOf expression must be specified."));
    }
    if text.chars().count() > LENGTH_MAX {
        return Err(invalid(format!("memberOf expression cannot be longer than {LENGTH_MAX} characters.")));
    }
    Expression::parse(text).map(|_| ()).map_err(|invalid| invalid.refusal(text))
}

fn check_strategy(strategy: &shapes::PlacementStrategy) -> Result<(), Refusal> {
    let field = strategy.field.as_deref().filter(|field| !field.is_empty());
    let wrong = |r#type: &str, fields: &str| {
        let given = field.unwrap_or_default();
        Err(invalid(format!("\"{given}\" is not a valid field of placement strategy {type}: use {fields}.")))
    };
    match (strategy.r#type, field) {
        (None, _) => Err(invalid("Placement strategy type must be given.")),
        (Some(shapes::PlacementStrategyType::Random), None) => Ok(()),
        (Some(shapes::PlacementStrategyType::Random), Some(_)) => wrong("random", "no field"),
        (Some(shapes::PlacementStrategyType::Binpack), field) => {
            if field.is_some_and(|field| matches!(&*field.to_ascii_lowercase(), "cpu" | "memory")) {
                return Ok(());
            }
            wrong("binpack", "cpu or memory")
        }
        (Some(shapes::PlacementStrategyType::Spread), field) => {
            let known = |field: &str| {
                matches!(field, "instanceId" | "host")
                    || field.strip_prefix("attribute:").is_some_and(|name| !name.is_empty())
            };
            if field.is_some_and(known) {
                return Ok(());
            }
            wrong("spread", "instanceId, host or attribute:NAME")
        }
    }
}

/// Whether one instance can take a task, for StartTask and DAEMON services, which choose instances by themselves.
pub(in crate::ecs) fn fits(
    cx: &Engine,
    instance: Hex32,
    needs: &TaskNeeds,
    constraints: &[shapes::PlacementConstraint],
    group: &Name,
) -> Result<Placed, Unplaced> {
    let Some(row) = cx.ecs.instances.get(&instance) else {
        return Err(Unplaced { lack: Lack::Inactive, instance: Some(instance) });
    };
    match lack(&cx.ecs, row, needs, constraints, group) {
        Some(lack) => Err(Unplaced { lack, instance: Some(instance) }),
        None => Ok(Placed { instance, because: Because::asked() }),
    }
}

/// The first thing that the instance lacks, in the order in which placement asks.
pub(super) fn lack(
    ecs: &Ecs,
    row: &ContainerInstance,
    needs: &TaskNeeds,
    constraints: &[shapes::PlacementConstraint],
    group: &Name,
) -> Option<Lack> {
    use shapes::PlacementConstraintType as Kind;
    if row.status != InstanceStatus::Active {
        return Some(Lack::Inactive);
    }
    if !row.agent_connected {
        return Some(Lack::Agent);
    }
    if !has_attributes(row, &needs.attributes) {
        return Some(Lack::Attribute);
    }
    for constraint in constraints.iter().filter(|constraint| constraint.r#type == Some(Kind::MemberOf)) {
        let text = constraint.expression.as_deref().unwrap_or_default();
        if !Expression::parse(text).is_ok_and(|expression| expression.holds(ecs, row)) {
            return Some(Lack::MemberOf);
        }
    }
    if constraints.iter().any(|constraint| constraint.r#type == Some(Kind::DistinctInstance))
        && ecs.tasks.by(&TaskIndex::Instance(row.id)).any(|task| task.group == *group)
    {
        return Some(Lack::DistinctInstance);
    }
    if needs.resources.cpu > row.remaining.cpu {
        return Some(Lack::Cpu);
    }
    if needs.resources.memory > row.remaining.memory {
        return Some(Lack::Memory);
    }
    if !needs.tcp_ports.is_disjoint(&row.tcp_ports) || !needs.udp_ports.is_disjoint(&row.udp_ports) {
        return Some(Lack::Ports);
    }
    if needs.interface && row.interfaces >= row.interfaces_max {
        return Some(Lack::Interface);
    }
    None
}
