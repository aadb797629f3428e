//! Key pairs. Nothing listens for SSH, so that a private key opens nothing: its material is noise.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_model::Time;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    CreateKeyPairRequest, CreateKeyPairResponse, DeleteKeyPairRequest, DeleteKeyPairResponse,
    DescribeKeyPairsRequest, DescribeKeyPairsResponse, ImportKeyPairRequest, ImportKeyPairResponse,
    KeyFormat, KeyPairInfo, KeyType,
};
use md5::{Digest as _, Md5};

use super::filter::{Filters, TAGS};
use super::network::resource::{Resource, Tagged as _};
use super::{Tags, draw_id, dry_run, missing, tag};
use crate::kernel::{NoIndex, Row};
use crate::{Caller, Engine};

/// The public half of a key pair.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// `key-…`
    pub id: String,
    pub name: String,
    pub kind: KeyType,
    pub fingerprint: String,
    /// In OpenSSH's format, when it was imported.
    pub public_key: Option<String>,
    pub created_at: Time,
    pub tags: Tags,
}

impl Row for KeyPair {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "ec2.key-pairs";

    fn key(&self) -> String {
        self.id.clone()
    }
}

fn named<'a>(cx: &'a Engine, name: &str) -> Option<&'a KeyPair> {
    cx.ec2.key_pairs.iter().find(|row| row.name == name)
}

fn no_key(name: &str) -> Refusal {
    Refusal::new("InvalidKeyPair.NotFound", format!("The key pair '{name}' does not exist"))
}

fn free(cx: &Engine, name: &str) -> Result<(), Refusal> {
    if named(cx, name).is_some() {
        return Err(Refusal::new(
            "InvalidKeyPair.Duplicate",
            format!("The keypair '{name}' already exists."),
        ));
    }
    Ok(())
}

/// `1f:51:ae:…`
fn colons(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn noise(cx: &mut Engine, bytes: usize) -> Vec<u8> {
    (0..bytes.div_ceil(8)).flat_map(|_| cx.chance.u64("ec2.key-material").to_be_bytes()).take(bytes).collect()
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateKeyPairRequest,
) -> Result<CreateKeyPairResponse, Refusal> {
    let name = request.key_name;
    free(cx, &name)?;
    if request.key_format == Some(KeyFormat::Ppk) {
        return Err(Refusal::new("UnsupportedOperation", "Key material comes in the format pem here."));
    }
    let tags = tag::of_specifications(caller, request.tag_specifications, &[KeyPair::KIND])?;
    let tags = tags.into_values().next().unwrap_or_default();
    dry_run(request.dry_run)?;
    let kind = request.key_type.unwrap_or(KeyType::Rsa);
    let fingerprint = match kind {
        KeyType::Rsa => colons(noise(cx, 20)),
        KeyType::Ed25519 => STANDARD.encode(noise(cx, 32)),
    };
    let (label, size) = match kind {
        KeyType::Rsa => ("RSA PRIVATE KEY", 1190),
        KeyType::Ed25519 => ("OPENSSH PRIVATE KEY", 280),
    };
    let text = STANDARD.encode(noise(cx, size));
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    let material = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", lines.join("\n"));
    let row = KeyPair {
        id: draw_id(cx, "key", "ec2.key-pair-id"),
        name,
        kind,
        fingerprint,
        public_key: None,
        created_at: cx.now,
        tags,
    };
    let response = CreateKeyPairResponse {
        key_pair_id: Some(row.id.clone()),
        tags: tag::listed(&row.tags),
        key_name: Some(row.name.clone()),
        key_fingerprint: Some(row.fingerprint.clone()),
        key_material: Some(material),
    };
    cx.ec2.key_pairs.insert(row);
    Ok(response)
}

pub(super) fn import(
    cx: &mut Engine,
    caller: &Caller,
    request: ImportKeyPairRequest,
) -> Result<ImportKeyPairResponse, Refusal> {
    let name = request.key_name;
    free(cx, &name)?;
    let bad = || Refusal::new("InvalidKey.Format", "Key is not in valid OpenSSH public key format");
    let text = String::from_utf8(request.public_key_material.0.to_vec()).map_err(|_| bad())?;
    let mut words = text.split_whitespace();
    let kind = match words.next() {
        Some("ssh-rsa") => KeyType::Rsa,
        Some("ssh-ed25519") => KeyType::Ed25519,
        _ => return Err(bad()),
    };
    let key = words.next().and_then(|key| STANDARD.decode(key).ok()).ok_or_else(bad)?;
    let tags = tag::of_specifications(caller, request.tag_specifications, &[KeyPair::KIND])?;
    let tags = tags.into_values().next().unwrap_or_default();
    dry_run(request.dry_run)?;
    let row = KeyPair {
        id: draw_id(cx, "key", "ec2.key-pair-id"),
        name,
        kind,
        fingerprint: colons(Md5::digest(&key)),
        public_key: Some(text.trim_end().to_owned()),
        created_at: cx.now,
        tags,
    };
    let response = ImportKeyPairResponse {
        key_fingerprint: Some(row.fingerprint.clone()),
        key_name: Some(row.name.clone()),
        key_pair_id: Some(row.id.clone()),
        tags: tag::listed(&row.tags),
    };
    cx.ec2.key_pairs.insert(row);
    Ok(response)
}

/// Deleting what is not there succeeds (API reference, DeleteKeyPair), but for an id that is none.
pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteKeyPairRequest,
) -> Result<DeleteKeyPairResponse, Refusal> {
    dry_run(request.dry_run)?;
    let id = match (&request.key_name, &request.key_pair_id) {
        (Some(name), _) => named(cx, name).map(|row| row.id.clone()),
        (None, Some(id)) => {
            cx.ec2.key_pairs.tags(id)?;
            Some(id.clone())
        }
        (None, None) => return Err(missing("KeyName")),
    };
    if let Some(id) = &id {
        cx.ec2.key_pairs.remove(id);
    }
    Ok(DeleteKeyPairResponse { r#return: Some(true), key_pair_id: id })
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeKeyPairsRequest,
) -> Result<DescribeKeyPairsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), &["fingerprint", "key-name", "key-pair-id", TAGS])?;
    let (names, ids) = (request.key_names.unwrap_or_default(), request.key_pair_ids.unwrap_or_default());
    if let Some(name) = names.iter().find(|name| named(cx, name).is_none()) {
        return Err(no_key(name));
    }
    for id in &ids {
        cx.ec2.key_pairs.tags(id)?;
    }
    let whole = request.include_public_key == Some(true);
    let mut rows: Vec<&KeyPair> = cx.ec2.key_pairs.iter().collect();
    rows.retain(|row| {
        (names.is_empty() || names.contains(&row.name))
            && (ids.is_empty() || ids.contains(&row.id))
            && filters.fit(&row.tags, |name, put| match name {
                "fingerprint" => put(&row.fingerprint),
                "key-name" => put(&row.name),
                "key-pair-id" => put(&row.id),
                _ => {}
            })
    });
    let told = |row: &KeyPair| KeyPairInfo {
        key_pair_id: Some(row.id.clone()),
        key_type: Some(row.kind),
        tags: Some(tag::listed(&row.tags).unwrap_or_default()),
        public_key: row.public_key.clone().filter(|_| whole),
        create_time: Some(row.created_at),
        key_name: Some(row.name.clone()),
        key_fingerprint: Some(row.fingerprint.clone()),
    };
    Ok(DescribeKeyPairsResponse { key_pairs: Some(rows.into_iter().map(told).collect()) })
}
