//! Query strings.

use madang_protocol::{
    Refusal, UserId,
    limits::{NUMBER_END, PAGE_DEFAULT, PAGE_MAX},
    operation::Range,
};
use madang_store::accounts::ProfileKeys;
use std::collections::HashMap;

/// Most users one look-up may name.
const USERS_MAX: usize = 200;

/// The parameters of a request; of repeated ones the first. Unknown ones are ignored.
pub(super) struct Query(HashMap<String, String>);

impl Query {
    /// From the part behind the `?`.
    pub(super) fn parse(text: Option<&str>) -> Self {
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            parameters.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Self(parameters)
    }

    /// `limit`: 1 to 200, 50 when absent.
    pub(super) fn limit(&self) -> Result<usize, Refusal> {
        match self.number("limit")? {
            None => Ok(PAGE_DEFAULT as usize),
            Some(limit) if (1..=u64::from(PAGE_MAX)).contains(&limit) => Ok(limit as usize),
            Some(_) => Err(Refusal::invalid("limit", "must be from 1 to 200")),
        }
    }

    /// `cursor`, unread.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.get("cursor")
    }

    /// A parameter that is true or false; false when absent.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Refusal::invalid(name, "must be true or false")),
        }
    }

    /// `before` or `after`, not both; the newest when neither is there.
    pub(super) fn range(&self) -> Result<Range, Refusal> {
        match (self.number("before")?, self.number("after")?) {
            (Some(_), Some(_)) => Err(Refusal::invalid("after", "must not stand beside before")),
            (Some(before), None) => Ok(Range::Before(before)),
            (None, Some(after)) => Ok(Range::After(after)),
            (None, None) => Ok(Range::Newest),
        }
    }

    /// `ids` or `usernames`, 1 to 200 separated by commas; `fold` makes a username comparable.
    pub(super) fn users(&self, fold: fn(&str) -> String) -> Result<ProfileKeys, Refusal> {
        match (self.get("ids"), self.get("usernames")) {
            (Some(_), Some(_)) => Err(Refusal::invalid("usernames", "must not stand beside ids")),
            (None, None) => Err(Refusal::invalid("ids", "or usernames must be there")),
            (Some(ids), None) => {
                // A text that is no id of ours names nobody, and nobody is left out.
                let known = split("ids", ids)?.into_iter().filter_map(|id| id.parse().ok());
                Ok(ProfileKeys::Ids(known.collect::<Vec<UserId>>()))
            }
            (None, Some(names)) => {
                let names = split("usernames", names)?;
                Ok(ProfileKeys::Usernames(names.into_iter().map(fold).collect()))
            }
        }
    }

    fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && number < NUMBER_END => Ok(Some(number)),
            _ => Err(Refusal::invalid(name, "must be a whole number below 2^53")),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn split<'a>(field: &'static str, list: &'a str) -> Result<Vec<&'a str>, Refusal> {
    let items: Vec<&str> = list.split(',').filter(|item| !item.is_empty()).collect();
    match items.len() {
        1..=USERS_MAX => Ok(items),
        _ => Err(Refusal::invalid(field, "must name 1 to 200 users")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<T>(answer: Result<T, Refusal>) -> Result<T, String> {
        answer.map_err(|refusal| refusal.field.unwrap_or_default().into_owned())
    }

    #[test]
    fn limits() {
        for (text, limit) in [
            ("", Ok(50)),
            ("limit=1", Ok(1)),
            ("limit=200&limit=0", Ok(200)),
            ("limit=0", Err("limit")),
            ("limit=201", Err("limit")),
            ("limit=", Err("limit")),
            ("limit=%2B5", Err("limit")),
            ("limit=-1", Err("limit")),
            ("limit=1.5", Err("limit")),
        ] {
            assert_eq!(field(Query::parse(Some(text)).limit()), limit.map_err(str::to_owned));
        }
    }

    #[test]
    fn flags() {
        for (text, flag) in [
            ("", Ok(false)),
            ("ban=false", Ok(false)),
            ("ban=true", Ok(true)),
            ("ban=", Err("ban")),
            ("ban=1", Err("ban")),
        ] {
            assert_eq!(field(Query::parse(Some(text)).flag("ban")), flag.map_err(str::to_owned));
        }
    }

    #[test]
    fn ranges() {
        for (text, range) in [
            ("", Ok(Range::Newest)),
            ("before=7", Ok(Range::Before(7))),
            ("after=0", Ok(Range::After(0))),
            ("after=9007199254740991", Ok(Range::After(NUMBER_END - 1))),
            ("after=9007199254740992", Err("after")),
            ("before=1&after=2", Err("after")),
            ("before=x", Err("before")),
        ] {
            assert_eq!(field(Query::parse(Some(text)).range()), range.map_err(str::to_owned));
        }
    }

    #[test]
    fn users() {
        let ann = UserId([7; 15]);
        let many = format!("usernames={}", vec!["x"; 201].join(","));
        for (text, keys) in [
            ("", Err("ids")),
            ("ids=", Err("ids")),
            ("ids=a&usernames=b", Err("usernames")),
            (&*many, Err("usernames")),
            (&*format!("ids={ann},nobody"), Ok(ProfileKeys::Ids(vec![ann]))),
            ("usernames=Ann,b%C3%B6", Ok(ProfileKeys::Usernames(vec!["ANN".into(), "BÖ".into()]))),
        ] {
            let users = Query::parse(Some(text)).users(|name| name.to_uppercase());
            assert_eq!(field(users), keys.map_err(str::to_owned));
        }
    }
}
