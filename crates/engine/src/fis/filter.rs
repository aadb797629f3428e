//! Filters of targets: a path through what a Describe call tells of the resource, such as `State.Name` or
//! `SecurityGroups.GroupId` (FIS guide, targets).

use capstan_shapes::{Kind, Schema, Value};

/// Whether something at the path is one of the values. Lists on the way are walked through.
pub(super) fn matches(schema: &Schema, value: &Value, path: &str, values: &[String]) -> bool {
    let path: Vec<&str> = path.split('.').collect();
    let mut found = false;
    walk(schema, value, &path, &mut |text| found |= values.iter().any(|value| value == text));
    found
}

fn walk(schema: &Schema, value: &Value, path: &[&str], put: &mut dyn FnMut(&str)) {
    match (&schema.kind, value, path) {
        (Kind::List { member, .. }, Value::List(items), _) => {
            items.iter().for_each(|item| walk(member, item, path, put));
        }
        (Kind::Record { members }, Value::Record(values), [name, rest @ ..]) => {
            for (member, value) in members.iter().zip(values) {
                if let Some(value) = value.as_ref().filter(|_| is_called(member.name, name)) {
                    walk(member.schema, value, rest, put);
                }
            }
        }
        (Kind::Map { value: item, .. }, Value::Map(items), [name, rest @ ..]) => {
            items.get(*name).into_iter().for_each(|value| walk(item, value, rest, put));
        }
        (_, Value::Text(text), []) => put(text),
        (_, Value::Bool(flag), []) => put(if *flag { "true" } else { "false" }),
        (_, Value::Int(number), []) => put(&number.to_string()),
        (_, Value::Time(time), []) => put(&time.iso_secs()),
        _ => {}
    }
}

/// Paths are in Pascal case, whatever the case of the service's own names.
fn is_called(member: &str, name: &str) -> bool {
    let (mut member, mut name) = (member.chars(), name.chars());
    let initial = |c: Option<char>| c.map(|c| c.to_ascii_uppercase());
    initial(member.next()) == name.next() && member.as_str() == name.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_shapes::{Shape as _, ec2, ecs};

    #[test]
    fn paths_lead_through_what_is_described() {
        let instance = ec2::Instance {
            state: Some(ec2::InstanceState { code: Some(16), name: Some(ec2::InstanceStateName::Running) }),
            ebs_optimized: Some(true),
            security_groups: Some(vec![
                ec2::GroupIdentifier { group_id: Some("sg-1".into()), group_name: None },
                ec2::GroupIdentifier { group_id: Some("sg-2".into()), group_name: None },
            ]),
            ..Default::default()
        };
        let value = instance.write().expect("a value");
        let check = |path: &str, value_wanted: &str, expect: bool| {
            let values = ["nothing".to_owned(), value_wanted.to_owned()];
            assert_eq!(matches(&ec2::INSTANCE, &value, path, &values), expect, "{path} {value_wanted}");
        };
        check("State.Name", "running", true);
        check("State.Name", "stopped", false);
        check("State.Code", "16", true);
        check("State", "running", false);
        check("state.name", "running", false);
        check("EbsOptimized", "true", true);
        check("SecurityGroups.GroupId", "sg-2", true);
        check("SecurityGroups.GroupId", "sg-3", false);
        check("Nothing.Here", "x", false);

        let task = ecs::Task { last_status: Some("RUNNING".into()), ..Default::default() };
        let value = task.write().expect("a value");
        let values = ["RUNNING".to_owned()];
        assert!(matches(&ecs::TASK, &value, "LastStatus", &values));
        assert!(!matches(&ecs::TASK, &value, "lastStatus", &values));
    }
}
