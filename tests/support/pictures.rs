//! Reads pictures from files and compares them. Luma only, since the eye is most sensitive to it.

use std::io::{BufRead, BufReader};
use std::path::Path;

/// The luma planes of a sequence of pictures.
pub struct Clip {
    /// The width of each picture, in pixels.
    pub width: usize,
    /// The height of each picture, in pixels.
    pub height: usize,
    /// The header line of YUV4MPEG2; empty for bare files.
    pub header: String,
    /// One plane per picture, row by row, a byte per sample.
    pub luma: Vec<Vec<u8>>,
}

impl Clip {
    /// Reads a YUV4MPEG2 file with 4:2:0 pictures.
    pub fn read_y4m(path: &Path) -> Clip {
        let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Clip::from_y4m(BufReader::new(file))
    }

    /// Reads YUV4MPEG2 until its end, which must not be within a picture.
    pub fn from_y4m(mut input: impl BufRead) -> Clip {
        let mut header = String::new();
        input.read_line(&mut header).unwrap();
        assert!(header.starts_with("YUV4MPEG2 "), "no YUV4MPEG2 header: {header:?}");
        let side = |letter| {
            let found = header.split_whitespace().find_map(|field| field.strip_prefix(letter));
            found.and_then(|digits| digits.parse::<usize>().ok()).unwrap_or_else(|| panic!("no {letter} in {header:?}"))
        };
        let (width, height) = (side('W'), side('H'));
        let chroma = 2 * width.div_ceil(2) * height.div_ceil(2);
        let mut luma = Vec::new();
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).unwrap() > 0 {
            assert!(line.starts_with(b"FRAME"), "picture {} begins with {line:?}", luma.len());
            line.clear();
            let mut planes = vec![0; width * height + chroma];
            input.read_exact(&mut planes).unwrap_or_else(|error| panic!("picture {} is cut off: {error}", luma.len()));
            planes.truncate(width * height);
            luma.push(planes);
        }
        Clip { width, height, header: header.trim_end().to_owned(), luma }
    }

    /// Reads a file of 4:2:0 pictures without headers, of the same size as `like`. It must not end within a picture.
    pub fn read_raw(path: &Path, like: &Clip) -> Clip {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (width, height) = (like.width, like.height);
        let pictures = bytes.chunks(width * height * 3 / 2);
        let luma = pictures.map(|picture| {
            assert_eq!(picture.len(), width * height * 3 / 2, "{} is not made of {width}x{height}", path.display());
            picture[..width * height].to_vec()
        });
        Clip { width, height, header: String::new(), luma: luma.collect() }
    }

    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.luma.len()
    }
}

/// The sum of squared differences of two planes.
fn squared_error(a: &[u8], b: &[u8]) -> u64 {
    assert_eq!(a.len(), b.len(), "planes of different sizes");
    let row = |(a, b): (&[u8], &[u8])| {
        let sum: u32 = a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum();
        u64::from(sum)
    };
    a.chunks(1024).zip(b.chunks(1024)).map(row).sum()
}

/// The peak signal-to-noise ratio of two planes, in dB; 99 for identical planes.
pub fn psnr(a: &[u8], b: &[u8]) -> f64 {
    match squared_error(a, b) {
        0 => 99.0,
        error => 10.0 * (255.0 * 255.0 * a.len() as f64 / error as f64).log10(),
    }
}

/// The mean of a plane's samples.
pub fn mean(luma: &[u8]) -> f64 {
    luma.iter().map(|&sample| f64::from(sample)).sum::<f64>() / luma.len() as f64
}

/// Where received pictures are in the source that was sent.
pub struct Match {
    /// The index of the source picture that the first received picture shows.
    pub first: usize,
    /// How many source pictures follow the last received one.
    pub missing_at_end: usize,
    /// The lowest PSNR of a received picture and its source picture, in dB.
    pub least_db: f64,
}

/// How many pictures are compared to find the first one; more than one, since adjacent pictures may be the same.
const COMPARED: usize = 12;

/// Fails unless `received` is a run of `source` without gaps that begins at index `latest` or before, in which every
/// picture has a PSNR of at least `least_db`.
pub fn assert_run(received: &Clip, source: &Clip, latest: usize, least_db: f64) -> Match {
    assert_eq!((received.width, received.height), (source.width, source.height), "another size arrived");
    assert!(received.len() >= COMPARED, "only {} of {} pictures arrived", received.len(), source.len());
    let error_at = |first: usize| -> u64 {
        let own = source.luma.iter().skip(first);
        received.luma.iter().take(COMPARED).zip(own).map(|(a, b)| squared_error(a, b)).sum()
    };
    let last_start = latest.min(source.len() - COMPARED);
    let first = (0..=last_start).min_by_key(|&first| error_at(first)).unwrap();
    let expected = source.len() - first;
    assert!(
        received.len() <= expected,
        "{} pictures arrived where {expected} were sent from {first} on",
        received.len()
    );
    let pairs = received.luma.iter().zip(&source.luma[first..]);
    let values: Vec<f64> = pairs.map(|(a, b)| psnr(a, b)).collect();
    let (worst, least) = values.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    assert!(
        *least >= least_db,
        "picture {worst} of {} is {least:.1} dB like source picture {}; around it: {:.1?}",
        received.len(),
        first + worst,
        &values[worst.saturating_sub(3)..(worst + 4).min(values.len())],
    );
    Match { first, missing_at_end: expected - received.len(), least_db: *least }
}
