//! Replays the corpus of the fuzz target, and mutations of it: the part of fuzzing that needs no special compiler.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

#[path = "../../../tests/fuzz/src/packets.rs"]
pub mod packets;

static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(seeds);

fn seeds() -> Vec<Vec<u8>> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/doctor_packets");
    let files = std::fs::read_dir(folder).expect("the corpus is there");
    let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
    paths.sort();
    let read = |path| std::fs::read(path).expect("a seed can be read");
    paths.into_iter().map(read).collect()
}

#[test]
fn the_corpus_breaks_nothing() {
    assert!(!SEEDS.is_empty());
    SEEDS.iter().for_each(|seed| packets::doctor_packets(seed));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_arrives_breaks_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        packets::doctor_packets(&bytes);
    }

    #[test]
    fn whatever_nearly_makes_sense_breaks_nothing(
        seed in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        length in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = SEEDS[seed.index(SEEDS.len())].clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(length.index(bytes.len()));
        }
        packets::doctor_packets(&bytes);
    }
}
