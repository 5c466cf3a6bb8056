//! Inputs from seeds: frames of the corpus, changed in a few of the ways that break parsers.

use fastrand::Rng;

/// Longest input, bytes.
const LENGTH_MAX: usize = 4_096;
/// Bytes at the edges of what formats mean by one.
const EDGES: [u8; 16] = [
    0x00, 0x01, 0x20, 0x22, 0x5c, 0x7b, 0x7f, 0x80, 0x81, 0xc1, 0xca, 0xd9, 0xdf, 0xed, 0xf8, 0xff,
];

/// The input of a seed.
pub(crate) fn input(seed: u64, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Rng::with_seed(seed);
    let mut bytes = corpus[random.usize(..corpus.len())].clone();
    for _ in 0..random.usize(1..=6) {
        mutate(&mut bytes, corpus, &mut random);
        bytes.truncate(LENGTH_MAX);
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Rng) {
    let place = random.usize(..=bytes.len());
    match random.u8(..8) {
        0 => flip(bytes, random),
        1 => set(bytes, random.u8(..), random),
        2 => set(bytes, EDGES[random.usize(..EDGES.len())], random),
        3 => bytes.insert(place, random.u8(..)),
        4 => drop(cut(bytes, random)),
        5 => bytes.truncate(place),
        6 => {
            // A part of itself once more.
            let part = cut(&mut bytes.clone(), random);
            bytes.splice(place..place, part);
        }
        _ => {
            // A part of another.
            let part = cut(&mut corpus[random.usize(..corpus.len())].clone(), random);
            bytes.splice(place..place, part);
        }
    }
}

fn flip(bytes: &mut [u8], random: &mut Rng) {
    if let Some(byte) = pick(bytes, random) {
        *byte ^= 1 << random.u8(..8);
    }
}

fn set(bytes: &mut [u8], value: u8, random: &mut Rng) {
    if let Some(byte) = pick(bytes, random) {
        *byte = value;
    }
}

fn pick<'a>(bytes: &'a mut [u8], random: &mut Rng) -> Option<&'a mut u8> {
    let place = random.usize(..bytes.len().max(1));
    bytes.get_mut(place)
}

/// Takes a part out.
fn cut(bytes: &mut Vec<u8>, random: &mut Rng) -> Vec<u8> {
    let start = random.usize(..=bytes.len());
    let end = random.usize(start..=bytes.len());
    bytes.drain(start..end).collect()
}
