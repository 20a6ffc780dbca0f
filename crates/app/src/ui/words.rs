//! What the windows say, in English and Chinese. The terms are those of `docs/glossary.md`.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A language of the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// 中文
    Zh,
}

impl Language {
    /// Chinese where the system's locale is Chinese, else English.
    pub fn of_the_system() -> Language {
        match sys_locale::get_locale() {
            Some(locale) if locale.to_ascii_lowercase().starts_with("zh") => Language::Zh,
            _ => Language::En,
        }
    }

    /// Its name for itself.
    pub fn name(self) -> &'static str {
        match self {
            Language::En => "English",
            Language::Zh => "中文",
        }
    }

    /// What the windows say in it.
    pub fn words(self) -> &'static Words {
        match self {
            Language::En => &EN,
            Language::Zh => &ZH,
        }
    }
}

/// Declares the words once for each language, side by side.
macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// What the windows say, by what it is for.
        #[derive(Debug)]
        #[allow(missing_docs, reason = "the words say it")]
        pub struct Words { $(pub $name: &'static str,)* }
        const EN: Words = Words { $($name: $en,)* };
        const ZH: Words = Words { $($name: $zh,)* };
        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $zh),)*];
    };
}

words! {
    // Launcher.
    launcher_send: "Send", "推流";
    launcher_send_hint: "this computer's camera, screen or a file", "本机的摄像头、屏幕或文件";
    launcher_receive: "Receive", "拉流";
    launcher_receive_hint: "watch a stream", "观看一路视频流";
    launcher_serve: "Serve", "服务器";
    launcher_serve_hint: "pass streams on to any number of screens", "把视频流转发到任意多个屏幕";
    language: "Language", "语言";
    theme: "Theme", "主题";
    theme_system: "system", "跟随系统";
    theme_dark: "dark", "深色";
    theme_light: "light", "浅色";

    // Figures.
    compression_ratio: "Compression ratio", "压缩率";
    frame_rate: "Frame rate", "帧率";
    bitrate: "Bitrate", "比特率";
    delay: "Delay", "时间延迟";
    throughput: "Throughput", "吞吐量";
    frames_per_second: "fps", "帧/秒";
    qp_good: "good: 20 to 25", "良好：20 至 25";
    qp_fine: "finer than the eye needs: a higher QP saves bits", "比肉眼所需更细：调高 QP 可节省码率";
    qp_coarse: "coarse: a lower QP looks better", "画面偏粗：调低 QP 可改善画质";
    system_clocks: "system clocks", "系统时钟";
    since_relay: "since the relay", "自转发起";
    relay_note: "Counted from the computer that passes the camera's stream on: what the camera itself takes is not in it.", "从转发摄像头视频流的电脑开始计算，不含摄像头自身的延迟。";
    bound_note: "The true delay is within ± of it, by the server's clock.", "真实延迟在 ± 范围内，以服务器时钟为准。";
    system_clocks_note: "By the two computers' own clocks, which may disagree.", "按两台电脑各自的时钟，可能不一致。";
    camera_note: "The camera's own exposure and readout are not in it.", "不含摄像头自身的曝光和读出时间。";
    no_stamps: "The stream carries no capture times, so there is no true figure.", "该视频流不带采集时间，无法给出真实数值。";
    future_stamps: "Capture times lie in the future. Set the computers' clocks.", "拍摄时间在未来，请校准两台电脑的时钟。";
    old_stamps: "Capture times lie more than an hour back. Set the computers' clocks.", "拍摄时间早于一小时前，请校准两台电脑的时钟。";
    clock_was_set: "A clock was set.", "时钟被调整过。";
    is_recording: "A recording has no delay.", "录像没有延迟。";
    jitter: "Frame interval jitter", "帧间隔抖动";

    // Stages of the delay.
    stages: "Where it goes, mean of 10 s", "各环节耗时（10 秒平均）";
    capture_wait: "capture wait", "采集等待";
    encode: "encode", "编码";
    send_queue: "send queue", "发送排队";
    network_and_server: "network and server", "网络与服务器";
    hold: "hold", "等待匀放";
    hold_note: "The server sends pictures in bundles; they are held to be shown evenly. At SRS: min_latency on; play { mw_latency 0; }", "服务器成批发送画面，为匀速显示而等待。SRS 可设 min_latency on; play { mw_latency 0; }";
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
    history: "History", "历史";
    refresh: "Look again", "重新检测";
    choose_file: "Choose a file, or drop it here", "选择文件，或拖放到这里";

    // The picture.
    picture: "Picture", "画面";
    live: "live", "直播中";
    stopped: "Stopped", "已停止";
    starting: "Starting…", "正在启动…";
    stopping: "Stopping…", "正在停止…";
    waiting_for_picture: "Waiting for the first picture", "等待第一帧画面";
    no_connection: "No connection; trying again", "连接中断，正在重试";
    camera_unplugged: "Camera unplugged; waiting until it is back", "摄像头已断开，等待重新接入";
    camera_silent: "No picture from the camera; opening it again", "摄像头没有画面，正在重新打开";
    camera_busy: "Camera in use elsewhere; waiting until it is free", "摄像头被其他程序占用，正在等待";
    camera_failing: "Camera failed; trying again", "摄像头出错，正在重试";
    connecting: "Connecting…", "正在连接…";
    waiting_for_keyframe: "Waiting for a keyframe", "等待关键帧";
    no_signal: "No signal", "无信号";
    ended: "The stream has ended", "视频流已结束";
    dark_nothing: "The server plays, but nothing comes. Is the camera on, and does anybody send there?", "服务器在播放，但没有数据。摄像头是否已开启？是否有人在推流？";
    dark_only_sound: "Only sound comes, and no picture. Check the camera, or the address of its video.", "只有声音，没有画面。请检查摄像头或其视频地址。";
    dark_h264: "H.264 comes, though H.265 was announced. Set the camera's encoding to H.265.", "声明为 H.265，实际收到 H.264。请把摄像头编码设为 H.265。";
    dark_not_hevc: "What comes is not the video that was announced: it may be encrypted (SRTP), or of another codec. Check the camera's settings.", "收到的内容与声明的视频编码不符：可能已加密 (SRTP) 或为其他编码。请检查摄像头设置。";
    dark_no_whole_picture: "Parts of pictures come, but no picture is whole. Check the camera and the network.", "只收到不完整的画面。请检查摄像头和网络。";
    dark_no_keyframe: "Waiting for a keyframe: pictures come, but none to begin with. A shorter keyframe interval at the camera shortens this.", "等待关键帧：有画面到来，但没有可开始解码的关键帧。缩短摄像头的关键帧间隔可减少等待。";
    dark_damaged_keyframes: "Keyframes come, but parts of each are missing. Check the network.", "收到的关键帧均不完整。请检查网络。";
    dark_no_parameter_sets: "Pictures come, but never their parameter sets (VPS, SPS and PPS). Restart the camera, or let its encoder repeat them.", "有画面到来，但始终没有参数集 (VPS、SPS、PPS)。请重启摄像头，或让编码器重复发送参数集。";
    dark_undecodable: "Pictures come, but cannot be decoded here. Their profile may be one that FFmpeg does not know.", "有画面到来，但无法解码，FFmpeg 可能不支持其档次 (profile)。";
    reconnecting_in: "Reconnecting in", "即将重连，剩余";
    seconds: "s", "秒";

    // Settings.
    input: "Input", "输入";
    input_auto: "first camera, else pattern", "第一个摄像头，否则测试图";
    input_camera: "camera", "摄像头";
    input_screen: "screen", "屏幕";
    input_file: "file", "文件";
    input_pattern: "test pattern", "测试图";
    camera: "Camera", "摄像头";
    camera_first: "the first", "第一个";
    no_camera: "No camera found. Plug one in and look again.", "未找到摄像头。请接入后重新检测。";
    looking: "Looking…", "正在检测…";
    modes: "Modes", "模式";
    file: "File", "文件";
    repeat: "repeat", "循环";
    size: "Size", "尺寸";
    size_hint: "as it comes, or 1280x720", "保持原样，或 1280x720";
    rate_hint: "as it comes, or 30", "保持原样，或 30";
    encoder: "Encoder", "编码器";
    automatic: "automatic", "自动";
    rate_control: "Rate control", "码率控制";
    best_qp: "as good as the link allows", "随网络自适应";
    constant_qp: "constant QP", "恒定 QP";
    constant_quality: "constant quality (CRF)", "恒定质量 (CRF)";
    constant_bitrate: "bitrate", "恒定码率";
    keyframe_interval: "Keyframe interval", "关键帧间隔";
    address: "Server", "服务器";
    address_hint: "empty: a server inside, or rtsp://HOST/PATH", "留空：内置服务器，或 rtsp://主机/路径";
    user: "User", "用户名";
    password: "Password", "密码";
    remember_password: "remember the password (in a file, readable)", "记住密码（明文存于文件）";
    only_while_stopped: "Stop first to change this.", "请先停止推流再修改。";
    watch_at: "Watch at", "观看地址";
    pushing_to: "Pushing to", "推流至";
    dropped_pictures: "skipped", "跳过";

    // Receiver.
    stream_address: "Address of the stream", "视频流地址";
    saved: "Saved", "已保存";
    recording: "Recording", "正在录制";
    recorded: "Recorded", "已录制";
    pictures: "pictures", "帧";
    recording_waits: "Recording begins with the next keyframe", "将从下一个关键帧开始录制";
    nothing_to_save: "There is no picture to save.", "没有可保存的画面。";

    // Server.
    listen: "Listens on", "监听";
    serving: "The server runs. Publish to and read from:", "服务器正在运行。推流和拉流地址：";
    path_hint: "PATH is any name you choose.", "“路径”可任意命名。";
    path_word: "PATH", "路径";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_said_in_both_languages() {
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for (name, en, zh) in ALL {
            assert!(!en.is_empty() && !is_chinese(en), "{name}: {en:?}");
            assert!(is_chinese(zh) || zh.contains("QP"), "{name}: {zh:?}");
        }
        assert_eq!((Language::En.words().start, Language::Zh.words().stop), ("Start", "关闭推流"));
    }
}
