//! Repositories: made, described, set, deleted; and the token that a Docker client would log in with.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::Span;
use capstan_shapes::{Refusal, ecr as shapes};

use super::{Repository, invalid, named, tag};
use crate::kernel::page;
use crate::{Caller, Engine};

/// API reference, DescribeRepositories.
const PAGE: i32 = 100;
const PAGE_MAX: i32 = 1000;
/// API reference, GetAuthorizationToken.
const TOKEN_LASTS: Span = Span::from_hours(12);

fn host(cx: &Engine) -> String {
    format!("{}.dkr.ecr.{}.amazonaws.com", cx.config.account, cx.config.region.name)
}

fn shown(cx: &Engine, row: &Repository) -> shapes::Repository {
    shapes::Repository {
        repository_arn: Some(cx.arn("ecr", format_args!("repository/{}", row.name))),
        registry_id: Some(cx.config.account.clone()),
        repository_name: Some(row.name.to_string()),
        repository_uri: Some(format!("{}/{}", host(cx), row.name)),
        created_at: Some(row.created),
        image_tag_mutability: Some(row.mutability),
        image_tag_mutability_exclusion_filters: row.mutability_filters.clone(),
        image_scanning_configuration: Some(shapes::ImageScanningConfiguration {
            scan_on_push: Some(row.scan_on_push),
        }),
        encryption_configuration: Some(row.encryption.clone()),
    }
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateRepositoryRequest,
) -> Result<shapes::CreateRepositoryResponse, Refusal> {
    let name: Arc<str> = request.repository_name.into();
    check_registry(cx, request.registry_id.as_deref())?;
    if cx.ecr.repositories.contains(&name) {
        let message = format!(
            "The repository with name '{name}' already exists in the registry with id '{}'",
            cx.config.account
        );
        return Err(Refusal::of(&shapes::REPOSITORY_ALREADY_EXISTS_EXCEPTION, message));
    }
    let tags = tag::checked(caller, std::collections::BTreeMap::new(), request.tags.unwrap_or_default())?;
    let mutability = request.image_tag_mutability.unwrap_or_default();
    let filters = request.image_tag_mutability_exclusion_filters;
    check_filters(mutability, filters.as_deref())?;
    let encryption = request.encryption_configuration.unwrap_or(shapes::EncryptionConfiguration {
        encryption_type: shapes::EncryptionType::Aes256,
        kms_key: None,
    });
    if encryption.encryption_type == shapes::EncryptionType::Aes256 && encryption.kms_key.is_some() {
        return Err(invalid(
            "Invalid parameter at 'encryptionConfiguration': a KMS key needs the encryption type KMS",
        ));
    }
    let scanning = request.image_scanning_configuration.and_then(|scanning| scanning.scan_on_push);
    let row = Repository {
        name,
        created: cx.now,
        mutability,
        mutability_filters: filters,
        scan_on_push: scanning.unwrap_or(false),
        encryption,
        policy: None,
        lifecycle: None,
        tags,
    };
    let repository = shown(cx, &row);
    cx.ecr.repositories.insert(row);
    Ok(shapes::CreateRepositoryResponse { repository: Some(repository) })
}

/// Nobody makes repositories in another account's registry.
fn check_registry(cx: &Engine, registry: Option<&str>) -> Result<(), Refusal> {
    match registry {
        Some(registry) if registry != cx.config.account => {
            Err(invalid(format!("The registry with id '{registry}' is not this account's")))
        }
        _ => Ok(()),
    }
}

/// Exclusion filters go with the two mutabilities that name them (API reference, PutImageTagMutability).
fn check_filters(
    mutability: shapes::ImageTagMutability,
    filters: Option<&[shapes::ImageTagMutabilityExclusionFilter]>,
) -> Result<(), Refusal> {
    use shapes::ImageTagMutability::{ImmutableWithExclusion, MutableWithExclusion};
    let wants = matches!(mutability, ImmutableWithExclusion | MutableWithExclusion);
    let has = filters.is_some_and(|filters| !filters.is_empty());
    if wants == has {
        return Ok(());
    }
    let need = if wants { "needs" } else { "takes no" };
    Err(invalid(format!("The image tag mutability {mutability} {need} imageTagMutabilityExclusionFilters")))
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeRepositoriesRequest,
) -> Result<shapes::DescribeRepositoriesResponse, Refusal> {
    let registry = request.registry_id.as_deref();
    if let Some(names) = request.repository_names {
        if request.max_results.is_some() || request.next_token.is_some() {
            return Err(invalid("maxResults and nextToken cannot be given together with repositoryNames"));
        }
        let rows = names.iter().map(|name| named(cx, registry, name).map(|row| shown(cx, row)));
        let repositories = Some(rows.collect::<Result<_, _>>()?);
        return Ok(shapes::DescribeRepositoriesResponse { repositories, next_token: None });
    }
    check_registry(cx, registry)?;
    let size = request.max_results.unwrap_or(PAGE).clamp(1, PAGE_MAX) as usize;
    let page =
        page(cx.ecr.repositories.iter(), |row| row.name.to_string(), request.next_token.as_deref(), size)
            .map_err(|()| {
                invalid("Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'")
            })?;
    Ok(shapes::DescribeRepositoriesResponse {
        repositories: Some(page.items.into_iter().map(|row| shown(cx, row)).collect()),
        next_token: page.next,
    })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteRepositoryRequest,
) -> Result<shapes::DeleteRepositoryResponse, Refusal> {
    let row = named(cx, request.registry_id.as_deref(), &request.repository_name)?;
    let (repository, name) = (shown(cx, row), Arc::clone(&row.name));
    cx.ecr.repositories.remove(&name);
    Ok(shapes::DeleteRepositoryResponse { repository: Some(repository) })
}

pub(super) fn put_scanning(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutImageScanningConfigurationRequest,
) -> Result<shapes::PutImageScanningConfigurationResponse, Refusal> {
    let name = Arc::clone(&named(cx, request.registry_id.as_deref(), &request.repository_name)?.name);
    let scan_on_push = request.image_scanning_configuration.scan_on_push.unwrap_or(false);
    if let Some(mut row) = cx.ecr.repositories.edit(&name) {
        row.scan_on_push = scan_on_push;
    }
    Ok(shapes::PutImageScanningConfigurationResponse {
        registry_id: Some(cx.config.account.clone()),
        repository_name: Some(name.to_string()),
        image_scanning_configuration: Some(shapes::ImageScanningConfiguration {
            scan_on_push: Some(scan_on_push),
        }),
    })
}

pub(super) fn put_mutability(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutImageTagMutabilityRequest,
) -> Result<shapes::PutImageTagMutabilityResponse, Refusal> {
    let name = Arc::clone(&named(cx, request.registry_id.as_deref(), &request.repository_name)?.name);
    let filters = request.image_tag_mutability_exclusion_filters;
    check_filters(request.image_tag_mutability, filters.as_deref())?;
    if let Some(mut row) = cx.ecr.repositories.edit(&name) {
        row.mutability = request.image_tag_mutability;
        row.mutability_filters = filters.clone();
    }
    Ok(shapes::PutImageTagMutabilityResponse {
        registry_id: Some(cx.config.account.clone()),
        repository_name: Some(name.to_string()),
        image_tag_mutability: Some(request.image_tag_mutability),
        image_tag_mutability_exclusion_filters: filters,
    })
}

pub(super) fn token(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetAuthorizationTokenRequest,
) -> Result<shapes::GetAuthorizationTokenResponse, Refusal> {
    let own = vec![cx.config.account.clone()];
    let registries = request.registry_ids.unwrap_or(own);
    let data = registries.into_iter().map(|registry| {
        let password = format!("{:032x}", cx.chance.u128("ecr.token"));
        shapes::AuthorizationData {
            authorization_token: Some(BASE64.encode(format!("AWS:{password}"))),
            expires_at: Some(cx.now + TOKEN_LASTS),
            proxy_endpoint: Some(format!(
                "https://{registry}.dkr.ecr.{}.amazonaws.com",
                cx.config.region.name
            )),
        }
    });
    Ok(shapes::GetAuthorizationTokenResponse { authorization_data: Some(data.collect()) })
}
