//! Elastic Container Registry: repositories and their settings. There is no registry behind them: no image is ever pushed, and
//! tasks take their images' names as they are.

mod image;
mod policy;
mod repository;
mod rows;
mod tag;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use capstan_model::Arn;
use capstan_shapes::{Refusal, ecr};

use crate::kernel::{Table, dispatch, tables};
use crate::{Caller, Engine};

pub use rows::Repository;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("CreateRepository.encryptionConfiguration", "kept and shown; no image is kept"),
    ("CreateRepository.imageScanningConfiguration", "kept and shown; no image is scanned"),
    ("CreateRepository.imageTagMutability", "kept and shown; no image is pushed"),
    (
        "CreateRepository",
        "there is no registry: images cannot be pushed or pulled, and lists of them are empty",
    ),
    ("DeleteRepository.force", "no repository ever has images"),
    ("GetAuthorizationToken", "the token opens nothing"),
    ("PutImageScanningConfiguration", "kept and shown; no image is scanned"),
    ("PutImageTagMutability", "kept and shown; no image is pushed"),
    ("PutLifecyclePolicy", "kept and shown; no image expires"),
    ("SetRepositoryPolicy", "kept and shown, not enforced"),
];

/// The tables of ECR.
#[derive(Clone, Debug, Default)]
pub struct Ecr {
    repositories: Table<Repository>,
}

tables!(Ecr { repositories });

impl Ecr {
    pub fn repositories(&self) -> &Table<Repository> {
        &self.repositories
    }
}

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: ecr::Request,
) -> Result<ecr::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, ecr {
        BatchGetImage => image::batch_get,
        CreateRepository => repository::create,
        DeleteLifecyclePolicy => policy::delete_lifecycle,
        DeleteRepository => repository::delete,
        DeleteRepositoryPolicy => policy::delete,
        DescribeImages => image::describe,
        DescribeRepositories => repository::describe,
        GetAuthorizationToken => repository::token,
        GetLifecyclePolicy => policy::get_lifecycle,
        GetRepositoryPolicy => policy::get,
        ListImages => image::list,
        ListTagsForResource => tag::list,
        PutImageScanningConfiguration => repository::put_scanning,
        PutImageTagMutability => repository::put_mutability,
        PutLifecyclePolicy => policy::put_lifecycle,
        SetRepositoryPolicy => policy::set,
        TagResource => tag::tag,
        UntagResource => tag::untag,
    }))
}

/// The repository of that name, in this account's registry.
fn named<'a>(cx: &'a Engine, registry: Option<&str>, name: &str) -> Result<&'a Repository, Refusal> {
    let account = cx.config.account.as_str();
    let registry = registry.unwrap_or(account);
    let found = cx.ecr.repositories.get(&Arc::from(name)).filter(|_| registry == account);
    found.ok_or_else(|| {
        let message =
            format!("The repository with name '{name}' does not exist in the registry with id '{registry}'");
        Refusal::of(&ecr::REPOSITORY_NOT_FOUND_EXCEPTION, message)
    })
}

/// The repository of that ARN.
fn of_arn<'a>(cx: &'a Engine, text: &str) -> Result<&'a Repository, Refusal> {
    let name = Arn::parse(text).filter(|arn| arn.service == "ecr");
    let name = name.and_then(|arn| Some((arn.account, arn.resource.strip_prefix("repository/")?)));
    let Some((account, name)) = name else {
        let message = format!(
            "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN' ({text})"
        );
        return Err(invalid(message));
    };
    named(cx, Some(account), name)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::of(&ecr::INVALID_PARAMETER_EXCEPTION, message)
}
