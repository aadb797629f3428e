//! Lambda's resource types.

use std::collections::BTreeMap;

use capstan_shapes::{Blob, Refusal, lambda as shapes};
use serde_json::{Map, Value as Json};

use super::common::{any_changed, attributes, changed, tag_changes};
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call, scalar};

const INERT: &str = "stored and read back; functions never run";

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::Lambda::Function",
        inert: Some(INERT),
        create: create_function,
        update: update_function,
        delete: delete_function,
        stable: always,
        attributes: function_attributes,
    },
    Handler {
        type_name: "AWS::Lambda::Permission",
        inert: Some(INERT),
        create: create_permission,
        update: |_, _, _| Ok(()),
        delete: delete_permission,
        stable: always,
        attributes: permission_attributes,
    },
];

/// Inline code is text: CloudFormation puts it into an archive as `index.py` or `index.js`.
fn inline(runtime: &str, source: &str) -> Vec<u8> {
    let name = if runtime.starts_with("python") { "index.py" } else { "index.js" };
    zip(name, source.as_bytes())
}

/// An archive of one file, stored as it is (APPNOTE.TXT, 4.3). The date is the first that the format knows.
fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    const DATE: u16 = 0x21;
    let (length, name_length) = (content.len() as u32, name.len() as u16);
    // From "version needed" to "extra field length", alike in both headers.
    let mut common = Vec::new();
    for field in [20u16, 0, 0, 0, DATE] {
        common.extend(field.to_le_bytes());
    }
    for field in [crc32(content), length, length] {
        common.extend(field.to_le_bytes());
    }
    common.extend(name_length.to_le_bytes());
    common.extend(0u16.to_le_bytes());
    let mut archive = [b"PK\x03\x04", &common[..], name.as_bytes(), content].concat();
    let at = archive.len() as u32;
    let mut central = [b"PK\x01\x02", &20u16.to_le_bytes()[..], &common[..]].concat();
    // Comment, disk, attributes, and where the file's header is: at the beginning.
    central.extend([0u8; 14]);
    central.extend(name.as_bytes());
    let size = central.len() as u32;
    archive.extend(central);
    archive.extend([&b"PK\x05\x06"[..], &[0; 4], &1u16.to_le_bytes(), &1u16.to_le_bytes()].concat());
    archive.extend([&size.to_le_bytes()[..], &at.to_le_bytes(), &[0; 2]].concat());
    archive
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn code(resource: &Resource) -> shapes::FunctionCode {
    let part = |name: &str| resource.get("Code").and_then(|code| code.get(name)).map(scalar);
    let runtime = resource.text("Runtime").unwrap_or_default();
    shapes::FunctionCode {
        zip_file: part("ZipFile").map(|source| Blob(inline(runtime, &source).into())),
        s3_bucket: part("S3Bucket"),
        s3_key: part("S3Key"),
        s3_object_version: part("S3ObjectVersion"),
        image_uri: part("ImageUri"),
        source_kms_key_arn: part("SourceKMSKeyArn"),
    }
}

fn reserved(resource: &Resource) -> Option<i32> {
    let reserved = resource.get("ReservedConcurrentExecutions").and_then(Json::as_i64);
    reserved.and_then(|reserved| i32::try_from(reserved).ok())
}

fn create_function(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let renames = [("Tags", ""), ("Code", ""), ("KmsKeyArn", "KMSKeyArn")];
    let mut request: shapes::CreateFunctionRequest = resource.request(&renames)?;
    let name = resource.name(cx, "FunctionName", 64);
    request.function_name = name.clone();
    request.code = code(resource);
    request.tags = Some(resource.all_tags());
    call(cx, request)?;
    if let Some(reserved_concurrent_executions) = reserved(resource) {
        let function_name = name.clone();
        call(cx, shapes::PutFunctionConcurrencyRequest { function_name, reserved_concurrent_executions })?;
    }
    Ok(name)
}

fn update_function(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    const SETTINGS: [&str; 18] = [
        "CapacityProviderConfig",
        "DeadLetterConfig",
        "Description",
        "DurableConfig",
        "Environment",
        "EphemeralStorage",
        "FileSystemConfigs",
        "Handler",
        "ImageConfig",
        "KmsKeyArn",
        "Layers",
        "LoggingConfig",
        "MemorySize",
        "Role",
        "Runtime",
        "SnapStart",
        "Timeout",
        "VpcConfig",
    ];
    let name = &new.physical_id;
    if any_changed(old, new, &["Code", "Architectures"]) {
        let code = code(new);
        let architectures: shapes::CreateFunctionRequest =
            new.request(&[("Tags", ""), ("Code", ""), ("KmsKeyArn", "")])?;
        let request = shapes::UpdateFunctionCodeRequest {
            function_name: name.clone(),
            zip_file: code.zip_file,
            s3_bucket: code.s3_bucket,
            s3_key: code.s3_key,
            s3_object_version: code.s3_object_version,
            image_uri: code.image_uri,
            source_kms_key_arn: code.source_kms_key_arn,
            architectures: architectures.architectures,
            ..Default::default()
        };
        call(cx, request)?;
    }
    if any_changed(old, new, &SETTINGS) || changed(old, new, "TracingConfig") {
        let mut request: shapes::UpdateFunctionConfigurationRequest =
            new.request(&[("KmsKeyArn", "KMSKeyArn")])?;
        request.function_name = name.clone();
        // What the template has no more goes back to what it is without it.
        request.description = Some(request.description.unwrap_or_default());
        request.timeout = Some(request.timeout.unwrap_or(3));
        request.memory_size = Some(request.memory_size.unwrap_or(128));
        request.environment = Some(request.environment.unwrap_or_default());
        request.layers = Some(request.layers.unwrap_or_default());
        call(cx, request)?;
    }
    if changed(old, new, "ReservedConcurrentExecutions") {
        let function_name = name.clone();
        match reserved(new) {
            Some(reserved_concurrent_executions) => {
                let request =
                    shapes::PutFunctionConcurrencyRequest { function_name, reserved_concurrent_executions };
                call(cx, request)?;
            }
            None => {
                call(cx, shapes::DeleteFunctionConcurrencyRequest { function_name })?;
            }
        }
    }
    let resource = cx.arn("lambda", format_args!("function:{name}"));
    let (tags, gone): (BTreeMap<_, _>, _) = tag_changes(old, new);
    if !gone.is_empty() {
        call(cx, shapes::UntagResourceRequest { resource: resource.clone(), tag_keys: gone })?;
    }
    if !tags.is_empty() {
        call(cx, shapes::TagResourceRequest { resource, tags })?;
    }
    Ok(())
}

fn delete_function(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let function_name = resource.physical_id.clone();
    call(cx, shapes::DeleteFunctionRequest { function_name, qualifier: None })?;
    Ok(Progress::Done)
}

fn function_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let row = cx.lambda.functions().get(&resource.physical_id);
    let arn = row.and_then(|row| row.latest.function_arn.clone());
    arn.map(|arn| attributes([("Arn", arn)])).unwrap_or_default()
}

/// The statement's id is the resource's.
fn create_permission(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::AddPermissionRequest = resource.request(&[])?;
    let id = resource.name(cx, "StatementId", 100);
    request.statement_id = id.clone();
    call(cx, request)?;
    Ok(id)
}

fn delete_permission(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let request = shapes::RemovePermissionRequest {
        function_name: resource.text("FunctionName").unwrap_or_default().to_owned(),
        statement_id: resource.physical_id.clone(),
        ..Default::default()
    };
    call(cx, request)?;
    Ok(Progress::Done)
}

fn permission_attributes(_: &mut Engine, resource: &Resource) -> Map<String, Json> {
    attributes([("Id", resource.physical_id.clone())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn an_archive_has_its_parts_where_it_says() {
        let archive = zip("index.py", b"print()");
        let end = &archive[archive.len() - 22..];
        assert!(archive.starts_with(b"PK\x03\x04") && end.starts_with(b"PK\x05\x06"));
        let at = u32::from_le_bytes(end[16..20].try_into().unwrap()) as usize;
        assert!(archive[at..].starts_with(b"PK\x01\x02"));
        let size = u32::from_le_bytes(end[12..16].try_into().unwrap()) as usize;
        assert_eq!(at + size + 22, archive.len());
    }
}
