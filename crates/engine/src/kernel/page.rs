//! Pages of lists: `nextToken`, `NextToken`, `Marker`.

/// One page and the token of the next.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// The page of `items` that `token` asks for, at most `size` long. Items must come in a stable order, each with a key
/// that tells them apart: the token holds the key of the next page's first item, so that a page stays right while items
/// come and go. `Err(())` when the token is not one of ours.
pub(crate) fn page<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    size: usize,
) -> Result<Page<T>, ()> {
    let from = token.map(|token| decode(token).ok_or(())).transpose()?;
    let mut rest = items.into_iter().skip_while(|item| from.as_ref().is_some_and(|from| key(item) < *from));
    let items: Vec<T> = rest.by_ref().take(size.max(1)).collect();
    let next = rest.next().map(|item| encode(&key(&item)));
    Ok(Page { items, next })
}

/// Tokens are opaque to clients; hex keeps them free of characters that a shell or a URL would touch.
fn encode(key: &str) -> String {
    key.bytes().fold(String::from("c1"), |mut token, byte| {
        token.push_str(&format!("{byte:02x}"));
        token
    })
}

fn decode(token: &str) -> Option<String> {
    let hex = token.strip_prefix("c1")?;
    if hex.len() % 2 != 0 || !hex.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_the_list_once() {
        let items: Vec<String> = (0..25).map(|n| format!("item-{n:02}")).collect();
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let page = page(items.iter(), |item| (*item).clone(), token.as_deref(), 10)
                .unwrap_or_else(|()| panic!());
            seen.extend(page.items.into_iter().cloned());
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, items);
    }

    #[test]
    fn foreign_tokens_are_refused() {
        for token in ["", "c1zz", "c1a", "nonsense", "c1ü"] {
            let refused = page([1], ToString::to_string, Some(token), 10).is_err();
            assert!(refused, "{token}");
        }
    }
}
