//! What a reader's task is told, and what can be seen of its queue.

/// What a reader's queue has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderMetrics {
    /// Packets waiting now.
    pub depth: u64,
    /// Packets given up so far.
    pub dropped_packets: u64,
    /// How often that happened.
    pub jumps: u64,
    /// Pictures that a recording will not get, by their markers: given up, or before a keyframe.
    pub missed_pictures: u64,
}

/// Whether a reader's task may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It may, and should: there is something to write.
    Mine,
    /// There is nothing to write; it will be woken.
    Nothing,
    /// Another writes just now; it will be woken.
    Busy,
    /// There is nothing to write, after a time in which it took nothing at all: now a keyframe is worth asking for.
    Resumes,
    /// The stream is over, and everything has been taken.
    Over,
    /// There was no room for what was left of a frame, so that nothing can follow it.
    NoRoom,
}
