//! S3: buckets and their policies.

mod auto_delete;
mod bucket;
mod policy;
mod property;

use super::super::resource::{Handler, always, no_attributes};

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::S3::Bucket",
        inert: None,
        create: bucket::create,
        update: bucket::update,
        delete: bucket::delete,
        stable: always,
        attributes: bucket::attributes,
    },
    Handler {
        type_name: "AWS::S3::BucketPolicy",
        inert: Some("kept and shown; the account's own callers may do everything"),
        create: policy::create,
        update: policy::update,
        delete: policy::delete,
        stable: always,
        attributes: no_attributes,
    },
    Handler {
        type_name: "Custom::S3AutoDeleteObjects",
        inert: None,
        create: auto_delete::create,
        update: auto_delete::update,
        delete: auto_delete::delete,
        stable: always,
        attributes: no_attributes,
    },
];
