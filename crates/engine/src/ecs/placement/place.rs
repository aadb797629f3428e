//! From a request to an instance: join the sets of what is required, then narrow by the strategy.

use capstan_model::Resources;
use capstan_shapes::ecs as shapes;

use super::bits::Bits;
use super::index::{Map, ZONE};
use super::reason::{Because, Lack, Rule, Unplaced};
use super::{PlaceRequest, Placed};
use crate::ecs::Ecs;
use crate::kernel::Chance;

/// A rule of a strategy, read.
pub(super) enum Step<'a> {
    BinpackCpu,
    BinpackMemory,
    Random,
    SpreadAttribute(&'a str),
    SpreadInstance,
}

impl Map {
    pub(super) fn place(
        &mut self,
        ecs: &Ecs,
        request: &PlaceRequest,
        chance: &mut Chance,
    ) -> Result<Placed, Unplaced> {
        let mut left = self.candidates(ecs, request);
        if left.is_empty() {
            return Err(self.why_nowhere(ecs, request));
        }
        let mut because =
            Because { group: Some(request.group.clone()), candidates: left.len(), rules: Vec::new() };
        for step in steps(request) {
            let (rule, narrowed) = self.narrow(ecs, request, &step, left, chance);
            because.rules.push(rule);
            left = narrowed;
        }
        let (_, left) = self.all.fewest(&left);
        let slot = left.first().expect("a rule leaves at least one of those that it is given");
        for (step, rule) in steps(request).zip(&mut because.rules) {
            if let (Step::SpreadAttribute(attribute), Rule::FewestIn { value, .. }) = (step, rule) {
                let (partition, _) = self.partition(ecs, attribute, &request.group);
                *value = partition.values[partition.value_at(slot)].clone();
            }
        }
        Ok(Placed { instance: self.slots[slot].id, because })
    }

    /// The slots that hold what the task needs and meet its constraints.
    fn candidates(&mut self, ecs: &Ecs, request: &PlaceRequest) -> Bits {
        let mut left = self.ready.clone();
        self.keep_provider(&mut left, request);
        left.keep(self.fits(request.needs.resources));
        if left.is_empty() {
            return left;
        }
        self.keep_attributes(ecs, &mut left, request);
        self.keep_members(ecs, &mut left, request);
        self.drop_taken(&mut left, request);
        self.keep_ports(ecs, &mut left, request);
        if request.needs.interface {
            left.keep(&self.interface);
        }
        left
    }

    fn keep_provider(&self, left: &mut Bits, request: &PlaceRequest) {
        if let Some(provider) = &request.provider {
            match self.providers.get(provider) {
                Some(of_provider) => left.keep(of_provider),
                None => *left = Bits::default(),
            }
        }
    }

    fn keep_attributes(&mut self, ecs: &Ecs, left: &mut Bits, request: &PlaceRequest) {
        if !request.needs.attributes.is_empty() {
            left.keep(self.with_attributes(ecs, &request.needs.attributes));
        }
    }

    fn keep_members(&mut self, ecs: &Ecs, left: &mut Bits, request: &PlaceRequest) {
        for constraint in &request.constraints {
            if constraint.r#type == Some(shapes::PlacementConstraintType::MemberOf) {
                let members = self.members(ecs, constraint.expression.as_deref().unwrap_or_default());
                left.keep(&members);
            }
        }
    }

    /// For `distinctInstance`: without the instances that have a task of the group, one that is stopping included.
    fn drop_taken(&self, left: &mut Bits, request: &PlaceRequest) {
        let distinct = |constraint: &shapes::PlacementConstraint| {
            constraint.r#type == Some(shapes::PlacementConstraintType::DistinctInstance)
        };
        if let (true, Some(tally)) = (request.constraints.iter().any(distinct), self.present(&request.group))
        {
            left.drop(tally.some());
        }
    }

    fn keep_ports(&mut self, ecs: &Ecs, left: &mut Bits, request: &PlaceRequest) {
        for port in &request.needs.tcp_ports {
            left.keep(self.tcp_free(ecs, *port));
        }
        for port in &request.needs.udp_ports {
            left.keep(self.udp_free(ecs, *port));
        }
    }

    fn narrow(
        &mut self,
        ecs: &Ecs,
        request: &PlaceRequest,
        step: &Step<'_>,
        left: Bits,
        chance: &mut Chance,
    ) -> (Rule, Bits) {
        match step {
            Step::BinpackCpu => self.least(false, request.needs.resources, left),
            Step::BinpackMemory => self.least(true, request.needs.resources, left),
            Step::Random => {
                let among = left.len();
                let drawn = chance.below("ecs.placement", among as u64);
                let slot = left.nth(usize::try_from(drawn).unwrap_or_default());
                (Rule::Random { among }, slot.into_iter().collect())
            }
            Step::SpreadAttribute(attribute) => self.fewest_in(ecs, &request.group, attribute, left),
            Step::SpreadInstance => {
                let (count, left) = match self.spread(&request.group) {
                    Some(spread) => spread.tally.fewest(&left),
                    None => (0, left),
                };
                (Rule::FewestOn { count }, left)
            }
        }
    }

    /// Those whose value of the attribute has the fewest tasks of the group; several values may.
    fn fewest_in(&mut self, ecs: &Ecs, group: &str, attribute: &str, left: Bits) -> (Rule, Bits) {
        let (partition, counts) = self.partition(ecs, attribute, group);
        let count = |at: usize| counts.map_or(0, |counts| counts[at]);
        let with_candidates = || (0..partition.values.len()).filter(|at| left.meets(&partition.slots[*at]));
        let fewest = with_candidates().map(count).min().expect("a candidate has a value or none");
        let mut chosen = Bits::default();
        for at in with_candidates().filter(|at| count(*at) == fewest) {
            chosen.add(&partition.slots[at]);
        }
        chosen.keep(&left);
        // Which of the values it is shows when the instance is chosen.
        (Rule::FewestIn { value: None, count: fewest }, chosen)
    }

    /// Those with the least left of CPU or memory, which is enough for all that are given.
    fn least(&mut self, memory: bool, needs: Resources, left: Bits) -> (Rule, Bits) {
        let enough = if memory { needs.memory } else { needs.cpu };
        let mut order = self.order(memory).range(enough..);
        let found = order.find_map(|(amount, slots)| Some((*amount, left.both(slots)?)));
        let (amount, slots) = found.expect("every slot is in the order");
        (Rule::Least { memory, left: amount }, slots)
    }

    /// What is missing: the first requirement that no instance meets together with those before it. The closest match is
    /// the one that lacks the fewest of the resources, then the roomiest.
    fn why_nowhere(&mut self, ecs: &Ecs, request: &PlaceRequest) -> Unplaced {
        let mut left = self.active.clone();
        self.keep_provider(&mut left, request);
        if left.is_empty() {
            let lack = if request.provider.is_some() { Lack::EmptyProvider } else { Lack::NoInstances };
            return Unplaced { lack, instance: None };
        }
        let without = |lack: Lack, before: &Bits, map: &Self| {
            let instance = before.first().map(|slot| map.slots[slot].id);
            Unplaced { lack, instance }
        };
        let mut before = left.clone();
        left.keep(&self.ready);
        if left.is_empty() {
            return without(Lack::Agent, &before, self);
        }
        before = left.clone();
        self.keep_attributes(ecs, &mut left, request);
        if left.is_empty() {
            return without(Lack::Attribute, &before, self);
        }
        before = left.clone();
        self.keep_members(ecs, &mut left, request);
        if left.is_empty() {
            return without(Lack::MemberOf, &before, self);
        }
        before = left.clone();
        self.drop_taken(&mut left, request);
        if left.is_empty() {
            return without(Lack::DistinctInstance, &before, self);
        }
        let mut ports = left.clone();
        self.keep_ports(ecs, &mut ports, request);
        let needs = &request.needs;
        let lacks = |slot: usize| {
            let remaining = self.slots[slot].remaining;
            [
                (needs.resources.cpu > remaining.cpu, Lack::Cpu),
                (needs.resources.memory > remaining.memory, Lack::Memory),
                (!ports.has(slot), Lack::Ports),
                (needs.interface && !self.interface.has(slot), Lack::Interface),
            ]
        };
        let closest = left.iter().min_by_key(|slot| {
            let missing = lacks(*slot).iter().filter(|(missing, _)| *missing).count();
            let remaining = self.slots[*slot].remaining;
            (missing, std::cmp::Reverse((remaining.memory, remaining.cpu)), *slot)
        });
        let slot = closest.expect("some instance was left");
        let lack = lacks(slot).into_iter().find(|(missing, _)| *missing).map(|(_, lack)| lack);
        let lack = lack.expect("no instance was a candidate, so the closest lacks something");
        Unplaced { lack, instance: Some(self.slots[slot].id) }
    }
}

/// The strategy of the request, or the default: services over zones, then over instances (ECS guide,
/// task-placement-strategies); other tasks at random (our reading).
fn steps(request: &PlaceRequest) -> impl Iterator<Item = Step<'_>> {
    let default = match (request.strategy.is_empty(), &request.service) {
        (false, _) => [None, None],
        (true, Some(_)) => [Some(Step::SpreadAttribute(ZONE)), Some(Step::SpreadInstance)],
        (true, None) => [Some(Step::Random), None],
    };
    default.into_iter().flatten().chain(request.strategy.iter().map(step))
}

pub(super) fn step(strategy: &shapes::PlacementStrategy) -> Step<'_> {
    let field = strategy.field.as_deref().unwrap_or_default();
    match strategy.r#type {
        Some(shapes::PlacementStrategyType::Binpack) if field.eq_ignore_ascii_case("cpu") => Step::BinpackCpu,
        Some(shapes::PlacementStrategyType::Binpack) => Step::BinpackMemory,
        Some(shapes::PlacementStrategyType::Spread) => match field.strip_prefix("attribute:") {
            Some(attribute) => Step::SpreadAttribute(attribute),
            None => Step::SpreadInstance,
        },
        Some(shapes::PlacementStrategyType::Random) | None => Step::Random,
    }
}
