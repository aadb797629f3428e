//! Digests of objects: the MD5 that is the ETag, and the checksums that clients choose (S3 User Guide, "Checking object
//! integrity").
//!
//! Hashing a large body takes time, so whoever reads requests from a socket calls [`digested`] there. It verifies what the
//! client sent and completes the request with the digests of its body, which the engine then believes. A request that did
//! not come that way is completed when it is handled.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use capstan_shapes::{Refusal, s3 as shapes};
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use shapes::ChecksumAlgorithm as Algorithm;
use shapes::ChecksumType;

/// A checksum as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    pub algorithm: Algorithm,
    /// Base64; of a composite checksum with `-PARTS` after it.
    pub text: String,
    pub kind: ChecksumType,
}

impl Checksum {
    /// Of a whole body.
    pub fn of(algorithm: Algorithm, body: &[u8]) -> Result<Self, Refusal> {
        Ok(Self::whole(algorithm, &hash(algorithm, body)?))
    }

    fn whole(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self { algorithm, text: BASE64.encode(bytes), kind: ChecksumType::FullObject }
    }

    fn bytes(&self) -> Vec<u8> {
        BASE64.decode(&self.text).unwrap_or_default()
    }
}

/// Puts the text of a checksum into the member of its algorithm.
macro_rules! show_checksum {
    ($target:expr, $checksum:expr) => {{
        let (target, checksum) = (&mut $target, $checksum);
        let text = Some(checksum.text.clone());
        match checksum.algorithm {
            Algorithm::Crc32 => target.checksum_crc32 = text,
            Algorithm::Crc32c => target.checksum_crc32_c = text,
            Algorithm::Crc64nvme => target.checksum_crc64_nvme = text,
            Algorithm::Sha1 => target.checksum_sha1 = text,
            Algorithm::Sha256 => target.checksum_sha256 = text,
            Algorithm::Sha512 => target.checksum_sha512 = text,
            Algorithm::Md5 => target.checksum_md5 = text,
            Algorithm::Xxhash64 => target.checksum_xxhash64 = text,
            Algorithm::Xxhash3 => target.checksum_xxhash3 = text,
            Algorithm::Xxhash128 => target.checksum_xxhash128 = text,
        }
    }};
}
pub(super) use show_checksum;

/// The checksums that a request names.
macro_rules! given_checksums {
    ($request:expr) => {{
        let request = &$request;
        let all = [
            (Algorithm::Crc32, &request.checksum_crc32),
            (Algorithm::Crc32c, &request.checksum_crc32_c),
            (Algorithm::Crc64nvme, &request.checksum_crc64_nvme),
            (Algorithm::Sha1, &request.checksum_sha1),
            (Algorithm::Sha256, &request.checksum_sha256),
            (Algorithm::Sha512, &request.checksum_sha512),
            (Algorithm::Md5, &request.checksum_md5),
            (Algorithm::Xxhash64, &request.checksum_xxhash64),
            (Algorithm::Xxhash3, &request.checksum_xxhash3),
            (Algorithm::Xxhash128, &request.checksum_xxhash128),
        ];
        let given = all.into_iter().filter_map(|(algorithm, text)| Some((algorithm, text.clone()?)));
        given.collect::<Vec<(Algorithm, String)>>()
    }};
}
pub(super) use given_checksums;

/// The digests of a body that was uploaded.
pub(super) struct Digests {
    /// The MD5 in hexadecimal.
    pub(super) etag: String,
    pub(super) checksum: Checksum,
}

/// Verifies the digests that an upload names and completes it with those of its body. Any other request stays as it is.
pub fn digested(request: &mut capstan_shapes::Request) -> Result<(), Refusal> {
    let capstan_shapes::Request::S3(request) = request else { return Ok(()) };
    match request {
        shapes::Request::PutObject(request) => {
            let body = body(&request.body);
            let given = given_checksums!(**request);
            let found = verified(&body, request.content_md5.as_deref(), &given, request.checksum_algorithm)?;
            request.content_md5 = Some(found.md5);
            show_checksum!(**request, &found.checksum);
        }
        shapes::Request::UploadPart(request) => {
            let body = body(&request.body);
            let given = given_checksums!(**request);
            let found = verified(&body, request.content_md5.as_deref(), &given, request.checksum_algorithm)?;
            request.content_md5 = Some(found.md5);
            show_checksum!(**request, &found.checksum);
        }
        _ => {}
    }
    Ok(())
}

/// Whether [`digested`] has something to do that takes a while: the bytes to be hashed.
pub fn bytes_to_digest(request: &capstan_shapes::Request) -> usize {
    let capstan_shapes::Request::S3(request) = request else { return 0 };
    match request {
        shapes::Request::PutObject(request) => body(&request.body).len(),
        shapes::Request::UploadPart(request) => body(&request.body).len(),
        _ => 0,
    }
}

pub(super) fn body(blob: &Option<capstan_shapes::Blob>) -> Bytes {
    blob.as_ref().map(|blob| blob.0.clone()).unwrap_or_default()
}

/// The digests of an upload: those that [`digested`] left in it, or else found now.
pub(super) fn of_upload(
    body: &Bytes,
    md5: Option<&str>,
    given: &[(Algorithm, String)],
    chosen: Option<Algorithm>,
) -> Result<Digests, Refusal> {
    let is_complete = md5.is_some() && given.len() == 1;
    let found = match (md5, given) {
        (Some(md5), [(algorithm, text)]) if is_complete => Verified {
            md5: md5.to_owned(),
            checksum: Checksum { algorithm: *algorithm, text: text.clone(), kind: ChecksumType::FullObject },
        },
        _ => verified(body, md5, given, chosen)?,
    };
    let bytes = BASE64.decode(&found.md5).unwrap_or_default();
    Ok(Digests { etag: hex(&bytes), checksum: found.checksum })
}

struct Verified {
    /// Base64.
    md5: String,
    checksum: Checksum,
}

fn verified(
    body: &[u8],
    md5: Option<&str>,
    given: &[(Algorithm, String)],
    chosen: Option<Algorithm>,
) -> Result<Verified, Refusal> {
    let found = Md5::digest(body);
    if let Some(text) = md5 {
        let sent = BASE64.decode(text).ok().filter(|bytes| bytes.len() == found.len());
        let sent =
            sent.ok_or_else(|| Refusal::new("InvalidDigest", "The Content-MD5 you specified was invalid."))?;
        if sent[..] != found[..] {
            let message = "The Content-MD5 you specified did not match what we received.";
            return Err(Refusal::new("BadDigest", message)
                .with_member("ExpectedDigest", vec![text.to_owned()])
                .with_member("CalculatedDigest", vec![BASE64.encode(found)]));
        }
    }
    if given.len() > 1 {
        let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
        return Err(Refusal::new("InvalidRequest", message));
    }
    // Objects have a checksum even where the client did not ask for one (S3 User Guide, default integrity protections).
    let algorithm = given.first().map(|(algorithm, _)| *algorithm).or(chosen).unwrap_or(Algorithm::Crc64nvme);
    let checksum = Checksum::of(algorithm, body)?;
    if let Some((_, text)) = given.first() {
        let expected_bytes = checksum.bytes().len();
        if BASE64.decode(text).ok().is_none_or(|bytes| bytes.len() != expected_bytes) {
            let name = algorithm.as_str().to_ascii_lowercase();
            let message = format!("Value for x-amz-checksum-{name} header is invalid.");
            return Err(Refusal::new("InvalidRequest", message));
        }
        if *text != checksum.text {
            let message = format!("The {algorithm} you specified did not match the calculated checksum.");
            return Err(Refusal::new("BadDigest", message));
        }
    }
    Ok(Verified { md5: BASE64.encode(found), checksum })
}

fn crc(algorithm: Algorithm) -> Option<(CrcAlgorithm, usize)> {
    Some(match algorithm {
        Algorithm::Crc32 => (CrcAlgorithm::Crc32IsoHdlc, 4),
        Algorithm::Crc32c => (CrcAlgorithm::Crc32Iscsi, 4),
        Algorithm::Crc64nvme => (CrcAlgorithm::Crc64Nvme, 8),
        _ => return None,
    })
}

fn hash(algorithm: Algorithm, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    Ok(match algorithm {
        Algorithm::Crc32 | Algorithm::Crc32c | Algorithm::Crc64nvme => {
            crc(algorithm).map_or_else(Vec::new, |(crc, size)| low_bytes(crc_fast::checksum(crc, body), size))
        }
        Algorithm::Sha1 => Sha1::digest(body).to_vec(),
        Algorithm::Sha256 => Sha256::digest(body).to_vec(),
        Algorithm::Sha512 => Sha512::digest(body).to_vec(),
        Algorithm::Md5 => Md5::digest(body).to_vec(),
        Algorithm::Xxhash64 | Algorithm::Xxhash3 | Algorithm::Xxhash128 => return Err(not_built(algorithm)),
    })
}

/// A client may choose algorithms that are not built.
pub(super) fn not_built(algorithm: Algorithm) -> Refusal {
    let message = format!(
        "The checksum algorithm {algorithm} is not built; use CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512 or MD5."
    );
    Refusal::new("NotImplemented", message).with_status(501)
}

fn low_bytes(number: u64, size: usize) -> Vec<u8> {
    number.to_be_bytes()[8 - size..].to_vec()
}

/// The checksum of an object from those of its parts and their lengths: of the whole, which only CRCs allow, or of the parts'
/// checksums one after the other.
pub(super) fn of_parts(kind: ChecksumType, parts: &[(&Checksum, u64)]) -> Result<Checksum, Refusal> {
    let algorithm = parts.first().map_or(Algorithm::Crc64nvme, |(checksum, _)| checksum.algorithm);
    if kind == ChecksumType::Composite {
        let joined: Vec<u8> = parts.iter().flat_map(|(checksum, _)| checksum.bytes()).collect();
        let mut checksum = Checksum::of(algorithm, &joined)?;
        checksum.text = format!("{}-{}", checksum.text, parts.len());
        checksum.kind = kind;
        return Ok(checksum);
    }
    let Some((crc, size)) = crc(algorithm) else {
        let message =
            format!("The FULL_OBJECT checksum type cannot be used with the {algorithm} checksum algorithm.");
        return Err(Refusal::new("InvalidRequest", message));
    };
    let number =
        |checksum: &Checksum| checksum.bytes().iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let mut whole = crc_fast::checksum(crc, &[]);
    for (index, (checksum, bytes)) in parts.iter().enumerate() {
        let part = number(checksum);
        whole = if index == 0 { part } else { crc_fast::checksum_combine(crc, whole, part, *bytes) };
    }
    Ok(Checksum::whole(algorithm, &low_bytes(whole, size)))
}

/// `HEX-PARTS`: the MD5 of the parts' MD5s.
pub(super) fn etag_of_parts<'a>(etags: impl Iterator<Item = &'a str>) -> String {
    let (mut md5, mut parts) = (Md5::new(), 0);
    for etag in etags {
        let bytes: Vec<u8> = (0..etag.len() / 2)
            .filter_map(|at| u8::from_str_radix(&etag[2 * at..2 * at + 2], 16).ok())
            .collect();
        md5.update(&bytes);
        parts += 1;
    }
    format!("{}-{parts}", hex(&md5.finalize()))
}

/// The MD5 in hexadecimal.
pub(super) fn etag(body: &[u8]) -> String {
    hex(&Md5::digest(body))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check values of the catalogue of CRCs, and those of RFC 3174 and FIPS 180.
    #[test]
    fn checksums_of_a_body() {
        let check = |algorithm: Algorithm, body: &str, text: &str| {
            assert_eq!(Checksum::of(algorithm, body.as_bytes()).expect("built").text, text, "{algorithm}");
        };
        check(Algorithm::Crc32, "123456789", "y/Q5Jg==");
        check(Algorithm::Crc32c, "123456789", "4waSgw==");
        check(Algorithm::Crc64nvme, "123456789", "rosUhgp5mIg=");
        check(Algorithm::Sha1, "abc", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
        check(Algorithm::Sha256, "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        check(Algorithm::Md5, "", "1B2M2Y8AsgTpgAmY7PhCfg==");
    }

    #[test]
    fn checksums_of_parts() {
        let (head, tail) = (b"1234".as_slice(), b"56789".as_slice());
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64nvme] {
            let of = |body| Checksum::of(algorithm, body).expect("built");
            let parts = [(&of(head), 4), (&of(tail), 5)];
            let whole = of_parts(ChecksumType::FullObject, &parts).expect("a CRC");
            assert_eq!(whole, of(b"123456789"), "{algorithm}");
            let composite = of_parts(ChecksumType::Composite, &parts).expect("any");
            assert!(composite.text.ends_with("-2"));
        }
        let sha = Checksum::of(Algorithm::Sha256, b"1").expect("built");
        assert!(of_parts(ChecksumType::FullObject, &[(&sha, 1)]).is_err());
        // Of one part with the ETag of nothing.
        let nothing = etag(b"");
        assert_eq!(nothing, "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(etag_of_parts([nothing.as_str()].into_iter()), "59adb24ef3cdbe0297f05b395827453f-1");
    }

    #[test]
    fn what_does_not_match_is_refused() {
        let check = |md5: Option<&str>, given: &[(Algorithm, &str)], expect: &str| {
            let given: Vec<_> =
                given.iter().map(|(algorithm, text)| (*algorithm, (*text).to_owned())).collect();
            let code = verified(b"123456789", md5, &given, None)
                .err()
                .map_or_else(|| "ok".into(), |refusal| refusal.code);
            assert_eq!(code, expect, "{md5:?} {given:?}");
        };
        check(None, &[], "ok");
        check(Some("JfnnlDI7RTiF9RgfG2JNCw=="), &[(Algorithm::Crc32, "y/Q5Jg==")], "ok");
        check(Some("1B2M2Y8AsgTpgAmY7PhCfg=="), &[], "BadDigest");
        check(Some("nonsense"), &[], "InvalidDigest");
        check(None, &[(Algorithm::Crc32, "AAAAAA==")], "BadDigest");
        check(None, &[(Algorithm::Crc32, "AAAA")], "InvalidRequest");
        check(None, &[(Algorithm::Crc32, "y/Q5Jg=="), (Algorithm::Crc32c, "4waSgw==")], "InvalidRequest");
        check(None, &[(Algorithm::Xxhash3, "AAAAAAAAAAA=")], "NotImplemented");
    }
}
