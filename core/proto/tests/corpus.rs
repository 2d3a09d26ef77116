//! Replays the corpus of the fuzz targets, and seeded mutations of it: the part of fuzzing that
//! needs no special compiler. What is checked is in the targets themselves.

use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../../../tests/fuzz/src/lib.rs"]
pub mod targets;

/// A small deterministic generator (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Values at which length checks go wrong.
const INTERESTING: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];

fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut data = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len());
        let len = random.below(data.len() - at).min(64);
        match random.below(8) {
            0 if !data.is_empty() => data[at] ^= 1 << random.below(8),
            1 if !data.is_empty() => data[at] = random.next() as u8,
            2 if !data.is_empty() => data[at] = INTERESTING[random.below(INTERESTING.len())],
            3 => data.truncate(at),
            4 => drop(data.drain(at..at + len)),
            5 => {
                let block = data[at..at + len].to_vec();
                let to = random.below(data.len());
                data.splice(to..to, block);
            }
            6 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            _ => data.insert(at, random.next() as u8),
        }
    }
    data.truncate(4096);
    data
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fuzz/corpus")
        .join(target);
    let files = std::fs::read_dir(folder).expect("the corpus is there");
    let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
    paths.sort();
    let read = |path| std::fs::read(path).expect("a seed can be read");
    let seeds: Vec<Vec<u8>> = paths.into_iter().map(read).collect();
    assert!(!seeds.is_empty());
    seeds
}

/// Mutations end after this time: without optimisation, key agreement alone takes milliseconds.
const LIMIT: Duration = Duration::from_secs(4);

/// Runs all seeds, then up to `most` mutations, always the same ones; shows one that panics.
fn run(target: &str, most: u32, body: impl Fn(&[u8])) {
    struct Told<'a>(&'a str, &'a [u8]);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let hex: String = self.1.iter().map(|b| format!("{b:02x}")).collect();
                eprintln!("{} fails on {hex}", self.0);
            }
        }
    }
    let seeds = corpus(target);
    for seed in &seeds {
        let _told = Told(target, seed);
        body(seed);
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let start = Instant::now();
    for _ in 0..most {
        if start.elapsed() > LIMIT {
            break;
        }
        let data = mutate(&seeds, &mut random);
        let _told = Told(target, &data);
        body(&data);
    }
}

#[test]
fn no_first_flight_confuses_the_parser() {
    run("first_flight", 1_000_000, |data| {
        targets::parse_first_flight(data);
    });
}

#[test]
fn no_first_flight_confuses_a_gateway() {
    run("first_flight", 50_000, targets::first_flight);
}

#[test]
fn no_answer_confuses_a_client() {
    run("client_leg", 50_000, targets::client_leg);
}

#[test]
fn nothing_on_a_leg_confuses_a_gateway() {
    run("gateway_leg", 50_000, targets::gateway_leg);
}

#[test]
fn honest_ends_lose_nothing_over_legs_that_come_and_go() {
    run("session_pair", 50_000, targets::session_pair);
}
