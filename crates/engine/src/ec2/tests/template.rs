//! Launch templates and their versions.

use capstan_shapes::ec2::{
    CreateLaunchTemplateRequest, CreateLaunchTemplateVersionRequest, DeleteLaunchTemplateRequest,
    DeleteLaunchTemplateVersionsRequest, DescribeLaunchTemplateVersionsRequest,
    DescribeLaunchTemplatesRequest, ModifyLaunchTemplateRequest, RequestLaunchTemplateData,
};

use super::{World, refused, template};

#[test]
fn template_versions() {
    let mut world = World::new();
    let data = RequestLaunchTemplateData {
        image_id: Some("ami-1".into()),
        instance_type: Some("m5.large".into()),
        ..Default::default()
    };
    let id = template(&mut world, "web", data.clone());
    let twice = CreateLaunchTemplateRequest {
        launch_template_name: "web".into(),
        launch_template_data: data,
        ..Default::default()
    };
    assert_eq!(
        refused(world.call(twice)),
        "InvalidLaunchTemplateName.AlreadyExistsException: Launch template name already in use."
    );
    for (source, instance_type) in [(Some("1"), "m5.xlarge"), (None, "m5.2xlarge")] {
        let version = world
            .call(CreateLaunchTemplateVersionRequest {
                launch_template_name: Some("web".into()),
                source_version: source.map(ToOwned::to_owned),
                launch_template_data: RequestLaunchTemplateData {
                    instance_type: Some(instance_type.into()),
                    ..Default::default()
                },
                ..Default::default()
            })
            .unwrap();
        let data = version.launch_template_version.unwrap().launch_template_data.unwrap();
        assert_eq!(data.image_id.is_some(), source.is_some());
        assert_eq!(data.instance_type.as_deref(), Some(instance_type));
    }
    let versions = |world: &mut World, versions: &[&str]| -> Result<Vec<i64>, String> {
        let request = DescribeLaunchTemplateVersionsRequest {
            launch_template_id: Some(id.clone()),
            versions: Some(versions.iter().map(ToString::to_string).collect()),
            ..Default::default()
        };
        let found = world.call(request).map_err(|refusal| refusal.to_string())?;
        let found = found.launch_template_versions.unwrap();
        Ok(found.iter().map(|each| each.version_number.unwrap()).collect())
    };
    assert_eq!(versions(&mut world, &[]), Ok(vec![3, 2, 1]));
    assert_eq!(versions(&mut world, &["$Latest", "$Default"]), Ok(vec![3, 1]));
    assert_eq!(
        versions(&mut world, &["9"]),
        Err(format!(
            "InvalidLaunchTemplateId.VersionNotFound: Could not find the specified version 9 for the launch template \
             with ID {id}."
        ))
    );
    let modified = world
        .call(ModifyLaunchTemplateRequest {
            launch_template_id: Some(id.clone()),
            default_version: Some("2".into()),
            ..Default::default()
        })
        .unwrap();
    assert_eq!(modified.launch_template.unwrap().default_version_number, Some(2));
    let delete = |versions: &[&str]| DeleteLaunchTemplateVersionsRequest {
        launch_template_id: Some(id.clone()),
        versions: versions.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    assert!(refused(world.call(delete(&["2"]))).starts_with("OperationNotPermitted: "));
    let deleted = world.call(delete(&["3", "9"])).unwrap();
    assert_eq!(deleted.successfully_deleted_launch_template_versions.unwrap().len(), 1);
    assert_eq!(deleted.unsuccessfully_deleted_launch_template_versions.unwrap().len(), 1);
    assert_eq!(versions(&mut world, &["$Latest"]), Ok(vec![2]));
    world
        .call(DeleteLaunchTemplateRequest { launch_template_name: Some("web".into()), ..Default::default() })
        .unwrap();
    assert_eq!(
        refused(world.call(DescribeLaunchTemplatesRequest {
            launch_template_names: Some(vec!["web".into()]),
            ..Default::default()
        })),
        "InvalidLaunchTemplateName.NotFoundException: At least one of the launch templates specified in the request \
         does not exist."
    );
    assert!(world.engine.ec2().launch_template_versions().is_empty());
}
