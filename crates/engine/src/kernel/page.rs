//! Pages of lists: `nextToken`, `NextToken`, `Marker`.

/// One page and the token of the next.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// The page of `items` that `token` asks for, at most `size` long. Each item has a key that tells it from the others: the
/// token holds the key of the next page's first item, so that a page stays right while items come and go. Where that item
/// has gone, the page begins at the first one after it in the order of keys. `Err(())` when the token is not one of ours.
pub(crate) fn page<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    size: usize,
) -> Result<Page<T>, ()> {
    let mut items: Vec<T> = items.into_iter().collect();
    if let Some(token) = token {
        let from = decode(token).ok_or(())?;
        let at = items.iter().position(|item| key(item) == from);
        let at = at.or_else(|| items.iter().position(|item| key(item) > from));
        items.drain(..at.unwrap_or(items.len()));
    }
    let next = items.get(size.max(1)).map(|item| encode(&key(item)));
    items.truncate(size.max(1));
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
        let sorted: Vec<String> = (0..25).map(|n| format!("item-{n:02}")).collect();
        let newest_first: Vec<String> = sorted.iter().rev().cloned().collect();
        let mixed: Vec<String> = (0..25).map(|n| format!("item-{:02}", n * 7 % 25)).collect();
        for items in [sorted, newest_first, mixed] {
            cover(&items);
        }
    }

    #[test]
    fn an_item_that_has_gone_does_not_stop_the_list() {
        let first = page(["a", "b", "c", "d"], ToString::to_string, None, 2).unwrap_or_else(|()| panic!());
        let rest = page(["a", "b", "d"], ToString::to_string, first.next.as_deref(), 2)
            .unwrap_or_else(|()| panic!());
        assert_eq!((rest.items, rest.next), (vec!["d"], None));
    }

    fn cover(items: &[String]) {
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let page =
                page(items, |item| (*item).clone(), token.as_deref(), 10).unwrap_or_else(|()| panic!());
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
