//! A picture as a PNG file: the demo's last picture, and the window's snapshots.

use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};
use hevcast_media::picture::Picture;

use crate::pipeline::record::files::overwrite_private;

/// Writes a picture as PNG: 8-bit RGB, square pixels. The file can be read by its owner only.
///
/// # Errors
/// When the picture cannot be converted, or the file cannot be written.
pub(crate) fn write_png(picture: &Picture, path: &Path) -> Result<()> {
    let picture = picture.squared()?;
    let format = picture.format();
    let file = overwrite_private(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), format.width, format.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let rgb = picture.to_rgb24()?;
    encoder.write_header()?.write_image_data(&rgb).with_context(|| format!("cannot write {}", path.display()))
}
