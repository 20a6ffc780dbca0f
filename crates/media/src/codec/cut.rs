//! Detection of scene cuts: pictures that have little in common with the one before, since the scene changed, a light was
//! switched on, or the lens was covered.
//!
//! Such a picture has about as many bits as a keyframe. [`CutDetector`] finds it before it is coded, from a thousand means of
//! luma that take microseconds to compute.

use crate::picture::{Depth, Picture};

/// Columns and rows of the grid.
const GRID: (usize, usize) = (40, 30);
/// Samples per row and rows that are averaged for a cell.
const CELL: (usize, usize) = (16, 4);
/// The least mean difference between cells at a cut, in luma steps of 255.
const LEAST_DIFFERENCE: f32 = 10.0;
/// The least ratio to the last difference and to the mean one, so that neither a camera in motion nor a flickering lamp makes
/// every picture a cut.
const LEAST_RATIO: f32 = 3.0;
/// Number of pictures over which the mean difference is smoothed.
const SMOOTHED_OVER: f32 = 8.0;

/// Compares each picture with the one before.
#[derive(Debug, Default)]
pub(super) struct CutDetector {
    /// Means of the last picture's cells, row by row; empty before the first.
    last: Vec<f32>,
    /// Those of the picture before: a buffer that is reused.
    before: Vec<f32>,
    /// The last difference between two pictures, in luma steps.
    last_difference: f32,
    /// The smoothed difference.
    mean_difference: f32,
}

impl CutDetector {
    /// Whether `picture` is a cut: whether it differs from the picture of the last call much more than that one differed from
    /// those before it. The first picture is not a cut.
    pub(super) fn is_cut(&mut self, picture: &Picture) -> bool {
        means(picture, &mut self.before);
        std::mem::swap(&mut self.last, &mut self.before);
        if self.before.len() != self.last.len() || self.last.is_empty() {
            return false;
        }
        let sum: f32 = self.last.iter().zip(&self.before).map(|(now, before)| (now - before).abs()).sum();
        let difference = sum / self.last.len() as f32;
        let is_cut = difference > LEAST_DIFFERENCE.max(LEAST_RATIO * self.last_difference.max(self.mean_difference));
        self.last_difference = difference;
        self.mean_difference += (difference - self.mean_difference) / SMOOTHED_OVER;
        is_cut
    }
}

/// Mean luma of each cell of the grid.
fn means(picture: &Picture, means: &mut Vec<f32>) {
    means.clear();
    let (luma, stride) = picture.plane(0);
    let bytes = picture.format().depth.bytes();
    let (width, height) = picture.format().plane_size(0);
    let (columns, rows) = (GRID.0.min(width), GRID.1.min(height));
    for row in 0..rows {
        for column in 0..columns {
            let (left, right) = (column * width / columns, (column + 1) * width / columns);
            let (top, bottom) = (row * height / rows, (row + 1) * height / rows);
            let (across, down) = (CELL.0.min(right - left), CELL.1.min(bottom - top));
            // Samples from the cell's middle, in rows at even distances.
            let first = (left + right - across) / 2;
            let line = |index: usize| (top + (2 * index + 1) * (bottom - top) / (2 * down)) * stride + first * bytes;
            let samples = (0..down).filter_map(|index| luma.get(line(index)..line(index) + across * bytes));
            let sum: u32 = samples.map(|samples| sum_of(samples, picture.format().depth)).sum();
            means.push(sum as f32 / (across * down) as f32);
        }
    }
}

/// Sum of samples, scaled to 8 bits.
fn sum_of(samples: &[u8], depth: Depth) -> u32 {
    match depth {
        Depth::Eight => samples.iter().map(|&sample| u32::from(sample)).sum(),
        Depth::Ten => {
            let pairs = samples.chunks_exact(2);
            pairs.map(|pair| u32::from(u16::from_le_bytes([pair[0], pair[1]]) >> 2)).sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{PictureFormat, Range};
    use crate::test_pictures::{flat, pattern, small};

    /// Vertical bars, `shift` samples to the right.
    fn bars(format: PictureFormat, shift: usize) -> Picture {
        let mut picture = flat(format, [128; 3]);
        let (luma, stride) = picture.plane_mut(0).unwrap();
        for row in luma.chunks_mut(stride) {
            for (x, sample) in row.iter_mut().enumerate() {
                *sample = if ((x + shift) / 40).is_multiple_of(2) { 40 } else { 200 };
            }
        }
        picture
    }

    #[test]
    fn another_picture_is_a_cut_and_the_same_or_a_moving_one_is_not() {
        let format = small(Range::Full);
        let mut cuts = CutDetector::default();
        assert!(!cuts.is_cut(&flat(format, [100, 128, 128])), "the first");
        assert!(!cuts.is_cut(&flat(format, [100, 20, 128])), "luma alone counts");
        assert!(!cuts.is_cut(&flat(format, [108, 128, 128])), "the sun came out");
        assert!(cuts.is_cut(&flat(format, [200, 128, 128])), "a light went on");
        assert!(!cuts.is_cut(&flat(format, [200, 128, 128])), "and stays on");
        assert!(cuts.is_cut(&bars(format, 0)), "another scene");
        let mut moving = CutDetector::default();
        assert!(pattern(format, 30).iter().all(|picture| !moving.is_cut(picture)));
    }

    #[test]
    fn a_camera_that_is_being_turned_is_one_cut_at_most_and_a_flickering_lamp_few() {
        let format = small(Range::Full);
        let mut cuts = CutDetector::default();
        let found = (0..60).filter(|&index| cuts.is_cut(&bars(format, index * 11))).count();
        assert!(found <= 1, "{found}");
        assert!((0..30).all(|_| !cuts.is_cut(&bars(format, 0))), "it stopped");
        assert!(cuts.is_cut(&flat(format, [250, 128, 128])), "and is put down");
        let lamp = |index: u8| flat(format, [if index % 4 < 2 { 60 } else { 160 }, 128, 128]);
        let found = (0..60).filter(|&index| cuts.is_cut(&lamp(index))).count();
        assert!(found <= 3, "{found}");
    }

    #[test]
    fn pictures_of_ten_bits_have_cuts_too() {
        let dark = PictureFormat { depth: Depth::Ten, ..small(Range::Limited) };
        let mut light = Picture::new(dark).unwrap();
        let luma = light.plane_mut(0).unwrap().0;
        luma.chunks_exact_mut(2).for_each(|sample| sample.copy_from_slice(&800_u16.to_le_bytes()));
        let mut cuts = CutDetector::default();
        assert!(!cuts.is_cut(&Picture::new(dark).unwrap()));
        assert!(cuts.is_cut(&light));
        assert!(!cuts.is_cut(&light));
    }

    #[test]
    fn small_pictures_and_other_sizes_are_taken() {
        for (width, height) in [(16, 16), (640, 16), (16, 480), (1920, 1080), (320, 192)] {
            let format = PictureFormat::limited(width, height);
            let mut cuts = CutDetector::default();
            assert!(!cuts.is_cut(&flat(format, [16, 128, 128])));
            assert!(cuts.is_cut(&flat(format, [200, 128, 128])), "{width}x{height}");
        }
    }
}
