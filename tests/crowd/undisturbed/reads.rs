//! A thousand readers of one page.

use super::{Scene, Step, launch};
use madang_testkit::{Account, Stage};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

const READS: usize = 1_000;
const ROUNDS: usize = 3;
/// All ask again when all were answered, until this has passed.
const LASTS: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_identical_reads_are_not_felt() {
    let scene = Scene::set(launch(), ROUNDS, 0).await;
    let Stage { http, ann, ben, .. } = &scene.stage;
    let room = http.make_group(ann, "read by many", &[ben]).await;
    for number in 0..100 {
        http.send(ann, &room, &format!("m{number}"), "something that many want to read").await;
    }
    let path = format!("/v1/rooms/{room}/messages?before=80&limit=50");
    let connect = connect(scene.stage.address(), path, ben.clone());
    let mut readers = Some(scene.background.run(connect).await);
    let mut bursts = 0;
    let disturb = async |step| {
        if step == Step::Disturb {
            let them = readers.take().expect("given back each time");
            let (them, times) = scene.background.run(read(them)).await;
            readers = Some(them);
            bursts += times;
        }
    };
    scene.judge("1,000 identical reads, again and again", disturb).await;
    println!("  {bursts} times {READS} reads");
}

/// Connections that are open already, so that what is asked at once is the page.
async fn connect(address: SocketAddr, path: String, reader: Account) -> Vec<Reader> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        reader.token
    );
    let mut readers = Vec::new();
    for _ in 0..READS {
        let stream = TcpStream::connect(address).await.expect("the node listens");
        readers.push(Reader { stream: BufReader::new(stream), request: request.clone() });
    }
    readers
}

struct Reader {
    stream: BufReader<TcpStream>,
    request: String,
}

impl Reader {
    async fn ask(&mut self) {
        let request = self.request.as_bytes();
        self.stream.get_mut().write_all(request).await.expect("the node reads");
    }

    async fn answer(&mut self) -> Vec<u8> {
        let (mut line, mut length) = (String::new(), 0);
        self.stream.read_line(&mut line).await.expect("an answer");
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).await.expect("a head");
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.expect("a body");
        body
    }
}

/// How often all of them were answered, each alike.
async fn read(mut readers: Vec<Reader>) -> (Vec<Reader>, usize) {
    let (begin, mut times) = (Instant::now(), 0);
    while begin.elapsed() < LASTS {
        for reader in &mut readers {
            reader.ask().await;
        }
        let first = readers[0].answer().await;
        assert!(first.len() > 50 * 100, "a page");
        for reader in &mut readers[1..] {
            assert!(reader.answer().await == first, "identical");
        }
        times += 1;
    }
    (readers, times)
}
