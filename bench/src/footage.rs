//! Natural footage, decoded into memory before anything is measured, and numbered as it is handed out.
//!
//! The `ffmpeg` program decodes (it is among what `make setup` installs for the tests): hevcast's own file source keeps
//! to the file's clock, which would take as long as the footage lasts.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use hevcast_media::picture::{Picture, PictureFormat};
use hevcast_media::y4m;

use crate::timecode;

/// Memory that footage may take; longer footage is cut and looped.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// Pictures in memory, played in a loop.
pub struct Footage {
    pictures: Vec<Picture>,
    format: PictureFormat,
}

/// The footage that the project's figures are taken on: beside the repository, in the folder shared with it.
pub fn default_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media/webcam-640x480-30fps.mkv")
}

impl Footage {
    /// Decodes `path`, scaled to `size`, at most `count` pictures of it.
    ///
    /// # Errors
    /// When the file or `ffmpeg` is missing, or the pictures are too small for a time code.
    pub fn load(path: &Path, size: (u32, u32), count: u64) -> Result<Footage> {
        ensure!(path.is_file(), "{} is not there; name footage with --input FILE", path.display());
        let bytes_each = u64::from(size.0) * u64::from(size.1) * 3 / 2;
        let count = count.min(MAX_BYTES / bytes_each.max(1)).max(1);
        let mut ffmpeg = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(path)
            .args(["-an", "-frames:v", &count.to_string(), "-vf", &format!("scale={}:{}", size.0, size.1)])
            // Full range, as webcams give it; limited footage is widened.
            .args(["-pix_fmt", "yuvj420p", "-strict", "-1", "-f", "yuv4mpegpipe", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start ffmpeg, which decodes the footage; install it with `make setup`")?;
        let output = ffmpeg.stdout.take().context("ffmpeg has no output")?;
        let read = read_all(output);
        let mut words = String::new();
        if let Some(mut errors) = ffmpeg.stderr.take() {
            // Whatever is not text or cannot be read is not worth a failure of its own.
            let _ = errors.read_to_string(&mut words);
        }
        let status = ffmpeg.wait().context("ffmpeg cannot be waited for")?;
        let said = words.lines().next_back().unwrap_or("it does not say why").trim();
        if !status.success() {
            bail!("ffmpeg cannot decode {}: {said}", path.display());
        }
        let footage = read.with_context(|| format!("{} gives no pictures ({said})", path.display()))?;
        let PictureFormat { width, height, .. } = footage.format;
        ensure!(timecode::fits(footage.format), "{width}x{height} has no room for a time code; use a larger --size");
        Ok(footage)
    }

    /// Size and colour of all its pictures.
    pub fn format(&self) -> PictureFormat {
        self.format
    }

    /// Pictures in memory.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Picture `number` of the endless loop, with that number in its pixels.
    ///
    /// # Errors
    /// Without memory for a copy.
    pub fn numbered(&self, number: u32) -> Result<Picture> {
        let mut picture = self.pictures[number as usize % self.pictures.len()].clone();
        timecode::write(&mut picture, number)?;
        Ok(picture)
    }
}

fn read_all(output: impl Read) -> Result<Footage> {
    let mut reader = y4m::Reader::new(output)?;
    let mut pictures = Vec::new();
    while let Some(picture) = reader.read()? {
        pictures.push(picture);
    }
    ensure!(!pictures.is_empty(), "the file holds no video");
    Ok(Footage { pictures, format: reader.format() })
}

#[cfg(test)]
impl Footage {
    /// Black pictures.
    pub fn black(format: PictureFormat, count: usize) -> Footage {
        Footage { pictures: (0..count).map(|_| Picture::new(format).unwrap()).collect(), format }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hevcast_media::FrameRate;

    #[test]
    fn pictures_loop_and_carry_their_numbers() {
        let format = PictureFormat::limited(640, 64);
        let mut writer = y4m::Writer::new(Vec::new(), format, FrameRate::whole(30)).unwrap();
        for _ in 0..3 {
            writer.write(&Picture::new(format).unwrap()).unwrap();
        }
        let footage = read_all(writer.into_inner().as_slice()).unwrap();
        assert_eq!((footage.len(), footage.format()), (3, format));
        for number in [0, 2, 3, 1000] {
            assert_eq!(timecode::read(&footage.numbered(number).unwrap()), Some(number));
        }
        assert_eq!(timecode::read(&footage.pictures[0]), None, "the original stays clean");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Footage::load(Path::new("/no/such.mkv"), (640, 480), 1).err().unwrap().to_string();
        assert!(error.contains("/no/such.mkv") && error.contains("--input"), "{error}");
    }
}
