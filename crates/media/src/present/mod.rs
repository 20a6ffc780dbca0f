//! The last stage of a receiver: drawing pictures with OpenGL.
//!
//! A [`PicturePainter`] has three textures of one byte per sample. [`PicturePainter::upload`] copies the planes into them
//! as they are; [`PicturePainter::draw`] fills the viewport, and the fragment shader converts by the picture's own matrix
//! and range ([`Conversion`]). Nothing is converted on the processor, and nothing is read back.
//!
//! All functions must be called where the [`glow::Context`] is current: in the paint callback of a window.

mod conversion;
#[allow(unsafe_code)]
mod gl;

pub use conversion::Conversion;
pub use gl::PicturePainter;

/// Why pictures cannot be drawn with this graphics driver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentError {
    /// Its OpenGL is older than 3.0 (or OpenGL ES 3.0), which introduced textures of one byte per sample.
    #[error("the graphics driver offers OpenGL {0}, and 3.0 is needed; install a newer driver, or use --headless")]
    TooOld(String),
    /// The driver refused the shader or an object.
    #[error("the graphics driver refused to draw pictures ({0}); install a newer driver, or use --headless")]
    Driver(String),
}
