//! Pictures for the tests of this crate.

use std::path::PathBuf;

use crate::capture::Painter;
use crate::picture::{Colour, Matrix, Picture, PictureFormat, Range};

/// Pictures `0..count` of the moving pattern.
pub(crate) fn pattern(format: PictureFormat, count: u64) -> Vec<Picture> {
    let painter = Painter::new(format).unwrap();
    (0..count).map(|index| painter.paint(index, u128::from(index) * 33).unwrap()).collect()
}

/// A picture of one colour.
pub(crate) fn flat(format: PictureFormat, values: [u8; 3]) -> Picture {
    let mut picture = Picture::new(format).unwrap();
    for (index, value) in values.into_iter().enumerate() {
        picture.plane_mut(index).unwrap().0.fill(value);
    }
    picture
}

/// A small format of this range.
pub(crate) fn small(range: Range) -> PictureFormat {
    PictureFormat::new(320, 192, Colour::new(range, Matrix::Bt601))
}

/// A file of natural footage from beside the repository; `None`, and a line on standard error, where it is absent, so that the
/// test is skipped.
pub(crate) fn natural(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media");
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}
