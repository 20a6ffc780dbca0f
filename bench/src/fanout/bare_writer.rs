//! `hevcast-bench bare-writer`: the least that any server can do for its readers, as the limit to compare with.
//!
//! One thread takes whole pictures in from one socket and writes each to every reader with one blocking write. No
//! session, no queue, nobody who may be slow: what it costs is what the system asks for moving the bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::source::LENGTH_BYTES;

/// The largest picture taken.
const MAX_PICTURE_BYTES: usize = 16 * 1024 * 1024;

/// `hevcast-bench bare-writer`
#[derive(Clone, Copy, Debug, Args)]
pub struct BareWriterArgs {
    /// Readers to wait for before the pictures' source is let in
    #[arg(long)]
    readers: usize,
}

/// Serves until the source ends. Says where readers and source are to connect.
///
/// # Errors
/// When a socket fails.
pub fn run(args: BareWriterArgs) -> Result<bool> {
    // Whoever started this holds the other end: when that is gone, so is the reason to run.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
    let for_readers = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let for_source = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("readers at {}", for_readers.local_addr()?);
    println!("source at {}", for_source.local_addr()?);
    let mut readers = Vec::with_capacity(args.readers);
    while readers.len() < args.readers {
        let (reader, _) = for_readers.accept()?;
        reader.set_nodelay(true)?;
        readers.push(reader);
    }
    let (source, _) = for_source.accept()?;
    write_all(source, &mut readers)?;
    Ok(true)
}

fn write_all(mut source: impl Read, readers: &mut [TcpStream]) -> Result<()> {
    let mut picture = Vec::new();
    while next(&mut source, &mut picture)? {
        for reader in &mut *readers {
            reader.write_all(&picture).context("a reader has gone")?;
        }
    }
    Ok(())
}

/// Reads the next picture; false at the end.
fn next(source: &mut impl Read, picture: &mut Vec<u8>) -> Result<bool> {
    let mut len = [0; LENGTH_BYTES];
    match source.read_exact(&mut len) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(error).context("the source broke"),
    }
    let len = u32::from_be_bytes(len) as usize;
    ensure!(len <= MAX_PICTURE_BYTES, "a picture of {len} bytes");
    picture.resize(len, 0);
    source.read_exact(picture).context("the source ended within a picture")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_apart_by_their_lengths() {
        let (mut source, mut picture) = (&b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01d"[..], Vec::new());
        for expected in ["abc", "", "d"] {
            assert!(next(&mut source, &mut picture).unwrap());
            assert_eq!(picture, expected.as_bytes());
        }
        assert!(!next(&mut source, &mut picture).unwrap());
        assert!(next(&mut &b"\0\0\0\x03ab"[..], &mut picture).is_err());
        assert!(next(&mut &b"\xff\0\0\0"[..], &mut picture).is_err());
    }
}
