//! Frames by Enhanced RTMP.

use hevcast_net::publish::PublishEvent;
use hevcast_net::rtmp::Publisher;
use hevcast_net::{Clock, Target};
use hevcast_wire::CodedFrame;
use hevcast_wire::rtsp::clock::ClockOffset;

use super::OutputSettings;
use super::output::{Close, Connector, Output, OutputError};
use crate::USER_AGENT;

/// Connects to one server.
#[derive(Debug)]
pub struct RtmpConnector {
    target: Target,
    clock: Clock,
}

impl RtmpConnector {
    /// To the settings' target.
    pub fn new(settings: OutputSettings) -> RtmpConnector {
        RtmpConnector { target: settings.target, clock: settings.clock }
    }
}

impl Connector for RtmpConnector {
    type Output = RtmpOutput;

    async fn connect(&mut self) -> Result<RtmpOutput, OutputError> {
        Ok(RtmpOutput { publisher: Publisher::connect(&self.target, USER_AGENT, self.clock).await? })
    }
}

/// A publishing connection.
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
