//! Frames by Enhanced RTMP, of H.265.

use hevcast_net::publish::PublishEvent;
use hevcast_net::rtmp::Publisher;
use hevcast_net::{Clock, Target};
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::{CodecId, CodedFrame};

use super::OutputSettings;
use super::output::{Close, Connector, Output, OutputError};
use crate::USER_AGENT;

/// Connects to one RTMP server, of a stream in H.265.
#[derive(Debug)]
pub struct RtmpConnector {
    target: Target,
    codec: CodecId,
    clock: Clock,
}

impl RtmpConnector {
    /// A connector to the settings' target; nothing is connected yet.
    pub fn new(settings: OutputSettings) -> RtmpConnector {
        RtmpConnector { codec: settings.parameter_sets.codec(), target: settings.target, clock: settings.clock }
    }
}

impl Connector for RtmpConnector {
    type Output = RtmpOutput;

    async fn connect(&mut self) -> Result<RtmpOutput, OutputError> {
        if self.codec != CodecId::H265 {
            let error = CodecRefused { url: self.target.shown(), codec: self.codec };
            return Err(OutputError::new(error, false));
        }
        Ok(RtmpOutput { publisher: Publisher::connect(&self.target, USER_AGENT, self.clock).await? })
    }
}

/// What is sent by RTMP is H.265 alone.
#[derive(Debug, thiserror::Error)]
#[error("{url}: the stream is {codec}, which hevcast does not send there; rtsp:// and srt:// take it")]
struct CodecRefused {
    /// Where to, without a password.
    url: String,
    codec: CodecId,
}

/// A publishing connection by RTMP.
#[derive(Debug)]
pub struct RtmpOutput {
    publisher: Publisher,
}

impl Output for RtmpOutput {
    fn offer(&mut self, frame: CodedFrame) -> Result<(), OutputError> {
        Ok(self.publisher.queue(&frame)?)
    }

    async fn event(&mut self) -> Result<PublishEvent, OutputError> {
        Ok(self.publisher.next_event().await?)
    }

    fn is_drained(&self) -> bool {
        self.publisher.is_drained()
    }

    fn sent_bytes(&self) -> u64 {
        self.publisher.sent_bytes()
    }

    /// RTMP has no clock to compare.
    fn server_clock(&self) -> Option<ClockOffset> {
        None
    }

    async fn close(self, _: Close) {
        self.publisher.close().await;
    }
}

#[cfg(test)]
mod tests {
    use hevcast_wire::ParameterSets;

    use super::*;

    #[tokio::test]
    async fn h264_is_refused_before_anybody_is_connected_to() {
        let target = Target::parse("rtmp://127.0.0.1:1/live/x").unwrap();
        let parameter_sets = ParameterSets::new(CodecId::H264);
        let settings = OutputSettings { target, parameter_sets, clock: Clock::default(), size: (64, 64) };
        let refused = RtmpConnector::new(settings).connect().await.unwrap_err();
        assert!(!refused.is_temporary() && refused.to_string().contains("H.264"), "{refused}");
    }
}
