//! A template's properties held against their resource type: brought to its types, and compared.

use capstan_shapes::{Constraint, Kind, Member, ResourceType, Schema, Value};
use capstan_template::KNOWN_AFTER_APPLY;
use serde_json::{Map, Value as Json};

/// The properties in the types of the resource type's schema. Templates are read leniently (CloudFormation guide, template
/// anatomy): `"80"` is a number where one is due, `80` a text, `"true"` a flag; one value is no list.
///
/// The error is what CloudFormation says of the resource, with everything that is wrong.
pub(crate) fn coerce(
    resource_type: &ResourceType,
    logical_id: &str,
    properties: Json,
) -> Result<Map<String, Json>, String> {
    let properties = if properties.is_null() { Json::Object(Map::new()) } else { properties };
    let mut walk = Walk { found: Vec::new() };
    if let Json::Object(map) = &properties {
        for name in resource_type.read_only.iter().filter(|name| map.contains_key(**name)) {
            walk.found.push(format!("#: extraneous key [{name}] is not permitted"));
        }
    }
    let coerced = walk.value(resource_type.properties, properties, "#");
    match coerced {
        Some(Json::Object(map)) if walk.found.is_empty() => Ok(map),
        _ => Err(format!(
            "Properties validation failed for resource {logical_id} with message: [{}]",
            walk.found.join(", ")
        )),
    }
}

struct Walk {
    found: Vec<String>,
}

impl Walk {
    /// The value in its schema's type; `None` when it does not fit, or is not there.
    fn value(&mut self, schema: &'static Schema, json: Json, path: &str) -> Option<Json> {
        match (&schema.kind, json) {
            (_, Json::Null) => None,
            // In a change set, what is not known yet has no type.
            (_, Json::String(text)) if text.contains(KNOWN_AFTER_APPLY) => Some(Json::String(text)),
            (Kind::Document, json) => Some(json),
            (Kind::Record { members }, Json::Object(map)) => {
                Some(Json::Object(self.record(members, map, path)))
            }
            (Kind::Map { value, .. }, Json::Object(map)) => {
                let item = |(key, json)| {
                    let item = self.value(value, json, &format!("{path}/{key}"))?;
                    Some((key, item))
                };
                Some(Json::Object(map.into_iter().filter_map(item).collect()))
            }
            (Kind::List { member, min, max, .. }, Json::Array(items)) => {
                let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
                if let Some(min) = min.filter(|min| count < *min) {
                    self.found.push(format!("{path}: expected minimum item count: {min}, found: {count}"));
                }
                if let Some(max) = max.filter(|max| count > *max) {
                    self.found.push(format!("{path}: expected maximum item count: {max}, found: {count}"));
                }
                let items = items.into_iter().enumerate();
                let item = |(at, json)| self.value(member, json, &format!("{path}/{at}"));
                Some(Json::Array(items.filter_map(item).collect()))
            }
            (_, json) => {
                let Some((value, json)) = scalar(schema, &json) else {
                    let (expected, found) = (expected(&schema.kind), found(&json));
                    self.found.push(format!("{path}: expected type: {expected}, found: {found}"));
                    return None;
                };
                for violation in capstan_shapes::check(schema, &value) {
                    let length = match &value {
                        Value::Text(text) => text.chars().count(),
                        _ => 0,
                    };
                    let shown = violation.value.unwrap_or_default();
                    self.found.push(format!("{path}: {}", complaint(&violation.constraint, &shown, length)));
                }
                Some(json)
            }
        }
    }

    fn record(
        &mut self,
        members: &'static [Member],
        mut map: Map<String, Json>,
        path: &str,
    ) -> Map<String, Json> {
        let mut record = Map::new();
        for member in members {
            match map.shift_remove(member.name) {
                Some(json) => {
                    let value = self.value(member.schema, json, &format!("{path}/{}", member.name));
                    record.extend(value.map(|value| (member.name.to_owned(), value)));
                }
                None if member.required => {
                    self.found.push(format!("{path}: required key [{}] not found", member.name));
                }
                None => {}
            }
        }
        for name in map.keys() {
            self.found.push(format!("{path}: extraneous key [{name}] is not permitted"));
        }
        record
    }
}

/// A flag, number or text in the schema's type: as the value that is held against the constraints, and as JSON.
fn scalar(schema: &Schema, json: &Json) -> Option<(Value, Json)> {
    let text = match json {
        Json::String(text) => text.clone(),
        Json::Bool(_) | Json::Number(_) => json.to_string(),
        _ => return None,
    };
    Some(match schema.kind {
        Kind::Text { .. } => (Value::Text(text.clone()), Json::String(text)),
        Kind::Bool => {
            let flag = text.to_ascii_lowercase().parse().ok()?;
            (Value::Bool(flag), Json::Bool(flag))
        }
        Kind::Int { .. } => {
            // `80.0` is a whole number, too.
            let whole = text.split_once('.').filter(|(_, rest)| rest.bytes().all(|digit| digit == b'0'));
            let number: i64 = whole.map_or(text.as_str(), |(whole, _)| whole).parse().ok()?;
            (Value::Int(number), Json::from(number))
        }
        Kind::Float { .. } => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
            // A whole number stays one, as it was written.
            let json = text.parse::<i64>().map_or_else(|_| Json::from(number), Json::from);
            (Value::Float(number), json)
        }
        _ => return None,
    })
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "Boolean",
        Kind::Float { .. } => "Number",
        Kind::Int { .. } => "Integer",
        Kind::List { .. } => "JSONArray",
        Kind::Document | Kind::Map { .. } | Kind::Record { .. } => "JSONObject",
        Kind::Blob { .. } | Kind::Text { .. } | Kind::Time { .. } => "String",
    }
}

fn found(json: &Json) -> &'static str {
    match json {
        Json::Null => "Null",
        Json::Bool(_) => "Boolean",
        Json::Number(number) if number.is_f64() => "Number",
        Json::Number(_) => "Integer",
        Json::String(_) => "String",
        Json::Array(_) => "JSONArray",
        Json::Object(_) => "JSONObject",
    }
}

fn complaint(constraint: &Constraint, value: &str, length: usize) -> String {
    match constraint {
        Constraint::Enum(_) => format!("{value} is not a valid enum value"),
        Constraint::MaxLength(max) => format!("expected maxLength: {max}, actual: {length}"),
        Constraint::MinLength(min) => format!("expected minLength: {min}, actual: {length}"),
        Constraint::MaxValue(max) => format!("{value} is not less or equal to {max}"),
        Constraint::MinValue(min) => format!("{value} is not greater or equal to {min}"),
        _ => "failed validation constraint for keyword [pattern]".to_owned(),
    }
}

/// What a change of a property asks for, in the words of change sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recreation {
    Never,
    Conditionally,
    Always,
}

/// A property that two versions of a resource's properties differ in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PropertyChange {
    /// Names with `/` between: `ManagedScaling/TargetCapacity`. Lists are compared as a whole.
    pub(crate) path: String,
    pub(crate) before: Option<Json>,
    pub(crate) after: Option<Json>,
    pub(crate) recreation: Recreation,
}

impl PropertyChange {
    /// The outermost property.
    pub(crate) fn property(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

/// Where `new` differs from `old`, in the order of the schema, and what each difference asks for. Both are coerced.
pub(crate) fn replacement(
    resource_type: &ResourceType,
    old: &Map<String, Json>,
    new: &Map<String, Json>,
) -> Vec<PropertyChange> {
    let mut changes = Vec::new();
    if let Kind::Record { members } = resource_type.properties.kind {
        compare(resource_type, members, "", Some(old), Some(new), &mut changes);
    }
    changes
}

fn compare(
    resource_type: &ResourceType,
    members: &'static [Member],
    at: &str,
    old: Option<&Map<String, Json>>,
    new: Option<&Map<String, Json>>,
    changes: &mut Vec<PropertyChange>,
) {
    for member in members {
        let before = old.and_then(|map| map.get(member.name));
        let after = new.and_then(|map| map.get(member.name));
        if before == after {
            continue;
        }
        let path = if at.is_empty() { member.name.to_owned() } else { format!("{at}/{}", member.name) };
        if let Kind::Record { members } = member.schema.kind {
            let (old, new) = (before.and_then(Json::as_object), after.and_then(Json::as_object));
            let found = changes.len();
            compare(resource_type, members, &path, old, new, changes);
            if changes.len() > found {
                continue;
            }
            // An empty record that came or went.
        }
        let recreation = recreation(resource_type, &path);
        changes.push(PropertyChange { path, before: before.cloned(), after: after.cloned(), recreation });
    }
}

/// What a change at that path asks for.
pub(crate) fn recreation(resource_type: &ResourceType, path: &str) -> Recreation {
    let below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let touches = |listed: &&'static str| below(path, listed) || below(listed, path);
    if resource_type.create_only.iter().any(touches) {
        Recreation::Always
    } else if resource_type.conditional_create_only.iter().any(touches) {
        Recreation::Conditionally
    } else {
        Recreation::Never
    }
}

/// Whether these changes replace the resource, conditions weighed.
pub(crate) fn replaces(resource_type: &ResourceType, changes: &[PropertyChange]) -> bool {
    changes.iter().any(|change| match change.recreation {
        Recreation::Never => false,
        Recreation::Conditionally => condition_holds(resource_type.name, change),
        Recreation::Always => true,
    })
}

/// The conditions of the user guide's pages on these types.
fn condition_holds(type_name: &str, change: &PropertyChange) -> bool {
    let both = change.before.is_some() && change.after.is_some();
    match (type_name, change.property()) {
        // The update policy says how instances follow; the group stays.
        ("AWS::AutoScaling::AutoScalingGroup", _) => false,
        // Instances here have EBS roots: they are stopped, changed and started.
        ("AWS::EC2::Instance", _) => false,
        // Back to default tenancy goes in place.
        ("AWS::EC2::VPC", "InstanceTenancy") => change.after != Some(Json::from("default")),
        // Between a launch type and a capacity provider strategy a service moves by a deployment.
        ("AWS::ECS::Service", "LaunchType") => both,
        ("AWS::Lambda::Function", "DurableConfig") => !both,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_shapes::resource_type;
    use serde_json::json;

    #[test]
    fn values_are_brought_to_their_types() {
        let check = |name: &str, properties: Json, expected: Result<Json, &str>| {
            let coerced = coerce(resource_type(name).unwrap(), "Res", properties.clone()).map(Json::Object);
            let prefix = "Properties validation failed for resource Res with message: ";
            let expected = expected.map_err(|message| format!("{prefix}{message}"));
            assert_eq!(coerced, expected, "{name} {properties}");
        };
        let group = "AWS::ElasticLoadBalancingV2::TargetGroup";
        check(group, Json::Null, Ok(json!({})));
        check(group, json!({"Port": "80"}), Ok(json!({"Port": 80})));
        check(group, json!({"Port": 80.0}), Ok(json!({"Port": 80})));
        check(group, json!({"Matcher": {"HttpCode": 200}}), Ok(json!({"Matcher": {"HttpCode": "200"}})));
        check(group, json!({"HealthCheckEnabled": "True"}), Ok(json!({"HealthCheckEnabled": true})));
        check(group, json!({"Port": null}), Ok(json!({})));
        check(group, json!({"Port": "http"}), Err("[#/Port: expected type: Integer, found: String]"));
        check(
            group,
            json!({"Tags": {"Key": "a"}}),
            Err("[#/Tags: expected type: JSONArray, found: JSONObject]"),
        );
        check(group, json!({"Tags": "a"}), Err("[#/Tags: expected type: JSONArray, found: String]"));
        check(
            group,
            json!({"Colour": 1, "Tags": [{"Key": "a"}, {"Key": "b", "Value": 2}]}),
            Err("[#/Tags/0: required key [Value] not found, #: extraneous key [Colour] is not permitted]"),
        );
        check(
            group,
            json!({"TargetGroupArn": "arn"}),
            Err("[#: extraneous key [TargetGroupArn] is not permitted]"),
        );
        let queue = "AWS::SQS::Queue";
        check(queue, json!({"DelaySeconds": 901}), Err("[#/DelaySeconds: 901 is not less or equal to 900]"));
        check(
            queue,
            json!({"RedrivePolicy": {"maxReceiveCount": 3}}),
            Ok(json!({"RedrivePolicy": {"maxReceiveCount": 3}})),
        );
        let container = json!({"Name": "web", "Image": "nginx", "Memory": "128",
            "LogConfiguration": {"LogDriver": "awslogs", "Options": {"mode": true}}});
        check(
            "AWS::ECS::TaskDefinition",
            json!({"ContainerDefinitions": [container]}),
            Ok(json!({"ContainerDefinitions": [{"Image": "nginx",
                "LogConfiguration": {"LogDriver": "awslogs", "Options": {"mode": "true"}},
                "Memory": 128, "Name": "web"}]})),
        );
        check(
            "AWS::ECS::CapacityProvider",
            json!({"AutoScalingGroupProvider": {"AutoScalingGroupArn": "g", "ManagedDraining": "MAYBE"}}),
            Err("[#/AutoScalingGroupProvider/ManagedDraining: MAYBE is not a valid enum value]"),
        );
        check("AWS::CloudWatch::Dashboard", json!({}), Err("[#: required key [DashboardBody] not found]"));
        check(
            "AWS::CloudWatch::Dashboard",
            json!([]),
            Err("[#: expected type: JSONObject, found: JSONArray]"),
        );
    }

    #[test]
    fn changes_are_found_with_what_they_ask_for() {
        let check = |name: &str, old: Json, new: Json, expected: &[(&str, &str)], replaced: bool| {
            let resource_type = resource_type(name).unwrap();
            let [Json::Object(old), Json::Object(new)] = [old, new] else { panic!("properties are objects") };
            let changes = replacement(resource_type, &old, &new);
            let found: Vec<_> = changes
                .iter()
                .map(|change| (change.path.as_str(), format!("{:?}", change.recreation)))
                .collect();
            let found: Vec<_> = found.iter().map(|(path, recreation)| (*path, recreation.as_str())).collect();
            assert_eq!(found, expected, "{name} {old:?} {new:?}");
            assert_eq!(replaces(resource_type, &changes), replaced, "{name} {old:?} {new:?}");
        };
        let provider = "AWS::ECS::CapacityProvider";
        let group = |arn: &str, target: u32| json!({"AutoScalingGroupProvider": {"AutoScalingGroupArn": arn, "ManagedScaling": {"TargetCapacity": target}}});
        check(provider, group("a", 90), group("a", 90), &[], false);
        let target = "AutoScalingGroupProvider/ManagedScaling/TargetCapacity";
        check(provider, group("a", 90), group("a", 100), &[(target, "Never")], false);
        let arn = "AutoScalingGroupProvider/AutoScalingGroupArn";
        check(provider, group("a", 90), group("b", 90), &[(arn, "Always")], true);
        check(provider, group("a", 90), json!({}), &[(arn, "Always"), (target, "Never")], true);
        let definition = "AWS::ECS::TaskDefinition";
        let containers = |image: &str| json!({"ContainerDefinitions": [{"Name": "a", "Image": image}]});
        check(definition, containers("a"), containers("b"), &[("ContainerDefinitions", "Always")], true);
        let asg = "AWS::AutoScaling::AutoScalingGroup";
        let version = |number: &str| json!({"LaunchTemplate": {"Version": number}});
        check(asg, version("1"), version("2"), &[("LaunchTemplate/Version", "Conditionally")], false);
        let service = "AWS::ECS::Service";
        let launch = [("LaunchType", "Conditionally")];
        check(service, json!({"LaunchType": "EC2"}), json!({"LaunchType": "FARGATE"}), &launch, true);
        check(service, json!({"LaunchType": "EC2"}), json!({}), &launch, false);
        check(
            service,
            json!({"DesiredCount": 1}),
            json!({"DesiredCount": 2}),
            &[("DesiredCount", "Never")],
            false,
        );
    }
}
