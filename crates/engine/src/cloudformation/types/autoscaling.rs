//! EC2 Auto Scaling: groups, their hooks and policies.

use capstan_model::Span;
use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;
use serde_json::{Map, Value as Json, json};

use super::super::resource::{Handler, Progress, Resource, always, call, no_attributes, scalar};
use super::super::rolling_update;
use super::common::{already_exists, any_changed, attributes, changed, cleared, done_if, or_undo, texts};
use crate::Engine;
use crate::autoscaling::{
    Activity, ActivityKey, Group, GroupInstanceIndex, Name, ScalingActivityStatusCode as Code,
};

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::AutoScaling::AutoScalingGroup",
        inert: None,
        create: create_group,
        update: update_group,
        delete: delete_group,
        stable: stable_group,
        attributes: |cx, resource| match group(cx, &resource.physical_id) {
            Some(group) => attributes([("AutoScalingGroupARN", group.arn.to_string())]),
            None => Map::new(),
        },
    },
    Handler {
        type_name: "AWS::AutoScaling::LifecycleHook",
        inert: None,
        create: create_hook,
        update: |cx, _, new| put_hook(cx, new, new.physical_id.clone()),
        delete: delete_hook,
        stable: always,
        attributes: no_attributes,
    },
    Handler {
        type_name: "AWS::AutoScaling::ScalingPolicy",
        inert: None,
        create: create_policy,
        update: |cx, _, new| {
            let name = policy_name(&new.physical_id).to_owned();
            put_policy(cx, new, name).map(drop)
        },
        delete: delete_policy,
        stable: always,
        attributes: |_, resource| {
            attributes([
                ("Arn", resource.physical_id.clone()),
                ("PolicyName", policy_name(&resource.physical_id).to_owned()),
            ])
        },
    },
    Handler {
        type_name: "AWS::AutoScaling::WarmPool",
        inert: Some("the warm pool is kept and described; no instance is prepared in it"),
        create: create_warm_pool,
        update: update_warm_pool,
        delete: delete_warm_pool,
        stable: always,
        attributes: no_attributes,
    },
];

fn group<'a>(cx: &'a Engine, name: &str) -> Option<&'a Group> {
    cx.autoscaling().groups().get(&Name::from(name))
}

// Groups

/// (The template's name, the API's.)
const GROUP_NAMES: &[(&str, &str)] = &[("Cooldown", "DefaultCooldown")];

/// The properties as requests want them: one text of subnets, tags in a form of their own.
fn as_request(resource: &Resource) -> Resource {
    let mut resource = resource.clone();
    let subnets = texts(&resource, "VPCZoneIdentifier").join(",");
    if resource.properties.contains_key("VPCZoneIdentifier") {
        resource.properties.insert("VPCZoneIdentifier".to_owned(), Json::String(subnets));
    }
    resource.properties.shift_remove("Tags");
    resource
}

fn create_group(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "AutoScalingGroupName", 255);
    let mut request: shapes::CreateAutoScalingGroupRequest = as_request(resource).request(GROUP_NAMES)?;
    request.auto_scaling_group_name.clone_from(&name);
    request.tags = Some(group_tags(resource, &name)).filter(|tags| !tags.is_empty());
    call(cx, request)?;
    let outcome =
        collect_metrics(cx, resource, &name).and_then(|()| notify(cx, &name, notifications(resource)));
    or_undo(cx, outcome, |cx| {
        let auto_scaling_group_name = name.clone();
        let force_delete = Some(true);
        let _gone = call(cx, shapes::DeleteAutoScalingGroupRequest { auto_scaling_group_name, force_delete });
    })?;
    Ok(name)
}

/// The stack's tags go on to the group's instances; its own as they say themselves.
fn group_tags(resource: &Resource, group: &str) -> Vec<shapes::Tag> {
    let own = resource.get("Tags").and_then(Json::as_array);
    let propagates = |key: &str| {
        let tag = own.into_iter().flatten().rev().find(|tag| tag["Key"] == key);
        tag.is_none_or(|tag| tag["PropagateAtLaunch"] == true)
    };
    let tag = |(key, value): (String, String)| shapes::Tag {
        resource_id: Some(group.to_owned()),
        resource_type: Some("auto-scaling-group".to_owned()),
        propagate_at_launch: Some(propagates(&key)),
        key,
        value: Some(value),
    };
    resource.all_tags().into_iter().map(tag).collect()
}

fn collect_metrics(cx: &mut Engine, resource: &Resource, name: &str) -> Result<(), Refusal> {
    for collection in resource.get("MetricsCollection").and_then(Json::as_array).into_iter().flatten() {
        let request = shapes::EnableMetricsCollectionRequest {
            auto_scaling_group_name: name.to_owned(),
            metrics: names(&collection["Metrics"]),
            granularity: collection["Granularity"].as_str().unwrap_or("1Minute").to_owned(),
        };
        call(cx, request)?;
    }
    Ok(())
}

/// Topics and what they are told of; `NotificationConfiguration` is the older way to say one.
fn notifications(resource: &Resource) -> Vec<(String, Vec<String>)> {
    let many = resource.get("NotificationConfigurations").and_then(Json::as_array);
    let all = many.into_iter().flatten().chain(resource.get("NotificationConfiguration"));
    let of = |json: &Json| {
        let topic = match &json["TopicARN"] {
            Json::Array(topics) => topics.first().map(scalar),
            topic => Some(scalar(topic)),
        };
        // Without types: all of them (CloudFormation guide, NotificationConfiguration).
        let all = || LAUNCHES_AND_ENDS.iter().map(|&text| text.to_owned()).collect();
        (topic.unwrap_or_default(), names(&json["NotificationTypes"]).unwrap_or_else(all))
    };
    all.map(of).collect()
}

const LAUNCHES_AND_ENDS: &[&str] = &[
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
];

fn notify(cx: &mut Engine, name: &str, notifications: Vec<(String, Vec<String>)>) -> Result<(), Refusal> {
    for (topic_arn, notification_types) in notifications {
        let auto_scaling_group_name = name.to_owned();
        call(
            cx,
            shapes::PutNotificationConfigurationRequest {
                auto_scaling_group_name,
                topic_arn,
                notification_types,
            },
        )?;
    }
    Ok(())
}

fn names(json: &Json) -> Option<Vec<String>> {
    let names = json.as_array()?.iter();
    Some(names.filter_map(Json::as_str).map(str::to_owned).collect())
}

fn update_group(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let name = new.physical_id.clone();
    rolling_update::begin(cx, old, new)?;
    let mut wanted = as_request(&cleared(old, new));
    // CreateAutoScalingGroup would take these, UpdateAutoScalingGroup does not have them.
    let sizes = ["MinSize", "MaxSize", "DesiredCapacity"];
    if ignores_sizes(new) && !any_changed(old, new, &sizes) {
        for size in sizes {
            wanted.properties.shift_remove(size);
        }
    }
    // Without zones or subnets of its own a group keeps what it has.
    for place in ["VPCZoneIdentifier", "AvailabilityZones", "AvailabilityZoneIds"] {
        if !changed(old, new, place) || new.get(place).is_none() {
            wanted.properties.shift_remove(place);
        }
    }
    for source in ["LaunchConfigurationName", "LaunchTemplate", "MixedInstancesPolicy"] {
        if !changed(old, new, source) {
            wanted.properties.shift_remove(source);
        }
    }
    for (property, default) in DEFAULTS {
        if old.get(property).is_some() && new.get(property).is_none() {
            wanted.properties.insert((*property).to_owned(), json!(default));
        }
    }
    let mut request: shapes::UpdateAutoScalingGroupRequest = wanted.request(GROUP_NAMES)?;
    request.auto_scaling_group_name.clone_from(&name);
    call(cx, request)?;
    update_target_groups(cx, old, new)?;
    update_hooks(cx, old, new)?;
    if changed(old, new, "MetricsCollection") {
        if old.get("MetricsCollection").is_some() {
            let auto_scaling_group_name = name.clone();
            call(cx, shapes::DisableMetricsCollectionRequest { auto_scaling_group_name, metrics: None })?;
        }
        collect_metrics(cx, new, &name)?;
    }
    let (before, after) = (notifications(old), notifications(new));
    for (topic_arn, _) in before.iter().filter(|(topic, _)| !after.iter().any(|(other, _)| other == topic)) {
        let (auto_scaling_group_name, topic_arn) = (name.clone(), topic_arn.clone());
        call(cx, shapes::DeleteNotificationConfigurationRequest { auto_scaling_group_name, topic_arn })?;
    }
    notify(cx, &name, after.into_iter().filter(|one| !before.contains(one)).collect())?;
    update_tags(cx, old, new)
}

/// What a property that is gone goes back to (API reference, CreateAutoScalingGroup).
const DEFAULTS: &[(&str, &str)] = &[
    ("CapacityRebalance", "false"),
    ("Cooldown", "300"),
    ("DefaultInstanceWarmup", "-1"),
    ("HealthCheckGracePeriod", "0"),
    ("HealthCheckType", "EC2"),
    ("NewInstancesProtectedFromScaleIn", "false"),
];

/// Whether an update leaves sizes alone that the template does not change (UpdatePolicy AutoScalingScheduledAction).
fn ignores_sizes(resource: &Resource) -> bool {
    let flag =
        resource.update_policy.pointer("/AutoScalingScheduledAction/IgnoreUnmodifiedGroupSizeProperties");
    flag.is_some_and(|flag| *flag == true || *flag == "true")
}

fn update_target_groups(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let of = |resource: &Resource| {
        let mut arns = texts(resource, "TargetGroupARNs");
        let sources = resource.get("TrafficSources").and_then(Json::as_array);
        arns.extend(
            sources
                .into_iter()
                .flatten()
                .filter_map(|source| source["Identifier"].as_str())
                .map(str::to_owned),
        );
        arns
    };
    let (before, after) = (of(old), of(new));
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|arn| !those.contains(arn)).cloned().collect()
    };
    let auto_scaling_group_name = new.physical_id.clone();
    let gone = only(&before, &after);
    if !gone.is_empty() {
        call(
            cx,
            shapes::DetachLoadBalancerTargetGroupsRequest {
                auto_scaling_group_name: auto_scaling_group_name.clone(),
                target_group_arns: gone,
            },
        )?;
    }
    let come = only(&after, &before);
    if !come.is_empty() {
        let request = shapes::AttachLoadBalancerTargetGroupsRequest {
            auto_scaling_group_name,
            target_group_arns: come,
        };
        call(cx, request)?;
    }
    Ok(())
}

fn update_hooks(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if !changed(old, new, "LifecycleHookSpecificationList") {
        return Ok(());
    }
    let of = |resource: &Resource| {
        resource.get("LifecycleHookSpecificationList").and_then(Json::as_array).cloned().unwrap_or_default()
    };
    let (before, after) = (of(old), of(new));
    for hook in &before {
        let name = &hook["LifecycleHookName"];
        if !after.iter().any(|other| other["LifecycleHookName"] == *name) {
            let lifecycle_hook_name = name.as_str().unwrap_or_default().to_owned();
            let auto_scaling_group_name = new.physical_id.clone();
            call(cx, shapes::DeleteLifecycleHookRequest { lifecycle_hook_name, auto_scaling_group_name })?;
        }
    }
    for hook in after.iter().filter(|hook| !before.contains(hook)) {
        let properties = hook.as_object().cloned().unwrap_or_default();
        let mut request: shapes::PutLifecycleHookRequest =
            Resource { properties, ..Resource::default() }.request(&[])?;
        request.auto_scaling_group_name.clone_from(&new.physical_id);
        call(cx, request)?;
    }
    Ok(())
}

fn update_tags(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let (before, after) = (group_tags(old, &new.physical_id), group_tags(new, &new.physical_id));
    let is_gone = |tag: &&shapes::Tag| !after.iter().any(|other| other.key == tag.key);
    let gone: Vec<shapes::Tag> = before.iter().filter(is_gone).cloned().collect();
    if !gone.is_empty() {
        call(cx, shapes::DeleteTagsRequest { tags: gone })?;
    }
    let come: Vec<shapes::Tag> = after.into_iter().filter(|tag| !before.contains(tag)).collect();
    if !come.is_empty() {
        call(cx, shapes::CreateOrUpdateTagsRequest { tags: come })?;
    }
    Ok(())
}

fn stable_group(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    // Attributes are read when a resource has become stable for the first time.
    if !resource.attributes.is_empty() {
        return rolling_update::stable(cx, resource);
    }
    let Some(group) = group(cx, &resource.physical_id) else {
        return Err(Refusal::new("NotFound", format!("Group {} does not exist.", resource.physical_id)));
    };
    let in_service = GroupInstanceIndex::InService(group.name.clone());
    let capacity: i64 = cx.autoscaling().instances().by(&in_service).map(|instance| instance.weight).sum();
    if capacity >= group.desired {
        return Ok(Progress::Done);
    }
    match failing(cx, group) {
        Some(reason) => {
            let (name, desired) = (&group.name, group.desired);
            Err(Refusal::new(
                "NotStabilized",
                format!(
                    "Group did not stabilize. AutoScalingGroup {name} has {capacity} of {desired} in service. The last scaling activity failed: {reason}"
                ),
            ))
        }
        None => Ok(Progress::InProgress),
    }
}

/// A group that has only failed for so long does not become stable (our reading).
const PATIENCE: Span = Span::from_mins(15);

/// Why the group does not get instances: its activities have failed, one after the other, for long.
pub(in super::super) fn failing(cx: &Engine, group: &Group) -> Option<String> {
    let key = |number| ActivityKey { group: group.name.clone(), number };
    let newest_first = cx.autoscaling().activities().range(key(0)..=key(u64::MAX)).rev();
    let failed: Vec<&Activity> = newest_first
        .take_while(|activity| activity.code == Code::Failed || activity.code == Code::Cancelled)
        .collect();
    let (last, first) = (failed.first()?, failed.last()?);
    let reason = last.message.clone().unwrap_or_else(|| last.description.clone());
    (cx.now - first.started >= PATIENCE).then_some(reason)
}

fn delete_group(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    rolling_update::forget(cx, resource);
    match group(cx, &resource.physical_id) {
        None => Ok(Progress::Done),
        Some(group) if group.deleting => Ok(Progress::InProgress),
        Some(_) => {
            let request = shapes::DeleteAutoScalingGroupRequest {
                auto_scaling_group_name: resource.physical_id.clone(),
                force_delete: Some(true),
            };
            call(cx, request)?;
            Ok(done_if(group(cx, &resource.physical_id).is_none()))
        }
    }
}

// Lifecycle hooks

fn create_hook(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "LifecycleHookName", 255);
    put_hook(cx, resource, name.clone())?;
    Ok(name)
}

fn put_hook(cx: &mut Engine, resource: &Resource, name: String) -> Result<(), Refusal> {
    let mut request: shapes::PutLifecycleHookRequest = resource.request(&[])?;
    request.lifecycle_hook_name = name;
    call(cx, request).map(drop)
}

fn delete_hook(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let of = resource.text("AutoScalingGroupName").unwrap_or_default().to_owned();
    let key = (Name::from(of.as_str()), Name::from(resource.physical_id.as_str()));
    if cx.autoscaling().hooks().contains(&key) {
        let lifecycle_hook_name = resource.physical_id.clone();
        let auto_scaling_group_name = of;
        call(cx, shapes::DeleteLifecycleHookRequest { lifecycle_hook_name, auto_scaling_group_name })?;
    }
    Ok(Progress::Done)
}

// Scaling policies

/// `…:scalingPolicy:UUID:autoScalingGroupName/GROUP:policyName/NAME`
fn policy_name(arn: &str) -> &str {
    arn.split_once(":policyName/").map_or(arn, |(_, name)| name)
}

fn create_policy(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "PolicyName", 255);
    put_policy(cx, resource, name)
}

fn put_policy(cx: &mut Engine, resource: &Resource, name: String) -> Result<String, Refusal> {
    let mut request: shapes::PutScalingPolicyRequest = resource.request(&[])?;
    request.policy_name = name;
    Ok(call(cx, request)?.policy_arn.unwrap_or_default())
}

fn delete_policy(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let of = resource.text("AutoScalingGroupName").unwrap_or_default().to_owned();
    let policy_name = policy_name(&resource.physical_id).to_owned();
    let key = (Name::from(of.as_str()), Name::from(policy_name.as_str()));
    if cx.autoscaling().policies().contains(&key) {
        let auto_scaling_group_name = Some(of);
        call(cx, shapes::DeletePolicyRequest { auto_scaling_group_name, policy_name })?;
    }
    Ok(Progress::Done)
}

// Warm pools

fn create_warm_pool(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.text("AutoScalingGroupName").unwrap_or_default().to_owned();
    if group(cx, &name).is_some_and(|group| group.warm_pool.is_some()) {
        return Err(already_exists("AWS::AutoScaling::WarmPool", "AutoScalingGroupName", &name));
    }
    let request: shapes::PutWarmPoolRequest = resource.request(&[])?;
    call(cx, request)?;
    Ok(name)
}

fn update_warm_pool(cx: &mut Engine, _: &Resource, new: &Resource) -> Result<(), Refusal> {
    let mut request: shapes::PutWarmPoolRequest = new.request(&[])?;
    // -1 takes a value back (API reference, PutWarmPool).
    request.max_group_prepared_capacity.get_or_insert(-1);
    request.min_size.get_or_insert(0);
    request.pool_state.get_or_insert(shapes::WarmPoolState::Stopped);
    call(cx, request).map(drop)
}

fn delete_warm_pool(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if group(cx, &resource.physical_id).is_some_and(|group| group.warm_pool.is_some()) {
        let auto_scaling_group_name = resource.physical_id.clone();
        call(cx, shapes::DeleteWarmPoolRequest { auto_scaling_group_name, force_delete: Some(true) })?;
    }
    Ok(Progress::Done)
}
