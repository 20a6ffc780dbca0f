//! The language of the windows.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A language that the windows speak. Its texts are in `ui::words`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// English.
    En,
    /// 中文
    Zh,
}

impl Language {
    /// Chinese where the system's locale is Chinese, else English.
    pub(crate) fn of_the_system() -> Language {
        match sys_locale::get_locale() {
            Some(locale) if locale.to_ascii_lowercase().starts_with("zh") => Language::Zh,
            _ => Language::En,
        }
    }

    /// The language's name in itself.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::En => "English",
            Language::Zh => "中文",
        }
    }
}
