//! A room with everybody who may stand around it: the scene of the tests about roles.

use crate::launch;
use madang_testkit::{Account, Launch, Stage, client::{Answer, list, text}};
use reqwest::Method;
use serde_json::{Value, json};

/// The kinds of rooms that people come to and leave.
pub(crate) const KINDS: [&str; 3] = ["private group", "open group", "channel"];

/// Ann owns the room, Ben is a member of it.
pub(crate) struct Circle {
    pub(crate) stage: Stage,
    /// Admin.
    pub(crate) cal: Account,
    /// Never in it.
    pub(crate) eve: Account,
    /// Left.
    pub(crate) fay: Account,
    /// Kept out.
    pub(crate) gus: Account,
    pub(crate) room: String,
}

impl Circle {
    /// A node with these users and a room of `kind`.
    pub(crate) async fn set(kind: &str) -> Self {
        Self::on(launch(), kind).await
    }

    /// The same on a node of one's own.
    pub(crate) async fn on(launch: Launch, kind: &str) -> Self {
        let stage = Stage::set(launch).await;
        let signup = |name| stage.http.signup(name);
        let (cal, eve, fay, gus) =
            tokio::join!(signup("cal"), signup("eve"), signup("fay"), signup("gus"));
        let mut circle = Self { stage, cal, eve, fay, gus, room: String::new() };
        circle.make(kind).await;
        circle
    }

    /// Goes on in another room, of `kind`.
    pub(crate) async fn make(&mut self, kind: &str) {
        let members = [&self.stage.ben, &self.cal, &self.fay, &self.gus];
        let members: Vec<&str> = members.iter().map(|account| account.user.as_str()).collect();
        let mut body = json!({"kind": "group", "name": "circle", "members": members});
        match kind {
            "open group" => body["private"] = json!(false),
            "channel" => body["kind"] = json!("channel"),
            _ => {}
        }
        let ann = &self.stage.ann;
        let made = self.stage.http.post("/v1/rooms", body).token(&ann.token).send().await;
        text(&made.expect(201), "room").clone_into(&mut self.room);
        self.set_role(ann, &self.cal, "admin").await.expect(200);
        assert_eq!(self.leave(&self.fay).await.status, 204);
        assert_eq!(self.ban(ann, &self.gus).await.status, 204);
    }

    /// A call about the room; `rest` comes behind its id.
    pub(crate) async fn call(&self, by: &Account, method: Method, rest: &str, body: Value) -> Answer {
        let path = format!("/v1/rooms/{}{rest}", self.room);
        let call = self.stage.http.call(method, &path).token(&by.token);
        if body.is_null() { call.send().await } else { call.json(&body).send().await }
    }

    pub(crate) async fn join(&self, by: &Account) -> Answer {
        self.call(by, Method::POST, "/join", Value::Null).await
    }

    pub(crate) async fn leave(&self, by: &Account) -> Answer {
        self.call(by, Method::POST, "/leave", Value::Null).await
    }

    pub(crate) async fn add(&self, by: &Account, whom: &Account) -> Answer {
        self.call(by, Method::POST, "/members", json!({"user": whom.user})).await
    }

    pub(crate) async fn remove(&self, by: &Account, whom: &Account) -> Answer {
        self.call(by, Method::DELETE, &format!("/members/{}", whom.user), Value::Null).await
    }

    pub(crate) async fn ban(&self, by: &Account, whom: &Account) -> Answer {
        let rest = format!("/members/{}?ban=true", whom.user);
        self.call(by, Method::DELETE, &rest, Value::Null).await
    }

    pub(crate) async fn set_role(&self, by: &Account, whom: &Account, role: &str) -> Answer {
        let rest = format!("/members/{}", whom.user);
        self.call(by, Method::PATCH, &rest, json!({"role": role})).await
    }

    pub(crate) async fn rename(&self, by: &Account, name: &str) -> Answer {
        self.call(by, Method::PATCH, "", json!({"name": name})).await
    }

    /// The room as `by` sees it.
    pub(crate) async fn seen(&self, by: &Account) -> Answer {
        self.call(by, Method::GET, "", Value::Null).await
    }

    /// Who is in it as what, by name, as `by` sees it.
    pub(crate) async fn roles(&self, by: &Account) -> Vec<(String, String)> {
        let page = self.call(by, Method::GET, "/members", Value::Null).await.expect(200);
        let role = |member: &Value| {
            (self.name(text(member, "user")), text(member, "role").to_owned())
        };
        let mut roles: Vec<_> = list(&page, "members").iter().map(role).collect();
        roles.sort();
        roles
    }

    /// The username behind an id.
    pub(crate) fn name(&self, user: &str) -> String {
        let Stage { ann, ben, .. } = &self.stage;
        let everybody = [ann, ben, &self.cal, &self.eve, &self.fay, &self.gus];
        let known = everybody.into_iter().find(|account| account.user == user);
        known.map_or_else(|| user.to_owned(), |account| account.username.clone())
    }
}

/// As [`Circle::roles`] tells them.
pub(crate) fn roles(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, role)| ((*name).to_owned(), (*role).to_owned())).collect()
}
