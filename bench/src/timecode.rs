//! A picture's number, written into its pixels: the one label that survives coding, any relay and any player.
//!
//! The number is 32 bits and the check on them 8 more, each bit a black or white block of [`BLOCK`] × [`BLOCK`] luma
//! samples with colourless chroma, in rows from the top left corner, most significant bit first. A block is as large as
//! the encoder's own smallest coding units and is read from its middle, away from its neighbours' ringing, so that the
//! number can be read at any QP people would watch. The check makes black, white and grey pictures unreadable rather
//! than number zero.

use hevcast_media::picture::{Picture, PictureError, PictureFormat};

/// Side of a block, in luma samples.
pub const BLOCK: usize = 16;
/// Samples at each edge of a block that are not looked at.
const MARGIN: usize = 4;
/// Bits of the number.
const NUMBER_BITS: usize = u32::BITS as usize;
/// Bits of the check.
const CHECK_BITS: usize = u8::BITS as usize;
/// Blocks of a time code.
const BLOCKS: usize = NUMBER_BITS + CHECK_BITS;
/// Luma of a zero: black in limited range, and dark enough in full range.
const BLACK: u8 = 16;
/// Luma of a one: white in limited range, and light enough in full range.
const WHITE: u8 = 235;
/// Luma from which on a block counts as white.
const THRESHOLD: usize = (BLACK as usize + WHITE as usize) / 2;
/// Chroma without colour.
const GREY: u8 = 128;

/// Whether pictures of this format have room for a time code.
pub fn fits(format: PictureFormat) -> bool {
    let (width, height) = format.plane_size(0);
    width >= BLOCK && BLOCKS.div_ceil(width / BLOCK) * BLOCK <= height
}

/// Writes `number` into the top of `picture`. A picture without room stays as it is: see [`fits`].
///
/// # Errors
/// When the picture shares its samples with another and there is no memory for a copy.
pub fn write(picture: &mut Picture, number: u32) -> Result<(), PictureError> {
    if !fits(picture.format()) {
        return Ok(());
    }
    let width = picture.format().plane_size(0).0;
    let word = word(number);
    for (plane, shrink) in [(0, 1), (1, 2), (2, 2)] {
        let (samples, stride) = picture.plane_mut(plane)?;
        let side = BLOCK / shrink;
        for block in 0..BLOCKS {
            let value = match plane {
                0 if bit(word, block) => WHITE,
                0 => BLACK,
                _ => GREY,
            };
            let (left, top) = corner(block, width);
            for row in samples.chunks_mut(stride).skip(top / shrink).take(side) {
                row[left / shrink..][..side].fill(value);
            }
        }
    }
    Ok(())
}

/// Reads the number of `picture`; `None` when there is none to be read.
pub fn read(picture: &Picture) -> Option<u32> {
    if !fits(picture.format()) {
        return None;
    }
    let width = picture.format().plane_size(0).0;
    let (samples, stride) = picture.plane(0);
    let inner = BLOCK - 2 * MARGIN;
    decode((0..BLOCKS).map(|block| {
        let (left, top) = corner(block, width);
        let rows = samples.chunks(stride).skip(top + MARGIN).take(inner);
        let sum: usize = rows.flat_map(|row| &row[left + MARGIN..][..inner]).map(|&sample| usize::from(sample)).sum();
        sum / (inner * inner) >= THRESHOLD
    }))
}

/// The number that blocks spell, given as white or not in their order; `None` when they spell none.
pub fn decode(blocks: impl Iterator<Item = bool>) -> Option<u32> {
    let (mut read, mut count) = (0, 0);
    for is_white in blocks.take(BLOCKS) {
        read = read << 1 | u64::from(is_white);
        count += 1;
    }
    // The upper 32 of 40 bits.
    let number = (read >> CHECK_BITS) as u32;
    (count == BLOCKS && word(number) == read).then_some(number)
}

/// The middles of the blocks in their order, as column and row of a picture of this width, in samples.
pub fn middles(width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..BLOCKS).map(move |block| corner(block, width)).map(|(left, top)| (left + BLOCK / 2, top + BLOCK / 2))
}

/// Left and top sample of a block in a picture of this width.
fn corner(block: usize, width: usize) -> (usize, usize) {
    let per_row = width / BLOCK;
    (block % per_row * BLOCK, block / per_row * BLOCK)
}

/// The number with its check behind it.
fn word(number: u32) -> u64 {
    u64::from(number) << CHECK_BITS | u64::from(check(number))
}

/// Bit `block` of a word, the most significant first.
fn bit(word: u64, block: usize) -> bool {
    word >> (BLOCKS - 1 - block) & 1 == 1
}

/// A cyclic redundancy check with a start value that makes neither all zeros nor all ones a code.
fn check(number: u32) -> u8 {
    const POLYNOMIAL: u8 = 0x07;
    const START: u8 = 0xa5;
    let mut check = START;
    for byte in number.to_be_bytes() {
        check ^= byte;
        for _ in 0..u8::BITS {
            let carry = check & 0x80 != 0;
            check <<= 1;
            if carry {
                check ^= POLYNOMIAL;
            }
        }
    }
    check
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hevcast_media::FrameRate;
    use hevcast_media::codec::{Decoder, Encoder, EncoderChoice, EncoderOptions, EncoderSettings, Qp, RateControl};
    use hevcast_media::picture::{Colour, Matrix, Range};

    use super::*;

    fn format(width: u32, height: u32, range: Range) -> PictureFormat {
        PictureFormat::new(width, height, Colour::new(range, Matrix::Bt601))
    }

    /// A picture that is hard on an encoder: noise that changes with `seed`.
    fn noise(format: PictureFormat, seed: u32) -> Picture {
        let mut picture = Picture::new(format).unwrap();
        let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
        for plane in 0..3 {
            for sample in picture.plane_mut(plane).unwrap().0 {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                *sample = 96 + (state >> 24) as u8 / 4;
            }
        }
        picture
    }

    const NUMBERS: [u32; 7] = [0, 1, 2, 599, 0x5555_5555, 0xaaaa_aaaa, u32::MAX];

    #[test]
    fn what_is_written_is_read() {
        for (width, height) in [(640, 480), (160, 96), (16, 640), (1920, 1080)] {
            let mut picture = noise(format(width, height, Range::Limited), 7);
            for number in NUMBERS {
                write(&mut picture, number).unwrap();
                assert_eq!(read(&picture), Some(number), "{width}x{height}");
            }
        }
    }

    #[test]
    fn pictures_without_a_code_have_no_number() {
        for luma in [0, 16, 127, 235, 255] {
            let mut picture = Picture::new(format(640, 480, Range::Full)).unwrap();
            picture.plane_mut(0).unwrap().0.fill(luma);
            assert_eq!(read(&picture), None, "{luma}");
        }
        let mut small = noise(format(64, 64, Range::Full), 1);
        let before = small.clone();
        write(&mut small, 1).unwrap();
        assert_eq!(small.luma_psnr(&before), f64::INFINITY);
        assert_eq!((fits(small.format()), read(&small)), (false, None));
    }

    #[test]
    fn one_wrong_block_is_noticed() {
        for number in NUMBERS {
            for block in 0..BLOCKS {
                let mut picture = noise(format(640, 480, Range::Limited), 3);
                write(&mut picture, number).unwrap();
                let flipped = if bit(word(number), block) { BLACK } else { WHITE };
                let (samples, stride) = picture.plane_mut(0).unwrap();
                for row in samples.chunks_mut(stride).take(BLOCK) {
                    row[block * BLOCK..][..BLOCK].fill(flipped);
                }
                assert_eq!(read(&picture), None);
            }
        }
    }

    #[test]
    fn survives_coding_at_a_coarse_qp() {
        const COARSE: [u8; 2] = [30, 40];
        for (range, qp) in [Range::Limited, Range::Full].into_iter().flat_map(|r| COARSE.map(|qp| (r, qp))) {
            let format = format(320, 192, range);
            let settings = EncoderSettings {
                format,
                frame_rate: FrameRate::whole(30),
                options: EncoderOptions {
                    choice: EncoderChoice::Named("libx265".to_owned()),
                    rate: RateControl::Qp(Qp::clamped(qp)),
                    keyframe_interval: Some(Duration::from_secs(2)),
                    ..EncoderOptions::default()
                },
            };
            let (mut encoder, _) = Encoder::open(&settings).unwrap();
            let mut decoder = Decoder::new(hevcast_wire::CodecId::H265).unwrap();
            let mut decoded = Vec::new();
            for number in (0..40).chain(NUMBERS) {
                let mut picture = noise(format, number);
                write(&mut picture, number).unwrap();
                let coded = encoder.encode(&picture, false).unwrap();
                decoder.decode(&coded, 0, &mut decoded).unwrap();
                assert_eq!(read(&decoded.pop().unwrap().picture), Some(number), "QP {qp}");
            }
        }
    }
}
