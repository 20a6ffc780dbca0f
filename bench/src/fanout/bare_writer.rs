//! `hevcast-bench bare-writer`: the least that any server can do for its readers, as the limit to compare with.
//!
//! One thread takes whole pictures in from one socket and writes each to every reader with one blocking write. No
//! session, no queue, nobody who may be slow: what it costs is what the system asks for moving the bytes.
//!
//! Readers join a running stream as they do at a server: each asks for it, gets an answer to each request, and pictures from
//! then on. After such an exchange the reader's system acknowledges what comes with a delay of up to 40 ms (RFC 1122, 4.2.3.2),
//! which here is: when the next picture comes. It is then the writer's time in which the acknowledgement is taken in, and what
//! was sent is freed. A reader that has only been connected, or waits before the first picture, acknowledges at once, in
//! its own time: that costs the writer a quarter less, and it is not what a server's readers do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;

use super::source::LENGTH_BYTES;

/// What a reader asks: DESCRIBE, SETUP and PLAY.
const REQUESTS: u32 = 3;
/// The longest request.
const MAX_REQUEST_BYTES: usize = 1024;
/// The largest picture taken.
const MAX_PICTURE_BYTES: usize = 16 * 1024 * 1024;

/// `hevcast-bench bare-writer`
#[derive(Clone, Copy, Debug, Args)]
pub struct BareWriterArgs {
    /// Readers that come once the pictures' source has
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
    let (source, _) = for_source.accept()?;
    let (join, joined) = mpsc::sync_channel(args.readers);
    let joining = std::thread::spawn(move || -> Result<()> {
        for _ in 0..args.readers {
            let (reader, _) = for_readers.accept()?;
            reader.set_nodelay(true)?;
            let reader = answer(reader).context("a reader does not join")?;
            // Nobody takes it where the source has ended.
            let _ = join.send(reader);
        }
        Ok(())
    });
    write_all(source, &joined)?;
    joining.join().map_err(|_| anyhow!("the thread that lets readers in panicked"))??;
    Ok(true)
}

/// Answers the requests of a reader that joins.
fn answer(mut reader: TcpStream) -> Result<TcpStream> {
    for _ in 0..REQUESTS {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            reader.read_exact(&mut byte)?;
            ensure!(request.len() < MAX_REQUEST_BYTES, "a request without an end");
            request.extend_from_slice(&byte);
        }
        reader.write_all(b"RTSP/1.0 200 OK\r\nSession: bare\r\n\r\n")?;
    }
    Ok(reader)
}

fn write_all(mut source: impl Read, joined: &Receiver<TcpStream>) -> Result<()> {
    let (mut picture, mut readers) = (Vec::new(), Vec::new());
    while next(&mut source, &mut picture)? {
        readers.extend(joined.try_iter());
        for reader in &mut readers {
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
