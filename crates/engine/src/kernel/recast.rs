//! Between AWS's shapes for the same thing: a launch template's data as it is given, as it is described and as
//! RunInstances takes it, or an experiment template and its experiment, differ in names and order, not in meaning.

use capstan_shapes::{Kind, Schema, Shape, Value};

/// A shape as another one: members meet by their names in the model; what the other does not have is dropped.
pub(crate) fn recast<A: Shape, B: Shape>(shape: A, from: &'static Schema, to: &'static Schema) -> B {
    B::read(shape.write().map(|value| recast_value(value, from, to)))
}

/// `over` where it says something, else `base`; of the outermost members only.
pub(crate) fn overlay<T: Shape>(base: T, over: T) -> T {
    match (base.write(), over.write()) {
        (Some(Value::Record(base)), Some(Value::Record(over))) => {
            let said = |value: &Value| !matches!(value, Value::List(items) if items.is_empty());
            let members = base.into_iter().zip(over).map(|(base, over)| over.filter(said).or(base));
            T::read(Some(Value::Record(members.collect())))
        }
        (base, over) => T::read(over.or(base)),
    }
}

fn recast_value(value: Value, from: &'static Schema, to: &'static Schema) -> Value {
    match (value, &from.kind, &to.kind) {
        (Value::Record(mut values), Kind::Record { members: from }, Kind::Record { members: to }) => {
            let member = |to: &capstan_shapes::Member| {
                let at = from.iter().position(|from| from.name == to.name)?;
                let value = values.get_mut(at)?.take()?;
                Some(recast_value(value, from[at].schema, to.schema))
            };
            Value::Record(to.iter().map(member).collect())
        }
        (Value::List(items), Kind::List { member: from, .. }, Kind::List { member: to, .. }) => {
            Value::List(items.into_iter().map(|item| recast_value(item, from, to)).collect())
        }
        (Value::Map(items), Kind::Map { value: from, .. }, Kind::Map { value: to, .. }) => {
            let recast = |(key, item)| (key, recast_value(item, from, to));
            Value::Map(items.into_iter().map(recast).collect())
        }
        (value, _, _) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_shapes::ec2::{
        LaunchTemplateHttpTokensState, LaunchTemplateInstanceMetadataOptionsRequest,
        LaunchTemplateInstanceMetadataOptionsState, REQUEST_LAUNCH_TEMPLATE_DATA,
        RESPONSE_LAUNCH_TEMPLATE_DATA, RequestLaunchTemplateData, ResponseLaunchTemplateData,
    };

    #[test]
    fn members_meet_by_name_though_the_order_differs() {
        let request = RequestLaunchTemplateData {
            image_id: Some("ami-1".into()),
            security_group_ids: Some(vec!["sg-1".into()]),
            metadata_options: Some(LaunchTemplateInstanceMetadataOptionsRequest {
                http_tokens: Some(LaunchTemplateHttpTokensState::Required),
                http_put_response_hop_limit: Some(2),
                ..Default::default()
            }),
            ..Default::default()
        };
        let data: ResponseLaunchTemplateData =
            recast(request, &REQUEST_LAUNCH_TEMPLATE_DATA, &RESPONSE_LAUNCH_TEMPLATE_DATA);
        assert_eq!(data.image_id.as_deref(), Some("ami-1"));
        assert_eq!(data.security_group_ids, Some(vec!["sg-1".to_owned()]));
        let metadata = data.metadata_options.unwrap();
        assert_eq!(metadata.state, None::<LaunchTemplateInstanceMetadataOptionsState>);
        assert_eq!(metadata.http_tokens, Some(LaunchTemplateHttpTokensState::Required));
        assert_eq!(metadata.http_put_response_hop_limit, Some(2));
    }

    #[test]
    fn what_is_said_later_counts() {
        let base = RequestLaunchTemplateData {
            image_id: Some("ami-1".into()),
            key_name: Some("old".into()),
            security_group_ids: Some(vec!["sg-1".into()]),
            ..Default::default()
        };
        let over = RequestLaunchTemplateData {
            key_name: Some("new".into()),
            security_group_ids: Some(vec![]),
            ..Default::default()
        };
        let both = overlay(base, over);
        assert_eq!(both.image_id.as_deref(), Some("ami-1"));
        assert_eq!(both.key_name.as_deref(), Some("new"));
        assert_eq!(both.security_group_ids, Some(vec!["sg-1".to_owned()]));
    }
}
