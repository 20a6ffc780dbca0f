//! What the samples of a picture mean: range, matrix, light; and how many bits they have.

/// Which sample values mean black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Range {
    /// Luma 16..=235, chroma 16..=240 (ITU-R BT.601 and BT.709).
    Limited,
    /// Luma and chroma 0..=255 (JFIF; `yuvj420p` in FFmpeg).
    Full,
}

/// Which matrix turns red, green and blue into luma and chroma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// ITU-R BT.601: standard definition and JPEG.
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
    /// ITU-R BT.2020 with non-constant luminance, and its primaries: ultra high definition and HDR.
    Bt2020,
}

/// What light a sample value stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// As BT.709 and its relatives: what screens show without more ado.
    #[default]
    Standard,
    /// Perceptual quantiser (SMPTE ST 2084, ITU-R BT.2100): HDR up to 10 000 cd/m².
    Pq,
    /// Hybrid log-gamma (ARIB STD-B67, ITU-R BT.2100): HDR relative to the screen.
    Hlg,
}

/// What the samples of a picture mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Colour {
    /// Range of the sample values.
    pub range: Range,
    /// Conversion matrix.
    pub matrix: Matrix,
    /// From sample value to light.
    pub transfer: Transfer,
}

/// Bits of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Depth {
    /// 8, one byte each.
    #[default]
    Eight,
    /// 10, two bytes each, the low one first.
    Ten,
}

impl Colour {
    /// Samples of standard range of light.
    pub const fn new(range: Range, matrix: Matrix) -> Colour {
        Colour { range, matrix, transfer: Transfer::Standard }
    }

    /// Whether it is high dynamic range, which screens without it show pale.
    pub fn is_hdr(self) -> bool {
        self.transfer != Transfer::Standard
    }
}

impl std::fmt::Display for Colour {
    /// For people: `HDR (PQ, BT.2020)`, or the matrix alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let matrix = match self.matrix {
            Matrix::Bt601 => "BT.601",
            Matrix::Bt709 => "BT.709",
            Matrix::Bt2020 => "BT.2020",
        };
        match self.transfer {
            Transfer::Standard => f.write_str(matrix),
            Transfer::Pq => write!(f, "HDR (PQ, {matrix})"),
            Transfer::Hlg => write!(f, "HDR (HLG, {matrix})"),
        }
    }
}

impl Matrix {
    /// What is meant where nothing is said: BT.709 from 720 lines on, BT.601 below.
    pub fn by_height(height: u32) -> Matrix {
        if height >= 720 { Matrix::Bt709 } else { Matrix::Bt601 }
    }
}

impl Depth {
    /// Bytes of a sample.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Depth::Eight => 1,
            Depth::Ten => 2,
        }
    }
}
