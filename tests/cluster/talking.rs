//! Users of one room on different nodes.

use crate::{ground, launch};
use madang_testkit::{Account, Cluster, Http, Socket, client::text, wait};
use serde_json::{Value, json};

/// Three nodes, a user on each, a room of all three.
struct Scene {
    cluster: Cluster,
    users: Vec<Account>,
    room: String,
}

impl Scene {
    async fn set() -> Self {
        let cluster = Cluster::start(ground::shared().await, &launch(), 3).await;
        let mut users = Vec::new();
        for (place, name) in ["ann", "ben", "cleo"].into_iter().enumerate() {
            users.push(cluster.http(place).signup(name).await);
        }
        let room =
            cluster.http(0).make_group(&users[0], "courtyard", &[&users[1], &users[2]]).await;
        Self { cluster, users, room }
    }

    /// A connection of a user to the node with this place.
    async fn join(&self, user: usize, place: usize) -> Socket {
        Socket::join(self.cluster.nodes[place].address(), &self.users[user]).await
    }

    /// Each on a node of its own.
    async fn all(&self) -> Vec<Socket> {
        let mut sockets = Vec::new();
        for place in 0..3 {
            sockets.push(self.join(place, place).await);
        }
        sockets
    }
}

/// The bodies of the next `count` messages.
async fn heard(socket: &mut Socket, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        bodies.push(text(&socket.expect("message").await, "body").to_owned());
    }
    bodies
}

#[tokio::test]
async fn all_hear_all_in_one_order() {
    let scene = Scene::set().await;
    let mut sockets = scene.all().await;
    let mut expected = Vec::new();
    for turn in 0..30 {
        let body = format!("t{turn}");
        let answer = sockets[turn % 3].send(&scene.room, &body, &body).await;
        assert_eq!(answer["seq"], json!(turn + 1));
        expected.push(body);
    }
    let log = scene.cluster.http(1).whole_log(&scene.users[2], &scene.room).await;
    let bodies: Vec<&str> = log.iter().map(|message| text(message, "body")).collect();
    assert_eq!(bodies, expected);
    for socket in &mut sockets {
        let heard = wait::within("all messages", wait::SOON, heard(socket, 30)).await;
        assert_eq!(heard, expected);
    }
}

#[tokio::test]
async fn who_comes_back_on_another_node_misses_nothing() {
    let scene = Scene::set().await;
    let mut sockets = scene.all().await;
    for number in 1..=5 {
        sockets[0].send(&scene.room, &format!("a{number}"), "before").await;
    }
    assert_eq!(heard(&mut sockets[1], 5).await.len(), 5);
    sockets.remove(1).close().await;
    for number in 1..=5 {
        sockets[0].send(&scene.room, &format!("b{number}"), &format!("b{number}")).await;
    }
    let mut back = Socket::open(scene.cluster.nodes[2].address()).await;
    let from = json!([{ "room": scene.room, "after_seq": 5 }]);
    back.hello(&scene.users[1].token, Some(from)).await;
    let missed = wait::within("what was missed", wait::SOON, heard(&mut back, 5)).await;
    assert_eq!(missed, ["b1", "b2", "b3", "b4", "b5"]);
}

#[tokio::test]
async fn the_others_go_on_without_a_node_that_is_killed() {
    let mut scene = Scene::set().await;
    let mut sockets = scene.all().await;
    for turn in 0..9 {
        sockets[turn % 3].send(&scene.room, &format!("t{turn}"), "before").await;
    }
    scene.cluster.nodes[0].kill().await;
    for turn in 0..10 {
        let place = 1 + turn % 2;
        let answer = sockets[place].send(&scene.room, &format!("u{turn}"), "after").await;
        assert_eq!(answer["seq"], json!(turn + 10));
    }
    for place in [1, 2] {
        let all = wait::within("all messages", wait::SOON, heard(&mut sockets[place], 19)).await;
        assert_eq!(all.iter().filter(|body| *body == "after").count(), 10);
    }
    scene.cluster.nodes[0].restart().await;
    let log = scene.cluster.http(0).whole_log(&scene.users[0], &scene.room).await;
    let places: Vec<&Value> = log.iter().map(|message| &message["seq"]).collect();
    assert_eq!(places, (1..=19).map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_node_says_how_its_bus_is() {
    let cluster = Cluster::start(ground::shared().await, &launch(), 1).await;
    let ready = ready(&cluster.http(0)).await;
    assert_eq!(ready["parts"]["nats"]["state"], json!("ok"), "{ready}");
}

async fn ready(http: &Http) -> Value {
    http.get("/readyz").send().await.expect(200)
}
