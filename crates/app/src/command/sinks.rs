//! Where the terminal mode presents pictures: nowhere, in a Y4M stream, or as the last one seen.

use parking_lot::Mutex;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use hevcast_media::FrameRate;
use hevcast_media::picture::Picture;
use hevcast_media::y4m;

use crate::pipeline::receive::Sink;
use crate::pipeline::record::files::overwrite_private;
use crate::units::Y4mOutput;

/// The rate that a Y4M header states: pictures are written as they come, and their true times are not known to Y4M.
const Y4M_RATE: FrameRate = FrameRate::whole(30);

/// Presents to nobody: for the figures alone.
#[derive(Debug)]
pub struct Nowhere;

impl Sink for Nowhere {
    fn takes_all(&self) -> bool {
        false
    }

    fn present(&mut self, _: &Picture) -> Result<Option<Instant>> {
        Ok(Some(Instant::now()))
    }
}

/// Keeps the newest picture for whoever asks.
#[derive(Clone, Debug, Default)]
pub struct Newest {
    picture: Arc<Mutex<Option<Picture>>>,
}

impl Newest {
    /// The newest picture so far.
    pub fn get(&self) -> Option<Picture> {
        self.picture.lock().clone()
    }
}

impl Sink for Newest {
    fn takes_all(&self) -> bool {
        false
    }

    fn present(&mut self, picture: &Picture) -> Result<Option<Instant>> {
        *self.picture.lock() = Some(picture.clone());
        Ok(Some(Instant::now()))
    }
}

/// Writes every picture.
pub struct Y4mSink {
    output: Option<Box<dyn Write + Send>>,
    writer: Option<y4m::Writer<Box<dyn Write + Send>>>,
}

impl Y4mSink {
    /// Opens the output; its header waits for the first picture.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn open(output: &Y4mOutput) -> Result<Y4mSink> {
        let output: Box<dyn Write + Send> = match output {
            Y4mOutput::Stdout => Box::new(std::io::stdout()),
            Y4mOutput::File(path) => {
                Box::new(overwrite_private(path).with_context(|| format!("cannot write {}", path.display()))?)
            }
        };
        Ok(Y4mSink { output: Some(output), writer: None })
    }
}

impl Sink for Y4mSink {
    fn takes_all(&self) -> bool {
        true
    }

    fn present(&mut self, picture: &Picture) -> Result<Option<Instant>> {
        if let Some(output) = self.output.take() {
            self.writer = Some(y4m::Writer::new(output, picture.format(), Y4M_RATE).context("cannot write pictures")?);
        }
        match &mut self.writer {
            Some(writer) => writer.write(picture).context("cannot write pictures").map(|()| Some(Instant::now())),
            None => Ok(None),
        }
    }
}

/// Writes a picture as PNG.
///
/// # Errors
/// When it cannot be converted or the file cannot be written.
pub fn write_png(picture: &Picture, path: &Path) -> Result<()> {
    let picture = picture.squared()?;
    let format = picture.format();
    let file = overwrite_private(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), format.width, format.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let rgb = picture.to_rgb24()?;
    encoder.write_header()?.write_image_data(&rgb).with_context(|| format!("cannot write {}", path.display()))
}
