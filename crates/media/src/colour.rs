//! The colour description of samples: range, matrix and transfer function; and their depth in bits.

/// The range of sample values from black to white.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Range {
    /// Luma 16..=235, chroma 16..=240 (ITU-R BT.601 and BT.709).
    Limited,
    /// Luma and chroma 0..=255 (JFIF; `yuvj420p` in FFmpeg).
    Full,
}

/// The matrix from red, green and blue to luma and chroma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// ITU-R BT.601: standard definition and JPEG.
    Bt601,
    /// ITU-R BT.709: high definition and most cameras.
    Bt709,
    /// ITU-R BT.2020 with non-constant luminance, and its primaries: ultra high definition and HDR.
    Bt2020,
}

/// The transfer function: from a sample value to light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// That of BT.709 and similar ones: standard dynamic range, shown without conversion.
    #[default]
    Standard,
    /// Perceptual quantiser (SMPTE ST 2084, ITU-R BT.2100): HDR up to 10 000 cd/m².
    Pq,
    /// Hybrid log-gamma (ARIB STD-B67, ITU-R BT.2100): HDR relative to the screen.
    Hlg,
}

/// The colour description of a picture's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Colour {
    /// Range of the sample values.
    pub range: Range,
    /// Matrix from red, green and blue.
    pub matrix: Matrix,
    /// Transfer function of the sample values.
    pub transfer: Transfer,
}

/// Bits per sample, and how a sample is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Depth {
    /// 8 bits, in one byte.
    #[default]
    Eight,
    /// 10 bits, in two bytes, the low one first.
    Ten,
}

impl Colour {
    /// A colour of standard dynamic range.
    pub const fn new(range: Range, matrix: Matrix) -> Colour {
        Colour { range, matrix, transfer: Transfer::Standard }
    }

    /// Whether it is of high dynamic range, which needs tone mapping for ordinary screens.
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
    /// The matrix of a stream that does not specify one: BT.709 from 720 lines on, BT.601 below.
    pub fn by_height(height: u32) -> Matrix {
        if height >= 720 { Matrix::Bt709 } else { Matrix::Bt601 }
    }
}

impl Depth {
    /// Bytes per sample in memory.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Depth::Eight => 1,
            Depth::Ten => 2,
        }
    }
}
