//! Fonts: egui's own for Latin, and behind them a Chinese one that the program brings along (`scripts/make-font`).

use std::sync::Arc;

use eframe::egui::{FontData, FontDefinitions, FontFamily};

/// Noto Sans CJK SC, the characters in daily use.
const CHINESE: &[u8] = include_bytes!("../../assets/chinese.otf");

/// All fonts of the windows. What they lack is looked for among the system's.
pub fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    fonts.font_data.insert("chinese".to_owned(), Arc::new(FontData::from_static(CHINESE)));
    for family in [FontFamily::Proportional, FontFamily::Monospace] {
        fonts.families.entry(family).or_default().push("chinese".to_owned());
    }
    fonts
}
