//! End-to-end scenarios: the program as users run it, over real sockets, with real footage and real peers.
//!
//! One topic per file. Scenarios need FFmpeg, GStreamer, Chromium, Xvfb, qemu and the footage where their names say so,
//! and are skipped with a message where one is absent; with `HEVCAST_REQUIRE_PEERS=1` an absent FFmpeg, GStreamer,
//! Chromium or Xvfb is a failure. Scenarios that run video in real time hold a lock, so that none lacks processor
//! time: alone ([`support::real_time`]), or beside each other where they depend on no pace ([`support::real_time_shared`]).

//!
//! `HEVCAST_PROGRAM` names another program to test, and `HEVCAST_PROGRAM_FOR` the commands that it is used for, such as
//! `send,receive`: so `make test-windows` runs scenarios with the Windows program, and between it and the one for Linux.

#![allow(unreachable_pub, reason = "a program has no items that others reach")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so by failing")]

mod support;

mod abuse;
mod abuse_limits;
mod access;
mod access_changes;
mod access_peers;
mod bad_input;
mod both_families;
mod camera_returns;
mod camera_vm;
mod clocks;
mod congestion;
mod ctrl_c;
mod demo;
mod descriptors;
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
mod priority;
mod reconnect;
mod recording;
mod recording_names;
mod recording_server;
mod refusals;
mod retina;
mod rtmp;
mod rtmp_ffmpeg;
mod screen;
mod serve_on_demand;
mod sources;
mod status_page;
mod webcam_vm;
mod window_camera;
mod window_colour;
mod window_launcher;
mod window_receive;
mod window_send;
mod windows;
