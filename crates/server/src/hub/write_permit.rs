//! What the task of a reader's connection learns of its queue.

/// Counts of one reader's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderMetrics {
    /// Packets that wait now.
    pub depth: u64,
    /// Packets given up so far.
    pub dropped_packets: u64,
    /// How often the queue was given up.
    pub jumps: u64,
    /// Pictures that a recording will not get, counted by their markers: given up, or before a keyframe.
    pub missed_pictures: u64,
}

/// Whether the task of a reader's connection may write to its socket now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePermit {
    /// It may: there is something to write.
    Granted,
    /// There is nothing to write. It is woken when there is.
    Idle,
    /// The publisher's task is writing just now. It is woken afterwards.
    Busy,
    /// As [`Idle`](WritePermit::Idle), after the queue was given up while the reader took nothing at all: now that it
    /// takes something again, a keyframe is worth requesting.
    NeedsKeyframe,
    /// The stream is over, and everything has been taken.
    Ended,
    /// There was no memory in the budget for the rest of a frame that had begun to leave, so that nothing can follow
    /// it.
    OutOfMemory,
}
