//! What a group launches from: launch templates, mixed instances policies.

use std::sync::Arc;

use capstan_model::catalogue::Architecture;
use capstan_model::{MicroDollars, catalogue};
use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;
use capstan_shapes::ec2::MarketType;

use super::rows::{
    Distribution, Group, MixedPolicy, Name, OnDemandStrategy, Origin, Override, Source, SpotStrategy,
    TemplateSpec,
};
use super::{invalid, launch_configuration};
use crate::ec2::requirements;
use crate::{Engine, ec2, ssm};

/// What a group launches from, looked up at the moment of a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) origin: Origin,
    pub(super) instance_type: Option<Name>,
    /// The template itself asks for Spot.
    pub(super) spot: bool,
    /// Of the template's image, when it is known.
    architecture: Option<Architecture>,
}

/// The architecture of an image, given by its id or its public parameter.
fn architecture(engine: &Engine, image: &str) -> Option<Architecture> {
    let region = engine.config.region;
    let id = match image.strip_prefix("resolve:ssm:") {
        Some(name) => ssm::value(engine, name)?,
        None => image.to_owned(),
    };
    ec2::releases().iter().find(|release| release.id(region.name) == id).map(|release| release.architecture)
}

/// The template and the version that its specification means now.
pub(super) fn resolve(engine: &Engine, spec: &TemplateSpec) -> Result<Resolved, Refusal> {
    let template = engine.ec2.launch_template(Some(&spec.id), None)?;
    let version = engine.ec2.launch_template_version(template, Some(&spec.version))?;
    let market = version.data.instance_market_options.as_ref().and_then(|market| market.market_type);
    Ok(Resolved {
        origin: Origin::Template(Arc::new(TemplateSpec {
            id: spec.id.clone(),
            name: spec.name.clone(),
            version: version.version.to_string(),
        })),
        instance_type: version.data.instance_type.as_deref().map(Name::from),
        spot: market == Some(MarketType::Spot),
        architecture: version.data.image_id.as_deref().and_then(|image| architecture(engine, image)),
    })
}

/// What the group's own template, or its launch configuration, means now.
fn resolve_source(engine: &Engine, source: &Source) -> Result<Resolved, Refusal> {
    let name = match source {
        Source::Configuration(name) => name,
        Source::Mixed(policy) => return resolve(engine, &policy.template),
        Source::Template(spec) => return resolve(engine, spec),
    };
    let given = &launch_configuration::find(engine, name)?.given;
    Ok(Resolved {
        origin: Origin::Configuration(name.clone()),
        instance_type: given.instance_type.as_deref().map(Name::from),
        spot: given.spot_price.is_some(),
        architecture: given.image_id.as_deref().and_then(|image| architecture(engine, image)),
    })
}

/// Reads a specification: it must name one existing template and version.
pub(super) fn spec(
    engine: &Engine,
    given: &shapes::LaunchTemplateSpecification,
) -> Result<TemplateSpec, Refusal> {
    let (id, name) = (given.launch_template_id.as_deref(), given.launch_template_name.as_deref());
    if id.is_some() == name.is_some() {
        return Err(invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName"));
    }
    let wrong = |refusal: Refusal| {
        invalid(format!("You must use a valid fully-formed launch template. {}", refusal.message))
    };
    let version = given.version.clone().filter(|version| !version.is_empty());
    let version = version.unwrap_or_else(|| "$Default".to_owned());
    let template = engine.ec2.launch_template(id, name).map_err(wrong)?;
    engine.ec2.launch_template_version(template, Some(&version)).map_err(wrong)?;
    Ok(TemplateSpec { id: template.id.clone(), name: template.name.clone(), version })
}

/// What a create request launches from. Exactly one source must be given.
pub(super) fn source(
    engine: &Engine,
    template: Option<&shapes::LaunchTemplateSpecification>,
    mixed: Option<&shapes::MixedInstancesPolicy>,
    launch_configuration: Option<&str>,
    instance: Option<&str>,
) -> Result<Option<Source>, Refusal> {
    let given = [template.is_some(), mixed.is_some(), launch_configuration.is_some(), instance.is_some()];
    if given.iter().filter(|given| **given).count() > 1 {
        return Err(invalid(
            "Valid requests must contain only one of launchTemplate, launchConfiguration, InstanceId or \
             MixedInstancesPolicy parameter.",
        ));
    }
    if let Some(name) = launch_configuration {
        let found = launch_configuration::find(engine, name)?;
        return Ok(Some(Source::Configuration(found.name.clone())));
    }
    if instance.is_some() {
        return Err(invalid(
            "Groups cannot be made of an instance here: leave InstanceId out and give a launch template or a launch \
             configuration.",
        ));
    }
    if let Some(policy) = mixed {
        return self::mixed(engine, policy, None).map(|policy| Some(Source::Mixed(policy)));
    }
    match template {
        Some(template) => spec(engine, template).map(|template| Some(Source::Template(template))),
        None => Ok(None),
    }
}

/// Reads a mixed instances policy; what it leaves out comes from `before` (UpdateAutoScalingGroup), then from the
/// API's defaults.
pub(super) fn mixed(
    engine: &Engine,
    given: &shapes::MixedInstancesPolicy,
    before: Option<&MixedPolicy>,
) -> Result<MixedPolicy, Refusal> {
    let launch = given.launch_template.as_ref();
    let template = match launch.and_then(|launch| launch.launch_template_specification.as_ref()) {
        Some(template) => spec(engine, template)?,
        None => before
            .map(|before| before.template.clone())
            .ok_or_else(|| invalid("You must specify a launch template with the MixedInstancesPolicy."))?,
    };
    if resolve(engine, &template)?.spot {
        return Err(invalid(
            "Incompatible launch template: The launch template of a MixedInstancesPolicy must not have \
             InstanceMarketOptions.",
        ));
    }
    let overrides = match launch.and_then(|launch| launch.overrides.as_deref()) {
        Some(given) => overrides(engine, given)?,
        None => before.map(|before| before.overrides.clone()).unwrap_or_default(),
    };
    let by_attributes = overrides.iter().any(|each| each.requirements.is_some());
    let distribution = distribution(
        given.instances_distribution.as_ref(),
        before.map(|before| &before.distribution),
        by_attributes,
    )?;
    Ok(MixedPolicy { template, overrides, distribution })
}

fn overrides(engine: &Engine, given: &[shapes::LaunchTemplateOverrides]) -> Result<Vec<Override>, Refusal> {
    let weights = given.iter().filter(|each| each.weighted_capacity.is_some()).count();
    if weights != 0 && weights != given.len() {
        return Err(invalid("All launch template overrides must have weights, or none of them."));
    }
    let mut seen = std::collections::BTreeSet::new();
    given
        .iter()
        .map(|each| {
            if let Some(name) = &each.instance_type
                && (each.instance_requirements.is_some() || !seen.insert(name.as_str()))
            {
                return Err(invalid(format!(
                    "The instance type {name} stands more than once in the overrides, or beside InstanceRequirements."
                )));
            }
            let weight = each.weighted_capacity.as_deref().map(|text| {
                text.parse().ok().filter(|weight| (1..=999).contains(weight)).ok_or_else(|| {
                    invalid(format!("WeightedCapacity must be a whole number from 1 to 999, not {text}"))
                })
            });
            Ok(Override {
                instance_type: each.instance_type.as_deref().map(Name::from),
                template: each
                    .launch_template_specification
                    .as_ref()
                    .map(|template| spec(engine, template))
                    .transpose()?,
                image_id: each.image_id.clone(),
                weight: weight.transpose()?,
                requirements: each.instance_requirements.clone().map(Box::new),
            })
        })
        .collect()
}

fn distribution(
    given: Option<&shapes::InstancesDistribution>,
    before: Option<&Distribution>,
    by_attributes: bool,
) -> Result<Distribution, Refusal> {
    let none = shapes::InstancesDistribution::default();
    let given = given.unwrap_or(&none);
    let on_demand_strategy = match given.on_demand_allocation_strategy.as_deref() {
        Some("prioritized") if by_attributes => {
            return Err(invalid("The prioritized strategy is not allowed with InstanceRequirements."));
        }
        Some("prioritized") => OnDemandStrategy::Prioritized,
        Some("lowest-price") => OnDemandStrategy::LowestPrice,
        Some(other) => {
            return Err(invalid(format!("OnDemandAllocationStrategy {other} is not valid.")));
        }
        None if by_attributes => OnDemandStrategy::LowestPrice,
        None => before.map_or(OnDemandStrategy::Prioritized, |before| before.on_demand_strategy),
    };
    let spot_strategy = match given.spot_allocation_strategy.as_deref() {
        Some("lowest-price") => SpotStrategy::LowestPrice,
        Some("capacity-optimized") => SpotStrategy::CapacityOptimized,
        Some("capacity-optimized-prioritized") if by_attributes => {
            return Err(invalid(
                "The capacity-optimized-prioritized strategy is not allowed with InstanceRequirements.",
            ));
        }
        Some("capacity-optimized-prioritized") => SpotStrategy::CapacityOptimizedPrioritized,
        Some("price-capacity-optimized") => SpotStrategy::PriceCapacityOptimized,
        Some(other) => return Err(invalid(format!("SpotAllocationStrategy {other} is not valid."))),
        None => before.map_or(SpotStrategy::LowestPrice, |before| before.spot_strategy),
    };
    if let Some(pools) = given.spot_instance_pools
        && (spot_strategy != SpotStrategy::LowestPrice || !(1..=20).contains(&pools))
    {
        return Err(invalid(
            "SpotInstancePools must be from 1 to 20, and is only valid with the lowest-price strategy.",
        ));
    }
    let percent = given.on_demand_percentage_above_base_capacity.map(i64::from);
    let base = given.on_demand_base_capacity.map(i64::from);
    if percent.is_some_and(|percent| !(0..=100).contains(&percent)) || base.is_some_and(|base| base < 0) {
        return Err(invalid(
            "OnDemandPercentageAboveBaseCapacity must be from 0 to 100, and OnDemandBaseCapacity not negative.",
        ));
    }
    let spot_max_price = match given.spot_max_price.as_deref() {
        // An empty text takes a price back.
        Some("") => None,
        Some(text) => Some(MicroDollars::parse(text).filter(|price| price.0 >= 1_000).ok_or_else(|| {
            invalid(format!("SpotMaxPrice must be a decimal number of at least 0.001, not {text}"))
        })?),
        None => before.and_then(|before| before.spot_max_price),
    };
    let before = before.cloned().unwrap_or(Distribution {
        on_demand_strategy,
        base: 0,
        percent: 100,
        spot_strategy,
        spot_pools: 2,
        spot_max_price: None,
    });
    Ok(Distribution {
        on_demand_strategy,
        base: base.unwrap_or(before.base),
        percent: percent.unwrap_or(before.percent),
        spot_strategy,
        spot_pools: given.spot_instance_pools.map_or(before.spot_pools, i64::from),
        spot_max_price,
    })
}

pub(super) fn spec_shape(spec: &TemplateSpec) -> shapes::LaunchTemplateSpecification {
    shapes::LaunchTemplateSpecification {
        launch_template_id: Some(spec.id.clone()),
        launch_template_name: Some(spec.name.clone()),
        version: Some(spec.version.clone()),
    }
}

pub(super) fn mixed_shape(policy: &MixedPolicy) -> shapes::MixedInstancesPolicy {
    let overrides = policy.overrides.iter().map(|each| shapes::LaunchTemplateOverrides {
        instance_type: each.instance_type.as_deref().map(str::to_owned),
        weighted_capacity: each.weight.map(|weight| weight.to_string()),
        launch_template_specification: each.template.as_ref().map(spec_shape),
        instance_requirements: each.requirements.as_deref().cloned(),
        image_id: each.image_id.clone(),
    });
    let distribution = &policy.distribution;
    let lowest_price = distribution.spot_strategy == SpotStrategy::LowestPrice;
    shapes::MixedInstancesPolicy {
        launch_template: Some(shapes::LaunchTemplate {
            launch_template_specification: Some(spec_shape(&policy.template)),
            overrides: Some(overrides.collect()),
        }),
        instances_distribution: Some(shapes::InstancesDistribution {
            on_demand_allocation_strategy: Some(distribution.on_demand_strategy.as_str().to_owned()),
            on_demand_base_capacity: Some(super::number(distribution.base)),
            on_demand_percentage_above_base_capacity: Some(super::number(distribution.percent)),
            spot_allocation_strategy: Some(distribution.spot_strategy.as_str().to_owned()),
            spot_instance_pools: lowest_price.then(|| super::number(distribution.spot_pools)),
            spot_max_price: distribution.spot_max_price.map(MicroDollars::decimal),
        }),
    }
}

/// A way to launch: an override (or the bare template), with one instance type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Place in the priority list.
    pub(super) rank: usize,
    pub(super) resolved: Resolved,
    /// `None`: the template names no type, and EC2 takes its default.
    pub(super) instance_type: Option<Name>,
    pub(super) image_id: Option<String>,
    pub(super) weight: i64,
    /// The request must name the type; the template alone would not give it.
    pub(super) name_type: bool,
    /// Whether its InstanceRequirements' price protection lets it: On-Demand, Spot.
    pub(super) affordable: [bool; 2],
}

/// Every way that the group may launch, in the order of priority.
pub(super) fn candidates(
    engine: &Engine,
    source: &Source,
    capacity_type: Option<&str>,
) -> Result<Vec<Candidate>, Refusal> {
    let resolved = resolve_source(engine, source)?;
    let plain = |resolved: Resolved| Candidate {
        rank: 0,
        instance_type: resolved.instance_type.clone(),
        resolved,
        image_id: None,
        weight: 1,
        name_type: false,
        affordable: [true; 2],
    };
    let policy = match source {
        Source::Mixed(policy) if !policy.overrides.is_empty() => policy,
        Source::Configuration(_) | Source::Mixed(_) | Source::Template(_) => {
            return Ok(vec![plain(resolved)]);
        }
    };
    let mut found: Vec<Candidate> = Vec::new();
    for each in &policy.overrides {
        let resolved = match &each.template {
            Some(template) => resolve(engine, template)?,
            None => resolved.clone(),
        };
        let image = each.image_id.as_deref().and_then(|image| architecture(engine, image));
        let image = image.or(resolved.architecture);
        let types: Vec<(Option<Name>, [bool; 2])> = match &each.requirements {
            // Only types that the image can run on (ASG guide, attribute-based instance type selection).
            Some(given) => {
                let given = requirements::of((**given).clone(), &shapes::INSTANCE_REQUIREMENTS);
                let found = requirements::matching(engine, &given, image).into_iter();
                found.map(|fit| (Some(fit.kind.name.as_str().into()), [fit.on_demand, fit.spot])).collect()
            }
            None => {
                vec![(each.instance_type.clone().or_else(|| resolved.instance_type.clone()), [true; 2])]
            }
        };
        for (instance_type, affordable) in types {
            let catalogued = instance_type.as_deref().and_then(catalogue::instance_type);
            let weight = match (capacity_type, catalogued) {
                (Some("vcpu"), Some(found)) => i64::from(found.vcpus),
                (Some("memory-mib"), Some(found)) => i64::from(found.memory_mib),
                _ => each.weight.unwrap_or(1),
            };
            found.push(Candidate {
                rank: found.len(),
                resolved: resolved.clone(),
                name_type: instance_type != resolved.instance_type,
                instance_type,
                image_id: each.image_id.clone(),
                weight,
                affordable,
            });
        }
    }
    Ok(found)
}

/// The names of the instance types that a group may launch, in the order of priority.
pub(super) fn types(engine: &Engine, group: &Group) -> Vec<String> {
    let capacity_type = group.settings.desired_capacity_type.as_deref();
    let candidates = candidates(engine, &group.source, capacity_type).unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for name in candidates.into_iter().filter_map(|candidate| candidate.instance_type) {
        if !names.iter().any(|each| **each == *name) {
            names.push(name.to_string());
        }
    }
    names
}

#[cfg(test)]
impl Resolved {
    pub(super) fn of(spec: TemplateSpec) -> Self {
        Self {
            origin: Origin::Template(Arc::new(spec)),
            instance_type: None,
            spot: false,
            architecture: None,
        }
    }
}
