//! Sinks of received pictures other than a window: one shows nothing, one keeps the newest picture, one writes Y4M.

use parking_lot::Mutex;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use hevcast_media::FrameRate;
use hevcast_media::picture::Picture;
use hevcast_media::y4m;

use crate::pipeline::receive::Sink;
use crate::pipeline::record::files::overwrite_private;

/// Frame rate in the Y4M header. Pictures are written as they arrive; Y4M has no place for their true times.
const Y4M_RATE: FrameRate = FrameRate::whole(30);

/// Shows nothing: for a receiver that only counts.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    fn takes_all(&self) -> bool {
        false
    }

    fn present(&mut self, _: &Picture) -> Result<Option<Instant>> {
        Ok(Some(Instant::now()))
    }
}

/// Keeps the newest picture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Newest {
    picture: Arc<Mutex<Option<Picture>>>,
}

impl Newest {
    /// The newest picture; `None` before the first.
    pub(crate) fn get(&self) -> Option<Picture> {
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

/// Where received pictures are written as YUV4MPEG2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Y4mOutput {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl FromStr for Y4mOutput {
    type Err = String;

    /// `y4m:-`, or a file name that ends in `.y4m`.
    fn from_str(text: &str) -> std::result::Result<Y4mOutput, String> {
        match text {
            "y4m:-" => Ok(Y4mOutput::Stdout),
            file if file.ends_with(".y4m") => Ok(Y4mOutput::File(file.into())),
            _ => Err("write y4m:- or a file name that ends in .y4m".to_owned()),
        }
    }
}

/// Writes every picture to a [`Y4mOutput`].
pub(crate) struct Y4mSink {
    output: Option<Box<dyn Write + Send>>,
    writer: Option<y4m::Writer<Box<dyn Write + Send>>>,
}

impl Y4mSink {
    /// Opens the output. The header is written with the first picture, whose size it states.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(crate) fn open(output: &Y4mOutput) -> Result<Y4mSink> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_standard_output_or_a_file_that_ends_in_y4m() {
        assert_eq!("y4m:-".parse(), Ok(Y4mOutput::Stdout));
        assert_eq!("a/b.y4m".parse(), Ok(Y4mOutput::File("a/b.y4m".into())));
        assert!("x.mp4".parse::<Y4mOutput>().unwrap_err().contains("y4m:-"));
    }
}
