//! CDK: the record of which constructs made a template. There is nothing behind it, on AWS neither.

use super::super::resource::{Handler, Progress, always, no_attributes};

pub(super) const HANDLERS: &[Handler] = &[Handler {
    type_name: "AWS::CDK::Metadata",
    inert: None,
    create: |cx, _| Ok(cx.chance.uuid("cloudformation.cdk-metadata")),
    update: |_, _, _| Ok(()),
    delete: |_, _| Ok(Progress::Done),
    stable: always,
    attributes: no_attributes,
}];
