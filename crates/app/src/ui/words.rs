//! The windows' texts in English and Chinese, with the terms of `docs/glossary.md`. A part in braces, such as `{file}`, is
//! replaced where the text is shown.

use crate::language::Language;

impl Language {
    /// The windows' texts in this language.
    pub(crate) fn words(self) -> &'static Words {
        match self {
            Language::En => &EN,
            Language::Zh => &ZH,
        }
    }
}

/// Declares each text in both languages, side by side.
macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// The windows' texts in one language, by their use.
        #[derive(Debug)]
        #[allow(missing_docs, reason = "the texts say it")]
        pub(crate) struct Words { $(pub(crate) $name: &'static str,)* }
        const EN: Words = Words { $($name: $en,)* };
        const ZH: Words = Words { $($name: $zh,)* };
        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $zh),)*];
    };
}

words! {
    // Launcher.
    launcher_send: "Send", "推流";
    launcher_send_hint: "a camera, the screen or a file", "摄像头、屏幕或文件";
    launcher_receive: "Receive", "拉流";
    launcher_receive_hint: "watch a stream", "观看一路视频流";
    launcher_serve: "Serve", "服务器";
    launcher_serve_hint: "forward streams to any number of viewers", "把视频流转发给任意多个观看者";
    language: "Language", "语言";
    theme: "Theme", "主题";
    theme_system: "System", "跟随系统";
    theme_dark: "Dark", "深色";
    theme_light: "Light", "浅色";

    // Figures.
    compression_ratio: "Compression ratio", "压缩率";
    frame_rate: "Frame rate", "帧率";
    bitrate: "Bitrate", "比特率";
    delay: "Delay", "时间延迟";
    throughput: "Throughput", "吞吐量";
    frames_per_second: "fps", "帧/秒";
    qp_good: "good: 20 to 25", "良好：20 至 25";
    qp_fine: "finer than the eye can see: a higher QP lowers the bitrate", "画质已超出肉眼所需，调高 QP 可降低码率";
    qp_coarse: "coarse: a lower QP looks better", "画质偏低，调低 QP 可改善";
    system_clocks: "system clocks", "系统时钟";
    since_relay: "since the relay", "自转发起";
    relay_note: "Measured from the computer that relays the camera's stream; the camera's own delay is not included.", "从转发摄像头视频流的电脑开始计算，不含摄像头自身的延迟。";
    bound_note: "The true delay is within ± of this value, by the server's clock.", "真实延迟在 ± 范围内，以服务器时钟为准。";
    system_clocks_note: "Measured by the clocks of both computers, which may differ.", "按两台电脑各自的时钟计算，可能不一致。";
    camera_note: "The camera's exposure and readout times are not included.", "不含摄像头自身的曝光和读出时间。";
    no_stamps: "The stream has no capture times, so the delay is unknown.", "该视频流不带采集时间，无法计算延迟。";
    future_stamps: "Capture times are in the future. Set the clocks of both computers.", "采集时间晚于当前时间，请校准两台电脑的时钟。";
    old_stamps: "Capture times are more than an hour old. Set the clocks of both computers.", "采集时间早于一小时前，请校准两台电脑的时钟。";
    clock_was_set: "A clock was changed.", "时钟被调整过。";
    is_recording: "A recording has no delay.", "录像没有延迟。";
    jitter: "Frame interval jitter", "帧间隔抖动";

    // Stages of the delay.
    stages: "Breakdown (10 s mean)", "各环节耗时（10 秒平均）";
    capture_wait: "capture wait", "采集等待";
    encode: "encode", "编码";
    send_queue: "send queue", "发送排队";
    network_and_server: "network and server", "网络与服务器";
    hold: "hold", "等待匀放";
    hold_note: "The server sends pictures in bursts; they are held so that they are shown evenly. For SRS: min_latency on; play { mw_latency 0; }", "服务器成批发送画面，等待是为了匀速显示。SRS 可设 min_latency on; play { mw_latency 0; }";
    decode: "decode", "解码";
    present: "present", "显示";

    // Buttons.
    start: "Start", "开始推流";
    stop: "Stop", "关闭推流";
    play: "Play", "开始拉流";
    stop_playing: "Stop", "停止拉流";
    start_serving: "Start server", "启动服务器";
    stop_serving: "Stop server", "停止服务器";
    settings: "Settings", "设置";
    copy: "Copy", "复制";
    copied: "Copied", "已复制";
    graphs: "Graphs (i)", "曲线 (i)";
    full_screen: "Full screen (f)", "全屏 (f)";
    snapshot: "Snapshot (s)", "截图 (s)";
    record: "Record (r)", "录制 (r)";
    stop_recording: "Stop recording (r)", "停止录制 (r)";
    history: "History", "历史记录";
    rescan: "Rescan", "重新检测";
    choose_file: "Choose a file, or drop it here", "选择文件，或拖放到这里";

    // The picture.
    picture: "Picture", "画面";
    live: "live", "直播中";
    stopped: "Stopped", "已停止";
    starting: "Starting…", "正在启动…";
    stopping: "Stopping…", "正在停止…";
    waiting_for_picture: "Waiting for the first picture", "等待第一帧画面";
    no_connection: "No connection; reconnecting", "连接中断，正在重连";
    camera_unplugged: "Camera unplugged; plug it in again", "摄像头已断开，请重新接入";
    camera_silent: "No picture from the camera; reopening it", "摄像头没有画面，正在重新打开";
    camera_busy: "Camera in use by another program; waiting for it", "摄像头被其他程序占用，等待释放";
    camera_failing: "Camera error; retrying", "摄像头出错，正在重试";
    connecting: "Connecting…", "正在连接…";
    waiting_for_keyframe: "Waiting for a keyframe", "等待关键帧";
    no_signal: "No signal", "无信号";
    ended: "The stream has ended", "视频流已结束";
    no_picture_nothing: "The server plays the stream, but sends no data. Check that the camera is on and that a sender publishes.", "服务器正在播放，但没有数据。请检查摄像头是否开启、是否有人在推流。";
    no_picture_only_sound: "Only sound is received, no video. Check the camera, or the address of its video.", "只有声音，没有画面。请检查摄像头或其视频地址。";
    no_picture_h264: "H.265 was announced, but H.264 is received. Set the camera's encoding to H.265.", "声明为 H.265，实际收到 H.264。请把摄像头编码设为 H.265。";
    no_picture_not_hevc: "The data received is not the video that was announced: it may be encrypted (SRTP) or of another codec. Check the camera's settings.", "收到的数据与声明的视频编码不符：可能已加密 (SRTP) 或为其他编码。请检查摄像头设置。";
    no_picture_no_whole_picture: "Only incomplete pictures are received. Check the camera and the network.", "只收到不完整的画面。请检查摄像头和网络。";
    no_picture_no_keyframe: "Waiting for a keyframe, without which decoding cannot start. A shorter keyframe interval at the camera shortens this.", "等待关键帧：没有关键帧无法开始解码。缩短摄像头的关键帧间隔可减少等待。";
    no_picture_damaged_keyframes: "Every keyframe received is incomplete. Check the network.", "收到的关键帧均不完整。请检查网络。";
    no_picture_no_parameter_sets: "Pictures are received, but no parameter sets (VPS, SPS and PPS). Restart the camera, or let its encoder repeat them.", "收到画面，但没有参数集 (VPS、SPS、PPS)。请重启摄像头，或让编码器重复发送参数集。";
    no_picture_undecodable: "Pictures are received, but cannot be decoded: FFmpeg may not support their profile.", "收到画面，但无法解码：FFmpeg 可能不支持其档次 (profile)。";
    reconnecting_in: "Reconnecting in {seconds} s", "{seconds} 秒后重连";

    // Settings.
    input: "Input", "输入";
    input_auto: "Automatic (first camera, otherwise test pattern)", "自动（优先第一个摄像头，没有则用测试图）";
    input_camera: "Camera", "摄像头";
    input_screen: "Screen", "屏幕";
    input_file: "File", "文件";
    input_pattern: "Test pattern", "测试图";
    camera: "Camera", "摄像头";
    camera_first: "First camera", "第一个";
    no_camera: "No camera found. Plug one in and rescan.", "未找到摄像头。请接入后重新检测。";
    scanning: "Scanning…", "正在检测…";
    modes: "Modes", "模式";
    file: "File", "文件";
    repeat: "Repeat", "循环";
    size: "Size", "尺寸";
    size_hint: "source size, or e.g. 1280x720", "留空为原始尺寸，例如 1280x720";
    rate_hint: "source rate, or e.g. 30", "留空为原始帧率，例如 30";
    encoder: "Encoder", "编码器";
    automatic: "Automatic", "自动";
    rate_control: "Rate control", "码率控制";
    adaptive: "Adaptive", "随网络自适应";
    best_qp: "Best QP", "最佳 QP";
    constant_qp: "Constant QP", "恒定 QP";
    constant_quality: "Constant quality (CRF)", "恒定质量 (CRF)";
    constant_bitrate: "Constant bitrate", "恒定码率";
    keyframe_interval: "Keyframe interval", "关键帧间隔";
    address: "Server", "服务器";
    address_hint: "built-in server, or e.g. rtsp://HOST/PATH", "留空为内置服务器，例如 rtsp://主机/路径";
    user: "User", "用户名";
    password: "Password", "密码";
    remember_password: "Remember the password (as plain text in a file)", "记住密码（明文存于文件）";
    only_while_stopped: "Greyed-out settings: press Stop to change them.", "灰色选项需先关闭推流才能修改。";
    watch_at: "Watch at", "观看地址";
    pushing_to: "Sending to", "推流至";
    dropped_frames: "{count} skipped", "已跳过 {count} 帧";
    encoder_limit: "{coded} of {given}: encoder at its limit; a smaller size would give all", "编码 {coded}/{given} 帧：编码器已达极限，减小画面尺寸可恢复全部";

    // Receiver.
    stream_address: "Address of the stream", "视频流地址";
    stream_address_hint: "rtsp://HOST:8554/live", "rtsp://主机:8554/live";
    saved: "Saved: {file}", "已保存：{file}";
    recording: "Recording: {file} ({pictures} pictures)", "正在录制：{file}（{pictures} 帧）";
    recorded: "Recorded: {file} ({pictures} pictures)", "已录制：{file}（{pictures} 帧）";
    recording_waits: "Recording starts at the next keyframe", "将从下一个关键帧开始录制";
    nothing_to_save: "There is no picture to save.", "没有可保存的画面。";

    // Server, built-in or not.
    walled_off: "Windows Firewall keeps other computers out: choose Allow if Windows asks, or allow hevcast.exe in Windows Security.", "Windows 防火墙阻止了其他电脑观看：如有弹窗请点“允许”，或在“Windows 安全中心”的防火墙设置中允许 hevcast.exe。";
    listen: "Will listen on {address}", "监听地址：{address}";
    serving: "The server is running. Publish to and read from:", "服务器正在运行。推流和拉流地址：";
    path_hint: "PATH is any name you choose.", "“路径”可任意命名。";
    path_word: "PATH", "路径";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages_with_the_same_parts() {
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        let parts = |text: &str| -> Vec<String> {
            text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0.to_owned())).collect()
        };
        for (name, en, zh) in ALL {
            assert!(!en.is_empty() && !is_chinese(en), "{name}: {en:?}");
            assert!(is_chinese(zh) || zh.contains("QP"), "{name}: {zh:?}");
            assert_eq!(parts(en), parts(zh), "{name}");
        }
        assert_eq!((Language::En.words().start, Language::Zh.words().stop), ("Start", "关闭推流"));
    }
}
