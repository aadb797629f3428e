//! Repositories through the one door.

use capstan_model::Time;
use capstan_shapes::ecr::*;

use crate::testing::{ok, refused};
use crate::{Config, Engine};

#[test]
fn repositories_keep_what_they_are_told() {
    let mut engine = Engine::new(Config::new(1), Time::from_secs(1_800_000_000));
    let name = || "team/web".to_owned();
    let create = CreateRepositoryRequest { repository_name: name(), ..CreateRepositoryRequest::default() };
    let made = ok(&mut engine, create.clone()).repository.expect("a repository");
    assert_eq!(made.repository_uri.as_deref(), Some("000000000000.dkr.ecr.us-east-1.amazonaws.com/team/web"));
    refused(&mut engine, create, "RepositoryAlreadyExistsException", "already exists");
    let get = GetRepositoryPolicyRequest { repository_name: name(), ..GetRepositoryPolicyRequest::default() };
    refused(&mut engine, get.clone(), "RepositoryPolicyNotFoundException", "does not exist");
    let text = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*"}]}"#.to_owned();
    let set = SetRepositoryPolicyRequest {
        repository_name: name(),
        policy_text: text.clone(),
        ..Default::default()
    };
    ok(&mut engine, set.clone());
    assert_eq!(ok(&mut engine, get).policy_text, Some(text));
    refused(
        &mut engine,
        SetRepositoryPolicyRequest { policy_text: "{}".to_owned(), ..set },
        "InvalidParameterException",
        "Statement",
    );
    let arn = made.repository_arn.expect("an ARN");
    let tag = Tag { key: "a".to_owned(), value: "b".to_owned() };
    ok(&mut engine, TagResourceRequest { resource_arn: arn.clone(), tags: vec![tag.clone()] });
    let listed = ok(&mut engine, ListTagsForResourceRequest { resource_arn: arn.clone() });
    assert_eq!(listed.tags, Some(vec![tag]));
    let reserved = Tag { key: "aws:x".to_owned(), value: String::new() };
    refused(
        &mut engine,
        TagResourceRequest { resource_arn: arn, tags: vec![reserved] },
        "InvalidTagParameterException",
        "aws:",
    );
    ok(
        &mut engine,
        DeleteRepositoryRequest { repository_name: name(), ..DeleteRepositoryRequest::default() },
    );
    let images = ListImagesRequest { repository_name: name(), ..ListImagesRequest::default() };
    refused(&mut engine, images, "RepositoryNotFoundException", "team/web");
}
