//! Filters of describe calls: `Name=instance-state-name,Values=pending,running`.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::Filter;

use super::{Tags, invalid};

/// Filters that have been checked. All of them must fit; of one filter's values, any may.
pub(super) struct Filters<'a>(&'a [Filter]);

/// Stands in a list of known filters for `tag:KEY`, `tag-key` and `tag-value`.
pub(super) const TAGS: &str = "tag:*";

impl<'a> Filters<'a> {
    /// Refuses filters that the operation does not know.
    pub(super) fn new(filters: Option<&'a Vec<Filter>>, known: &[&str]) -> Result<Self, Refusal> {
        let filters = filters.map_or(&[][..], Vec::as_slice);
        for filter in filters {
            let name = filter.name.as_deref().unwrap_or("null");
            let is_tag = name.starts_with("tag:") || name == "tag-key" || name == "tag-value";
            if !(known.contains(&name) || is_tag && known.contains(&TAGS)) {
                return Err(invalid(format!("The filter '{name}' is invalid")));
            }
        }
        Ok(Self(filters))
    }

    /// Whether a row fits. `fields` gives every value that the row has for the filter of that name; a filter for
    /// something that rows here never have gets none, and nothing fits it.
    pub(super) fn fit(&self, tags: &Tags, mut fields: impl FnMut(&str, &mut dyn FnMut(&str))) -> bool {
        self.0.iter().all(|filter| {
            let name = filter.name.as_deref().unwrap_or_default();
            let wanted = filter.values.as_deref().unwrap_or_default();
            let mut fits = false;
            let mut put = |value: &str| fits |= wanted.iter().any(|pattern| matches(pattern, value));
            match name {
                "tag-key" => tags.keys().for_each(|key| put(key)),
                "tag-value" => tags.values().for_each(|value| put(value)),
                _ => match name.strip_prefix("tag:") {
                    Some(key) => tags.get(key).into_iter().for_each(|value| put(value)),
                    None => fields(name, &mut put),
                },
            }
            fits
        })
    }
}

/// `*` stands for any characters, `?` for one, a backslash takes the next one as it is (EC2 guide, filtering).
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['*', '?', '\\']) {
        return pattern == text;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the latest star stands, and how far it reaches by now.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('\\') if pattern.get(p + 1) == Some(&text[t]) => Some(2),
            Some('\\') if p + 1 < pattern.len() => None,
            Some(literal) if *literal == text[t] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(step), _) => (p, t) = (p + step, t + 1),
            (None, Some((at, reach))) => {
                star = Some((at, reach + 1));
                (p, t) = (at + 1, reach + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [
            ("running", "running", true),
            ("running", "Running", false),
            ("r*", "running", true),
            ("*", "", true),
            ("?", "", false),
            ("m5?.large", "m5a.large", true),
            ("m5?.large", "m5.large", false),
            ("*.large", "m5.large", true),
            ("*.large", "m5.xlarge", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            (r"a\*c", "a*c", true),
            (r"a\*c", "abc", false),
            (r"*\?", "what?", true),
            ("ab*", "a", false),
        ];
        for (pattern, text, fits) in cases {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn patterns_mean_what_a_regex_would(pattern in r"[ab*?]{0,8}", text in "[ab]{0,10}") {
            let regex = pattern.replace('*', ".*").replace('?', ".");
            let regex = regex_lite::Regex::new(&format!("^(?:{regex})$")).unwrap();
            proptest::prop_assert_eq!(matches(&pattern, &text), regex.is_match(&text));
        }
    }

    fn filter(name: &str, values: &[&str]) -> Filter {
        Filter { name: Some(name.into()), values: Some(values.iter().map(ToString::to_string).collect()) }
    }

    #[test]
    fn all_filters_and_any_value() {
        let tags = Tags::from([("Name".to_owned(), "web".to_owned())]);
        let fits = |filters: &Vec<Filter>| {
            let filters = Filters::new(Some(filters), &["state", "group", TAGS])?;
            Ok::<_, Refusal>(filters.fit(&tags, |name, put| match name {
                "state" => put("running"),
                "group" => ["sg-1", "sg-2"].into_iter().for_each(put),
                _ => {}
            }))
        };
        let cases: [(Vec<Filter>, bool); 7] = [
            (vec![], true),
            (vec![filter("state", &["pending", "running"])], true),
            (vec![filter("state", &["pending"])], false),
            (vec![filter("group", &["sg-2"]), filter("tag:Name", &["w*"])], true),
            (vec![filter("group", &["sg-2"]), filter("tag:Name", &["db"])], false),
            (vec![filter("tag-key", &["Name"])], true),
            (vec![filter("tag:Stage", &["*"])], false),
        ];
        for (filters, expected) in cases {
            assert_eq!(fits(&filters).unwrap(), expected, "{filters:?}");
        }
        let refused = fits(&vec![filter("colour", &["red"])]).unwrap_err();
        assert_eq!(refused.to_string(), "InvalidParameterValue: The filter 'colour' is invalid");
    }
}
