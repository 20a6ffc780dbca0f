//! A route for pictures: any program that sends, our server, any program that receives, by pipe or by screen.
//!
//! Whatever takes Y4M on its standard input and pushes a stream can be at one end; at the other, what gives Y4M on its
//! standard output, or what shows the pictures on a [`Screen`]. Programs other than ours do not wait for a stream, so the
//! receiver starts when the stream can be had, while pictures are already being sent.

use std::process::{ChildStdout, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hevcast_net::Target;

use crate::chain::widen;
use crate::chain_io::{self, Limit, ObservedPicture, Written};
use crate::footage::Footage;
use crate::join::viewer::wait_for;
use crate::process::{Line, Process, Stdout};
use crate::screen::{Screen, Watch};
use crate::settings::Settings;

/// How long a sender may take until its stream can be had, and a receiver until its first picture.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pictures are written for so long after the last one that counts: some programs give a picture only when the next comes.
const TAIL: Duration = Duration::from_secs(1);

/// Both ends.
pub struct Route<'a> {
    /// Address of the stream at the server.
    pub url: &'a str,
    /// Takes Y4M.
    pub sender: Command,
    /// Gives pictures.
    pub receiver: Command,
    /// Where it gives them.
    pub view: View<'a>,
}

/// Where pictures come out.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// As Y4M, on the receiver's standard output.
    Pipe,
    /// In the screen's corner, unscaled.
    Corner(&'a Screen),
    /// Somewhere on the screen.
    Anywhere(&'a Screen),
}

/// What came of it.
#[derive(Debug)]
pub struct Passed {
    /// When each picture was written.
    pub written: Written,
    /// What came out, and when.
    pub seen: Vec<ObservedPicture>,
    /// Number of the first picture that came out.
    pub first: u32,
    /// What the sender said.
    pub sender_lines: Vec<Line>,
    /// What the receiver said.
    pub lines: Vec<Line>,
}

/// Tells the thread that looks at a screen to stop, however this ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

enum News {
    First(u32),
    Ended,
}

impl Route<'_> {
    /// Sends pictures until they have come out for `time`, counted from the first one, and a little longer.
    ///
    /// # Errors
    /// When an end fails, or no picture comes through.
    pub fn pass(self, footage: &Footage, settings: &Settings, time: Duration) -> Result<Passed> {
        let Route { url, sender, receiver, view } = self;
        let target = Target::parse(url)?;
        let (limit, stop) = (Limit::none(), AtomicBool::new(false));
        // At most two words: the first picture, and the end of the reading thread.
        let (news, came) = mpsc::sync_channel(2);
        std::thread::scope(|scope| {
            // On the ways out with an error the processes are dropped, so that the threads find their pipes broken.
            let stopping = Stop(&stop);
            let mut sender = Process::start("the sender", sender, Stdout::Lines)?;
            let input = sender.take_stdin()?;
            widen(&input);
            let writing = scope.spawn(|| chain_io::write(footage, settings.fps, input, &limit));
            wait_for(&target, PATIENCE).with_context(|| sender.last_words())?;
            let kind = if matches!(view, View::Pipe) { Stdout::Data } else { Stdout::Lines };
            let mut receiver = Process::start("the receiver", receiver, kind)?;
            let output = matches!(view, View::Pipe).then(|| receiver.take_stdout()).transpose()?;
            let (stop, width) = (&stop, settings.size.0);
            let reading = scope.spawn(move || {
                let seen = look(view, output, width, stop, &news);
                let _ = news.try_send(News::Ended);
                seen
            });
            let first = match came.recv_timeout(PATIENCE) {
                Ok(News::First(first)) => first,
                Ok(News::Ended) => bail!("the receiver ended before a picture came; {}", receiver.last_words()),
                Err(_) => bail!("no picture within {} s; {}", PATIENCE.as_secs(), receiver.last_words()),
            };
            limit.set(u64::from(first) + u64::from(settings.pictures(time + TAIL)));
            let panicked = |_| anyhow!("a thread of the benchmark panicked");
            let written = writing.join().map_err(panicked)?.map_err(|e| e.context(sender.last_words()))?;
            drop(stopping);
            let lines = receiver.stop_and_read()?;
            let sender_lines = sender.lines();
            let seen = reading.join().map_err(panicked)??;
            Ok(Passed { written, seen, first, sender_lines, lines })
        })
    }
}

/// Looks at what comes out until it ends or `stop` is set.
fn look(
    view: View<'_>,
    output: Option<ChildStdout>,
    width: u32,
    stop: &AtomicBool,
    news: &SyncSender<News>,
) -> Result<Vec<ObservedPicture>> {
    let on_first = |first| drop(news.try_send(News::First(first)));
    let mut watch = match (view, output) {
        (View::Corner(screen), _) => Watch::corner(screen, width),
        (View::Anywhere(screen), _) => Watch::anywhere(screen, width),
        (View::Pipe, None) => bail!("the receiver has no output"),
        (View::Pipe, Some(output)) => {
            widen(&output);
            // Programs that are told to end do so within a picture.
            return chain_io::read_while_whole(output, on_first);
        }
    };
    watch.watch(stop, on_first)
}
