//! A screen that can be looked at without asking: an X server of the benchmark's own, and its pixels in a file.
//!
//! `Xvfb -fbdir` keeps its framebuffer in a file that it maps: whatever a program draws is in that file at once, as it is
//! before the eye of somebody who sits before a screen. It is read by plain reads at an offset, which see what the mapping
//! holds and cost the X server nothing. The file begins as a window dump does (XWD version 7, `XWDFile.h` of the X
//! protocol's headers): 25 numbers of 32 bits, the most significant byte first, a name, and a table of colours.

mod code;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub use code::Watch;

use crate::process::{Process, Stdout};

/// How long the X server may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);
/// Memory that has a name, on Linux: a framebuffer in it is never written to a disk.
const SHARED_MEMORY: &str = "/dev/shm";
/// Bytes of a pixel.
const PIXEL: usize = 4;

/// A running X server. Dropping it ends it and removes its file.
#[derive(Debug)]
pub struct Screen {
    // Before its folder, which goes when it has ended.
    _xvfb: Process,
    display: String,
    pixels: File,
    layout: Layout,
    folder: Folder,
}

/// Where the pixels are in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Width and height in pixels.
    size: (usize, usize),
    /// The first pixel's first byte.
    offset: u64,
    /// Bytes from one row to the next.
    stride: usize,
    /// Which byte of a pixel is its green, the colour nearest to brightness.
    green: usize,
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let shared = Path::new(SHARED_MEMORY);
        let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("hevcast-bench-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays, and there is nobody to tell.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Screen {
    /// Starts one of this size in pixels.
    ///
    /// # Errors
    /// When there is no Xvfb, or it keeps its pixels in a way that is not known here.
    pub fn start(size: (u32, u32)) -> Result<Screen> {
        let folder = Folder::new()?;
        let mut command = Command::new("Xvfb");
        command
            .args(["-displayfd", "1", "-screen", "0", &format!("{}x{}x24", size.0, size.1), "-nolisten", "tcp"])
            .args(["-nocursor", "-fbdir"])
            .arg(&folder.0);
        let xvfb = Process::start("Xvfb", command, Stdout::Lines)?;
        let number: u32 = xvfb.wait_for_line(PATIENCE, |line| line.parse().ok())?;
        let pixels = File::open(folder.0.join("Xvfb_screen0")).context("Xvfb has made no framebuffer")?;
        let mut header = [0; Layout::HEADER];
        pixels.read_exact_at(&mut header, 0).context("Xvfb's framebuffer")?;
        let layout = Layout::parse(&header)?;
        Ok(Screen { _xvfb: xvfb, display: format!(":{number}"), pixels, layout, folder })
    }

    /// Lets a program draw here, and forget afterwards what it would remember of its windows.
    pub fn host(&self, command: &mut Command) {
        command.env("DISPLAY", &self.display).env_remove("WAYLAND_DISPLAY").env("XDG_CONFIG_HOME", &self.folder.0);
    }

    /// Reads the bytes of pixels of a row, from column `left` on.
    fn read(&self, left: usize, row: usize, bytes: &mut [u8]) -> Result<()> {
        let offset = self.layout.offset + (row * self.layout.stride + left * PIXEL) as u64;
        self.pixels.read_exact_at(bytes, offset).context("Xvfb's framebuffer cannot be read")
    }
}

impl Layout {
    /// Bytes of the file's beginning that tell all of this.
    const HEADER: usize = 100;

    fn parse(header: &[u8; Layout::HEADER]) -> Result<Layout> {
        // Places of the numbers, in the order of `XWDFileHeader`.
        const HEADER_SIZE: usize = 0;
        const WIDTH: usize = 4;
        const HEIGHT: usize = 5;
        const BYTE_ORDER: usize = 7;
        const BITS_PER_PIXEL: usize = 11;
        const BYTES_PER_LINE: usize = 12;
        const GREEN_MASK: usize = 15;
        const COLOURS: usize = 19;
        /// Bytes of an entry in the table of colours.
        const COLOUR: u64 = 12;

        let numbers = header.as_chunks::<4>().0;
        let number = |place: usize| u32::from_be_bytes(numbers[place]);
        let is_known = number(BITS_PER_PIXEL) == 8 * PIXEL as u32 && number(GREEN_MASK) == 0xff00;
        ensure!(is_known, "Xvfb's framebuffer has other pixels than 32 bits with green in the second byte");
        Ok(Layout {
            size: (number(WIDTH) as usize, number(HEIGHT) as usize),
            offset: u64::from(number(HEADER_SIZE)) + COLOUR * u64::from(number(COLOURS)),
            stride: number(BYTES_PER_LINE) as usize,
            green: if number(BYTE_ORDER) == 0 { 1 } else { 2 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framebuffers_header_is_understood() {
        let mut header = [0; Layout::HEADER];
        let numbers: [u32; 25] = [
            160, 7, 2, 24, 640, 480, 0, 0, 32, 0, 32, 32, 2560, 4, 0xff_0000, 0xff00, 0xff, 8, 256, 256, 640, 480, 0,
            0, 0,
        ];
        for (bytes, number) in header.as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
            *bytes = number.to_be_bytes();
        }
        let expected = Layout { size: (640, 480), offset: 160 + 256 * 12, stride: 2560, green: 1 };
        assert_eq!(Layout::parse(&header).unwrap(), expected);
        header[4 * 11 + 3] = 16;
        assert!(Layout::parse(&header).is_err(), "16 bits a pixel");
    }
}
