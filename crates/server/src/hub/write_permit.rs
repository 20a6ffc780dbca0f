//! What a reader's queue reports to the task of the reader's connection.

/// Counters of one reader's queue, since the reader joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderMetrics {
    /// How many packets are in the queue now.
    pub depth: u64,
    /// Packets discarded so far, because the queue was past a bound.
    pub dropped_packets: u64,
    /// How often the queue was emptied because it was past a bound; the viewer sees a jump each time.
    pub jumps: u64,
    /// Pictures that a recording will not get, because they were discarded or came before its first keyframe. Counted
    /// by RTP markers.
    pub missed_pictures: u64,
}

/// Whether the task of a reader's connection may write to its socket now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePermit {
    /// The task may write, and there is something to write.
    Granted,
    /// There is nothing to write. The task is woken when there is.
    Idle,
    /// The publisher's task is writing at the moment. The reader's task is woken afterwards.
    Busy,
    /// As [`Idle`](WritePermit::Idle), after the queue was emptied while the reader accepted no bytes at all. Now that
    /// it accepts bytes again, a keyframe should be requested for it.
    NeedsKeyframe,
    /// The stream has ended, and everything that was queued has been taken.
    Ended,
    /// The budget had too few available bytes to keep the rest of a frame that was partly written. Nothing can follow
    /// it on the connection, which must be closed.
    OutOfMemory,
}
