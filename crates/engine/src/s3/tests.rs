//! Buckets and objects through the one door.

use capstan_model::{Span, Time};
use capstan_shapes::s3::*;
use capstan_shapes::{Blob, Request};

use crate::testing::{ok, pass, refused};
use crate::{Config, Engine};

const BUCKET: &str = "bucket";

fn engine() -> Engine {
    // An hour before midnight, from which lifecycle rules count.
    let mut engine = Engine::new(Config::new(1), Time::from_secs(1_800_054_000));
    ok(&mut engine, CreateBucketRequest { bucket: BUCKET.to_owned(), ..Default::default() });
    engine
}

fn put(engine: &mut Engine, key: &str, body: &str) -> PutObjectResponse {
    let body = Some(Blob(body.to_owned().into()));
    ok(
        engine,
        PutObjectRequest { bucket: BUCKET.to_owned(), key: key.to_owned(), body, ..Default::default() },
    )
}

fn get(key: &str) -> GetObjectRequest {
    GetObjectRequest { bucket: BUCKET.to_owned(), key: key.to_owned(), ..Default::default() }
}

fn text(response: GetObjectResponse) -> String {
    String::from_utf8_lossy(&response.body.unwrap_or_default().0).into_owned()
}

fn set_versioning(engine: &mut Engine, status: BucketVersioningStatus) {
    let versioning_configuration = VersioningConfiguration { status: Some(status), mfa_delete: None };
    let bucket = BUCKET.to_owned();
    ok(engine, PutBucketVersioningRequest { bucket, versioning_configuration, ..Default::default() });
}

fn delete(engine: &mut Engine, key: &str, version: Option<&str>) -> DeleteObjectResponse {
    let version_id = version.map(str::to_owned);
    ok(
        engine,
        DeleteObjectRequest {
            bucket: BUCKET.to_owned(),
            key: key.to_owned(),
            version_id,
            ..Default::default()
        },
    )
}

/// Keys and versions as listed, the current ones with a star, delete markers with a dash.
fn versions(engine: &mut Engine) -> Vec<String> {
    let listed = ok(engine, ListObjectVersionsRequest { bucket: BUCKET.to_owned(), ..Default::default() });
    let star = |latest: Option<bool>| if latest == Some(true) { "*" } else { "" };
    let versions = listed
        .versions
        .unwrap_or_default()
        .into_iter()
        .map(|row| format!("{}{}", row.key.unwrap_or_default(), star(row.is_latest)));
    let markers = listed
        .delete_markers
        .unwrap_or_default()
        .into_iter()
        .map(|row| format!("-{}{}", row.key.unwrap_or_default(), star(row.is_latest)));
    versions.chain(markers).collect()
}

#[test]
fn names_of_buckets() {
    let mut engine = engine();
    for name in ["ab", "A-b", "-ab", "ab-", "a..b", "192.168.0.1", "xn--a", "a_b"] {
        let create = CreateBucketRequest { bucket: name.to_owned(), ..Default::default() };
        refused(&mut engine, create, "InvalidBucketName", "not valid");
    }
    ok(&mut engine, CreateBucketRequest { bucket: "a.b-1".to_owned(), ..Default::default() });
    // Making it again is no error in us-east-1.
    ok(&mut engine, CreateBucketRequest { bucket: BUCKET.to_owned(), ..Default::default() });
    refused(
        &mut engine,
        HeadBucketRequest { bucket: "none".to_owned(), ..Default::default() },
        "NoSuchBucket",
        "not exist",
    );
}

#[test]
fn bytes_are_shared_not_copied() {
    let mut engine = engine();
    let body: bytes::Bytes = vec![7; 4096].into();
    let blob = Some(Blob(body.clone()));
    ok(
        &mut engine,
        PutObjectRequest { bucket: BUCKET.to_owned(), key: "a".to_owned(), body: blob, ..Default::default() },
    );
    let copy = CopyObjectRequest {
        bucket: BUCKET.to_owned(),
        key: "b".to_owned(),
        copy_source: "bucket/a".to_owned(),
        ..Default::default()
    };
    ok(&mut engine, copy);
    for key in ["a", "b"] {
        assert_eq!(engine.s3().object(BUCKET, key).map(<[u8]>::as_ptr), Some(body.as_ptr()), "{key}");
        let range = GetObjectRequest { range: Some("bytes=5-8".to_owned()), ..get(key) };
        let part = ok(&mut engine, range).body.expect("a body").0;
        assert_eq!((part.as_ptr(), part.len()), (body[5..].as_ptr(), 4));
    }
}

#[test]
fn what_comes_digested_is_believed_and_what_does_not_is_hashed() {
    let mut engine = engine();
    let put = PutObjectRequest {
        bucket: BUCKET.to_owned(),
        key: "a".to_owned(),
        body: Some(Blob("123456789".to_owned().into())),
        checksum_algorithm: Some(ChecksumAlgorithm::Crc32),
        ..Default::default()
    };
    let mut digested: Request = put.clone().into();
    super::digested(&mut digested).expect("digests");
    let Request::S3(capstan_shapes::s3::Request::PutObject(digested)) = digested else {
        panic!("another request")
    };
    assert_eq!(digested.checksum_crc32.as_deref(), Some("y/Q5Jg=="));
    let (one, other) = (ok(&mut engine, put), ok(&mut engine, *digested));
    assert_eq!(one.e_tag.as_deref(), Some("\"25f9e794323b453885f5181f1b624d0b\""));
    assert_eq!(one, other);
}

#[test]
fn versions_and_markers() {
    let mut engine = engine();
    assert_eq!(put(&mut engine, "a", "0").version_id, None);
    set_versioning(&mut engine, BucketVersioningStatus::Enabled);
    let first = put(&mut engine, "a", "1").version_id.expect("a version");
    put(&mut engine, "a", "2");
    let marker = delete(&mut engine, "a", None);
    assert_eq!(marker.delete_marker, Some(true));
    refused(&mut engine, get("a"), "NoSuchKey", "");
    assert_eq!(versions(&mut engine), ["a", "a", "a", "-a*"]);
    let old = GetObjectRequest { version_id: Some(first.clone()), ..get("a") };
    assert_eq!(text(ok(&mut engine, old)), "1");
    let null = GetObjectRequest { version_id: Some("null".to_owned()), ..get("a") };
    assert_eq!(text(ok(&mut engine, null.clone())), "0");
    let of_marker = GetObjectRequest { version_id: marker.version_id.clone(), ..get("a") };
    refused(&mut engine, of_marker, "MethodNotAllowed", "");
    // Without the marker the latest version is back.
    delete(&mut engine, "a", marker.version_id.as_deref());
    assert_eq!(text(ok(&mut engine, get("a"))), "2");
    // Suspended, the null version is replaced and the others stay.
    set_versioning(&mut engine, BucketVersioningStatus::Suspended);
    put(&mut engine, "a", "3");
    assert_eq!(text(ok(&mut engine, null)), "3");
    assert_eq!(versions(&mut engine), ["a*", "a", "a"]);
    refused(
        &mut engine,
        DeleteBucketRequest { bucket: BUCKET.to_owned(), ..Default::default() },
        "BucketNotEmpty",
        "all versions",
    );
    let absent = GetObjectRequest { version_id: Some("none".to_owned()), ..get("a") };
    refused(&mut engine, absent, "NoSuchVersion", "");
}

#[test]
fn listings() {
    let mut engine = engine();
    for key in ["a", "b/1", "b/2", "b/c/3", "d", "e/"] {
        put(&mut engine, key, key);
    }
    delete(&mut engine, "d", None);
    let mut check = |prefix: &str, delimiter: &str, after: &str, expect: &str| {
        // In pages of each size the same comes out.
        for size in [1, 2, 1000] {
            let (mut found, mut token) = (Vec::new(), None);
            loop {
                let list = ListObjectsV2Request {
                    bucket: BUCKET.to_owned(),
                    prefix: Some(prefix.to_owned()),
                    delimiter: (!delimiter.is_empty()).then(|| delimiter.to_owned()),
                    start_after: Some(after.to_owned()),
                    max_keys: Some(size),
                    continuation_token: token,
                    ..Default::default()
                };
                let page = ok(&mut engine, list);
                assert!(page.key_count <= Some(size));
                found.extend(page.contents.unwrap_or_default().into_iter().filter_map(|row| row.key));
                found.extend(
                    page.common_prefixes.unwrap_or_default().into_iter().filter_map(|row| row.prefix),
                );
                token = page.next_continuation_token;
                if token.is_none() {
                    break;
                }
            }
            found.sort();
            assert_eq!(found.join(" "), expect, "{prefix} {delimiter} {after} by {size}");
        }
    };
    check("", "", "", "a b/1 b/2 b/c/3 e/");
    check("", "/", "", "a b/ e/");
    check("b/", "/", "", "b/1 b/2 b/c/");
    check("b", "/", "", "b/");
    check("b/", "", "b/1", "b/2 b/c/3");
    check("e/", "/", "", "e/");
    check("z", "", "", "");
    check("", "", "e/", "");
}

#[test]
fn uploads_in_parts() {
    let mut engine = engine();
    let (bucket, key) = (BUCKET.to_owned(), "big".to_owned());
    let create =
        CreateMultipartUploadRequest { bucket: bucket.clone(), key: key.clone(), ..Default::default() };
    let id = ok(&mut engine, create).upload_id.expect("an id");
    let mut part = |number: i32, bytes: usize| {
        let upload = UploadPartRequest {
            bucket: BUCKET.to_owned(),
            key: "big".to_owned(),
            upload_id: id.clone(),
            part_number: number,
            body: Some(Blob(vec![number as u8; bytes].into())),
            ..Default::default()
        };
        let e_tag = ok(&mut engine, upload).e_tag;
        CompletedPart { e_tag, part_number: Some(number), ..Default::default() }
    };
    let (first, small, last) = (part(1, 5 << 20), part(2, 10), part(7, 3));
    let complete = |parts: Vec<CompletedPart>| CompleteMultipartUploadRequest {
        bucket: BUCKET.to_owned(),
        key: "big".to_owned(),
        upload_id: id.clone(),
        multipart_upload: Some(CompletedMultipartUpload { parts: Some(parts) }),
        ..Default::default()
    };
    let wrong = CompletedPart { e_tag: Some("x".to_owned()), ..last.clone() };
    for (parts, code) in [
        (vec![], "MalformedXML"),
        (vec![last.clone(), first.clone()], "InvalidPartOrder"),
        (vec![first.clone(), wrong], "InvalidPart"),
        (vec![first.clone(), small, last.clone()], "EntityTooSmall"),
    ] {
        refused(&mut engine, complete(parts), code, "");
    }
    let whole = ok(&mut engine, complete(vec![first, last]));
    assert!(whole.e_tag.is_some_and(|etag| etag.ends_with("-2\"")));
    let body = [vec![1; 5 << 20], vec![7; 3]].concat();
    assert_eq!(engine.s3().object(BUCKET, "big"), Some(&body[..]));
    let expected = super::Checksum::of(ChecksumAlgorithm::Crc64nvme, &body).expect("a checksum");
    assert_eq!(whole.checksum_crc64_nvme, Some(expected.text));
    let second = GetObjectRequest { part_number: Some(7), ..get("big") };
    assert_eq!(ok(&mut engine, second).content_range.as_deref(), Some("bytes 5242880-5242882/5242883"));
    let abort = AbortMultipartUploadRequest { bucket, key, upload_id: id, ..Default::default() };
    refused(&mut engine, abort, "NoSuchUpload", "");
    // What is stored is what is there: the parts have gone.
    delete(&mut engine, "big", None);
    assert_eq!(engine.s3.stored_bytes, 0);
}

#[test]
fn lifecycle_rules_act() {
    let mut engine = engine();
    set_versioning(&mut engine, BucketVersioningStatus::Enabled);
    put(&mut engine, "logs/a", "1");
    put(&mut engine, "logs/a", "2");
    put(&mut engine, "kept", "3");
    let upload =
        CreateMultipartUploadRequest { bucket: BUCKET.to_owned(), key: "u".to_owned(), ..Default::default() };
    ok(&mut engine, upload);
    let rule = LifecycleRule {
        status: ExpirationStatus::Enabled,
        filter: Some(LifecycleRuleFilter { prefix: Some("logs/".to_owned()), ..Default::default() }),
        expiration: Some(LifecycleExpiration { days: Some(3), ..Default::default() }),
        noncurrent_version_expiration: Some(NoncurrentVersionExpiration {
            noncurrent_days: Some(1),
            newer_noncurrent_versions: None,
        }),
        ..Default::default()
    };
    let abort = LifecycleRule {
        status: ExpirationStatus::Enabled,
        abort_incomplete_multipart_upload: Some(AbortIncompleteMultipartUpload {
            days_after_initiation: Some(7),
        }),
        ..Default::default()
    };
    let lifecycle_configuration = Some(BucketLifecycleConfiguration { rules: vec![rule, abort] });
    let bucket = BUCKET.to_owned();
    ok(
        &mut engine,
        PutBucketLifecycleConfigurationRequest { bucket, lifecycle_configuration, ..Default::default() },
    );
    assert_eq!(versions(&mut engine), ["kept*", "logs/a*", "logs/a"]);
    let days = |days: i64| Span::from_hours(24 * days);
    pass(&mut engine, days(1) + Span::from_hours(2));
    assert_eq!(versions(&mut engine), ["kept*", "logs/a*"]);
    pass(&mut engine, days(2));
    assert_eq!(versions(&mut engine), ["kept*", "logs/a", "-logs/a*"]);
    // The last version goes at the midnight after a day, and the marker that is left alone after its own three days.
    pass(&mut engine, days(2));
    assert_eq!(versions(&mut engine), ["kept*", "-logs/a*"]);
    assert_eq!(engine.s3().uploads().len(), 1);
    pass(&mut engine, days(2));
    assert_eq!(versions(&mut engine), ["kept*"]);
    assert_eq!(engine.s3().uploads().len(), 0);
}

#[test]
fn conditions() {
    let mut engine = engine();
    let etag = put(&mut engine, "a", "1").e_tag;
    let other = || Some("\"d41d8cd98f00b204e9800998ecf8427e\"".to_owned());
    refused(&mut engine, GetObjectRequest { if_match: other(), ..get("a") }, "PreconditionFailed", "");
    refused(&mut engine, GetObjectRequest { if_none_match: etag.clone(), ..get("a") }, "NotModified", "");
    ok(&mut engine, GetObjectRequest { if_match: etag.clone(), if_none_match: other(), ..get("a") });
    let now = engine.now();
    refused(&mut engine, GetObjectRequest { if_modified_since: Some(now), ..get("a") }, "NotModified", "");
    let past = now - Span::from_secs(1);
    refused(
        &mut engine,
        GetObjectRequest { if_unmodified_since: Some(past), ..get("a") },
        "PreconditionFailed",
        "",
    );
    let write = |if_match: Option<String>, if_none_match: Option<String>, key: &str| PutObjectRequest {
        bucket: BUCKET.to_owned(),
        key: key.to_owned(),
        if_match,
        if_none_match,
        ..Default::default()
    };
    refused(&mut engine, write(None, Some("*".to_owned()), "a"), "PreconditionFailed", "");
    refused(&mut engine, write(other(), None, "a"), "PreconditionFailed", "");
    refused(&mut engine, write(other(), None, "none"), "NoSuchKey", "");
    ok(&mut engine, write(None, Some("*".to_owned()), "new"));
    ok(&mut engine, write(etag, None, "a"));
}
