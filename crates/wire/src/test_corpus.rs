//! Replays the committed corpora of the fuzz targets, so that what was found once stays mended on stable Rust too.

use std::path::PathBuf;

/// Runs a target's body over each file of its corpus; returns how many there were.
pub(crate) fn replay(target: &str, body: fn(&[u8])) -> usize {
    corpus(target).iter().map(|input| body(input)).count()
}

/// The files of a target's corpus, in an order that is always the same.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).expect("the corpus is committed");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a readable file")).collect()
}

/// How many inputs [`mutated`] makes where nothing else is asked for by [`RUNS`].
const DEFAULT_RUNS: u64 = 3000;
/// The variable that asks for another number, such as a million where no nightly Rust is at hand for the real fuzzer.
const RUNS: &str = "HEVCAST_MUTATED_RUNS";

/// Runs a target's body over inputs of its corpus that were changed at random, always the same ones; an input that fails is
/// printed. Without the eyes of a fuzzer, but on stable Rust and in every run of the tests.
pub(crate) fn mutated(target: &str, body: fn(&[u8])) {
    let runs = std::env::var(RUNS).ok().and_then(|runs| runs.parse().ok()).unwrap_or(DEFAULT_RUNS);
    let corpus = corpus(target);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for run in 0..runs {
        let input = mutate(&corpus, &mut random);
        let outcome = std::panic::catch_unwind(|| body(&input));
        assert!(outcome.is_ok(), "{target}, run {run}: {:?}", String::from_utf8_lossy(&input));
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound.max(1)
    }
}

/// Pieces that mean something to one reader or another.
const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b":",
    b"=",
    b";",
    b",",
    b"/",
    b"?",
    b"$\0\0\x08\x80\x60",
    b"$",
    b"RTSP/1.0 200",
    b"Content-Length: ",
    b"Content-Type: application/sdp\r\n",
    b"m=video 0 RTP/AVP 96\r\n",
    b"a=control:",
    b"a=fmtp:",
    b"rtsp://",
    b"0",
    b"4294967296",
    b"sprop-sps=",
    b"\xff\xfe",
];

fn mutate(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(40)).min(input.len());
        match random.below(6) {
            0 if at < input.len() => input[at] = random.below(256) as u8,
            1 => drop(input.drain(at..end)),
            2 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len());
                let to = (from + random.below(400)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            4 if at < input.len() => input[at] ^= 1 << random.below(8),
            _ => drop(input.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
        }
    }
    input
}

#[test]
fn every_fuzz_target_has_a_corpus_and_is_built() {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let names = |under: &str| {
        let entries = std::fs::read_dir(fuzz.join(under)).expect("the folder is committed");
        let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| stem(entry.expect("an entry").path())).collect();
        names.sort();
        names
    };
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("the manifest is committed");
    let built = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""));
    let mut built: Vec<String> = built.map(str::to_owned).collect();
    built.sort();
    assert_eq!(names("fuzz_targets"), built);
    assert_eq!(names("fuzz_targets"), names("corpus"));
}
