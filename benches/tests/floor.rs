//! The floor may get faster, never slower. A clock cannot tell on a shared machine; system calls can
//! be counted: one write for each reader and wake-up, and no more reads and waits than there are
//! messages.

use madang_bench::{
    generator::{Crowd, Deaf},
    targets::{Dialect, Kind, Publication, Seat},
};
use std::{
    net::{SocketAddr, TcpStream},
    process::{Child, Command},
    time::{Duration, Instant},
};

const READERS: usize = 40;
const MESSAGES: usize = 100;

/// The server, killed when dropped.
struct Floor(Child);

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start() -> (Floor, SocketAddr) {
    start_with(&[])
}

fn start_with(arguments: &[&str]) -> (Floor, SocketAddr) {
    let address = madang_servers::free_address();
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang-bench"));
    command.args(["floor-server", "--listen", &address.to_string()]).args(arguments);
    let floor = Floor(command.spawn().expect("it can be started"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "the floor does not listen");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    (floor, address)
}

/// Waits, reads and writes so far.
fn counts(crowd: &mut Crowd) -> [u64; 3] {
    let mut frame = Vec::new();
    madang_bench::frame::encode_client(madang_bench::frame::TEXT, b"JOIN ?", &mut frame);
    crowd.send(0, &frame).expect("sent");
    let answer = crowd.answer(Duration::from_secs(10)).expect("answered");
    let text = String::from_utf8(answer).expect("text");
    let numbers: Vec<u64> =
        text.split(' ').map(|number| number.parse().expect("a number")).collect();
    numbers.try_into().expect("three")
}

fn frames(count: usize) -> Vec<u8> {
    let (mut scratch, mut frames) = (String::new(), Vec::new());
    for number in 0..count as u64 {
        let (kind, room, body) = (Kind::Signal, "r", "hello");
        let publication = Publication { kind, room, body, number, id: None };
        Dialect::Plain.publish(&publication, &mut scratch, &mut frames);
    }
    frames
}

fn crowd(address: SocketAddr) -> Crowd {
    let mut crowd = Crowd::new("floor", Dialect::Plain, vec![address]).expect("a crowd");
    let seat = Seat { room: "r".to_owned(), ..Seat::default() };
    crowd.open(vec![seat; READERS], READERS, Duration::from_secs(20)).expect("open");
    crowd
}

/// Messages that come one by one: one wait and one read each, one write for each reader.
#[test]
fn one_message_is_one_write_for_each_reader() {
    let (_floor, address) = start();
    let mut crowd = crowd(address);
    let before = counts(&mut crowd);
    let one = frames(1);
    for _ in 0..MESSAGES {
        crowd.send(1, &one).expect("sent");
        crowd.settle(Duration::from_millis(1), &mut Deaf).expect("settled");
    }
    crowd.settle(Duration::from_secs(5), &mut Deaf).expect("settled");
    let [waits, reads, sends] = since(counts(&mut crowd), before);
    let (messages, readers) = (MESSAGES as u64, READERS as u64);
    assert!(sends <= messages * readers + 1, "{sends} writes");
    assert!(reads <= messages + 1 && waits <= messages + 1, "{reads} reads, {waits} waits");
}

/// Messages that come together leave together: one write takes all that waits.
#[test]
fn many_messages_at_once_are_one_write_for_each_reader() {
    let (_floor, address) = start();
    let mut crowd = crowd(address);
    let before = counts(&mut crowd);
    crowd.send(1, &frames(MESSAGES)).expect("sent");
    crowd.settle(Duration::from_secs(5), &mut Deaf).expect("settled");
    let [_, reads, sends] = since(counts(&mut crowd), before);
    // The kernel may hand them over in a few parts.
    assert!(sends <= reads * READERS as u64 && reads <= 5, "{reads} reads, {sends} writes");
}

/// One that is asked to: everybody once in that time, whose answer is one read; nobody otherwise.
#[test]
fn a_ping_is_one_write_and_its_answer_one_read() {
    const PERIOD: Duration = Duration::from_millis(100);
    for pings in [true, false] {
        let period = PERIOD.as_millis().to_string();
        let arguments: &[&str] = if pings { &["--ping-every-ms", &period] } else { &[] };
        let (_floor, address) = start_with(arguments);
        let mut crowd = crowd(address);
        let (begin, before) = (Instant::now(), counts(&mut crowd));
        crowd.listen_for(10 * PERIOD, &mut Deaf).expect("listened");
        let [_, reads, sends] = since(counts(&mut crowd), before);
        let periods = if pings { begin.elapsed().div_duration_f64(PERIOD) } else { 0.0 };
        let most = (periods.ceil() as u64 + 1) * READERS as u64;
        let least = if pings { 5 * READERS as u64 } else { 0 };
        assert!((least..=most).contains(&sends), "{sends} writes in {periods} periods");
        assert!(reads <= sends + 1, "{reads} reads, {sends} writes");
        assert!(pings || sends <= 1, "{sends} writes");
    }
}

fn since(now: [u64; 3], before: [u64; 3]) -> [u64; 3] {
    std::array::from_fn(|place| now[place] - before[place])
}
