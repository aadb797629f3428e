//! MD5 as SDKs verify it (Developer Guide, calculating the MD5 message digest for message attributes).

use std::collections::BTreeMap;

use capstan_shapes::sqs::MessageAttributeValue;
use md5::{Digest as _, Md5};

pub(super) fn of_text(text: &str) -> String {
    hex(Md5::new().chain_update(text.as_bytes()))
}

/// `None` without attributes.
pub(super) fn of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a MessageAttributeValue)>,
) -> Option<String> {
    // The digest goes by name, in the order that the map has already.
    let sorted: BTreeMap<_, _> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    let mut md5 = Md5::new();
    for (name, attribute) in sorted {
        update(&mut md5, name.as_bytes());
        update(&mut md5, attribute.data_type.as_bytes());
        match (&attribute.string_value, &attribute.binary_value) {
            (_, Some(blob)) => {
                md5.update([2]);
                update(&mut md5, &blob.0);
            }
            (text, None) => {
                md5.update([1]);
                update(&mut md5, text.as_deref().unwrap_or_default().as_bytes());
            }
        }
    }
    Some(hex(md5))
}

/// Length in four bytes, then the bytes.
fn update(md5: &mut Md5, bytes: &[u8]) {
    md5.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    md5.update(bytes);
}

fn hex(md5: Md5) -> String {
    md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use capstan_shapes::Blob;

    use super::*;

    #[test]
    fn digests() {
        assert_eq!(of_text(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(of_text("This is a test message"), "fafb00f5732ab283681e124bf8747ed1");
        assert_eq!(of_attributes([]), None);
        let text = |data_type: &str, value: &str| MessageAttributeValue {
            data_type: data_type.to_owned(),
            string_value: Some(value.to_owned()),
            ..Default::default()
        };
        let binary = MessageAttributeValue {
            data_type: "Binary".to_owned(),
            binary_value: Some(Blob(vec![0, 1, 2].into())),
            ..Default::default()
        };
        let names = ["b".to_owned(), "a".to_owned(), "c".to_owned()];
        let values = [text("Number.int", "7"), text("String", "x"), binary];
        // Computed with the rule of the guide by other means.
        assert_eq!(
            of_attributes(names.iter().zip(&values)).as_deref(),
            Some("a5eee4dce167b64b624388348f9614f0")
        );
    }
}
