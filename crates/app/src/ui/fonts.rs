//! Fonts: egui's own for Latin text, and a Chinese one that is part of the program (`scripts/make-font`).

use std::sync::Arc;

use eframe::egui::{FontData, FontDefinitions, FontFamily};

/// Noto Sans CJK SC, reduced to common characters.
const CHINESE: &[u8] = include_bytes!("../../assets/chinese.otf");

/// The fonts of the windows: for each character the first font that has it.
pub(super) fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    fonts.font_data.insert("chinese".to_owned(), Arc::new(FontData::from_static(CHINESE)));
    for family in [FontFamily::Proportional, FontFamily::Monospace] {
        fonts.families.entry(family).or_default().push("chinese".to_owned());
    }
    fonts
}
