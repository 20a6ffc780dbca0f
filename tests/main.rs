//! End to end: the program as people run it, over real sockets, with real footage and real peers.
//!
//! One scenario a file. They need FFmpeg, GStreamer, Chromium, Xvfb, qemu and the footage where their names say so, and
//! step aside with a message where one is absent; with `HEVCAST_REQUIRE_PEERS=1` an absent FFmpeg, GStreamer, Chromium or
//! Xvfb is a failure.
//! Scenarios that run video in real time take turns ([`support::real_time`]), so that they do not starve each other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so by failing")]

mod support;

mod abuse;
mod abuse_crowds;
mod bad_input;
mod camera_returns;
mod camera_vm;
mod clocks;
mod congestion;
mod ctrl_c;
mod demo;
mod descriptors;
mod doors;
mod doors_changes;
mod doors_peers;
mod ffmpeg;
mod figures;
mod footage;
mod gstreamer;
mod h264;
mod input_files;
mod input_y4m;
mod live_sources;
mod many;
mod mediamtx;
mod names;
mod outputs;
mod pause;
mod reconnect;
mod recording;
mod recording_names;
mod recording_server;
mod refusals;
mod retina;
mod rtmp;
mod rtmp_ffmpeg;
mod screen;
mod sources;
mod status_page;
mod window_camera;
mod window_colour;
mod window_launcher;
mod window_receive;
mod window_send;
